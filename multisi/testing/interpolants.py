"""The checks of interpolants."""

import itertools
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

from multisi.interpolants import Interpolant
from multisi.testing import curves, exact
from multisi.testing.battery import Battery, close, demand, demand_kind, factory_of, numbers

INTERPOLANT: Battery[Callable[[], Any]] = Battery("interpolant")


def check_interpolant(factory: Any, *, skip: Collection[str] = (), **options: Any) -> None:
    """Check an interpolant against its contract.

    Arguments:
        factory: The class, another factory, or the registered name.
        skip: Names of checks to skip.
        options: Options of the factory.

    Raises:
        ConformanceError: the interpolant fails a check; the error lists all failed checks.
        ConfigError: `factory` is neither callable nor a name, or `skip` names an unknown check.
        UnknownPluginError: no plugin, or more than one, has the name.

    Examples:
        >>> check_interpolant("barycentric")
    """
    INTERPOLANT.run(factory, factory_of("interpolant", factory, options), skip)


@INTERPOLANT.check
def interpolant(make: Callable[[], Any]) -> None:
    """The factory creates an `Interpolant`."""
    demand_kind(make(), Interpolant, "multisi.Interpolant")


@INTERPOLANT.check
def shape(make: Callable[[], Any]) -> None:
    """The weights have the shape of the points."""
    for points in (*(_points(k) for k in (2, 3, 5)), _points(3)[0], _points(3)[:0]):
        weights = make().weights(points)
        got = tuple(weights.shape) if isinstance(weights, Tensor) else type(weights).__name__
        demand(got == tuple(points.shape), f"expected shape {tuple(points.shape)}; got {got}.")
    stacked = _points(3)[:4].reshape(2, 2, 3)
    got = tuple(make().weights(stacked).shape)
    demand(got == (2, 2, 3), f"expected shape (2, 2, 3) for a stack of points; got {got}.")


@INTERPOLANT.check
def dtype(make: Callable[[], Any]) -> None:
    """The weights have the type of the points."""
    for kind in (torch.float32, torch.float64):
        got = make().weights(_points(3).to(kind)).dtype
        demand(got == kind, f"points of {kind} must give weights of {kind}; got {got}.")


@INTERPOLANT.check
def finite(make: Callable[[], Any]) -> None:
    """The weights are finite on the closed simplex."""
    weights = make().weights(_points(4))
    bad = ~torch.isfinite(weights).all(1)
    demand(not bad.any(), f"at {numbers(_points(4)[bad][:1])} got {numbers(weights[bad][:1])}.")


@INTERPOLANT.check
def non_negative(make: Callable[[], Any]) -> None:
    """No weight is negative, and at least one is positive."""
    weights = make().weights(_points(4))
    bad = (weights < 0).any(1) | (weights.sum(1) <= 0)
    demand(not bad.any(), f"at {numbers(_points(4)[bad][:1])} got {numbers(weights[bad][:1])}.")


@INTERPOLANT.check
def corners(make: Callable[[], Any]) -> None:
    """At the corner of a marginal, its weight is one and all others are zero."""
    for k in (2, 4):
        weights = make().weights(torch.eye(k, dtype=torch.float64))
        for i, row in enumerate(weights):
            expected = torch.eye(k, dtype=torch.float64)[i]
            demand(
                close(row, expected, 1e-9),
                f"at corner {i} expected {numbers(expected)}; got {numbers(row)}.",
            )


@INTERPOLANT.check
def repeatable(make: Callable[[], Any]) -> None:
    """Equal points give equal weights."""
    one, points = make(), _points(3)
    same = torch.equal(one.weights(points), one.weights(points))
    demand(same, "the same points must give the same weights twice.")


@INTERPOLANT.check
def untouched(make: Callable[[], Any]) -> None:
    """The given points are not changed."""
    points = _points(3)
    make().weights(points)
    demand(torch.equal(points, _points(3)), "weights(alpha) must not change alpha in place.")


@INTERPOLANT.check
def rows(make: Callable[[], Any]) -> None:
    """The weights at a point do not depend on the other points of the batch."""
    one, points = make(), _points(4)
    alone = torch.stack([one.weights(point) for point in points])
    demand(
        close(one.weights(points), alone, 1e-9),
        "a point must have the same weights alone and in a batch.",
    )


@INTERPOLANT.check
def noise(make: Callable[[], Any]) -> None:
    """An interpolant that treats marginal 0 unlike the others sets `needs_noise`."""
    one = make()
    middle = torch.tensor([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]).double()
    special = not close(one.weights(middle[:1]).flip(-1), one.weights(middle[2:]), 1e-9)
    demand(
        one.needs_noise or not special,
        "treats marginal 0 unlike the others; set needs_noise = True if it must be the noise.",
    )


@INTERPOLANT.check
def continuous(make: Callable[[], Any]) -> None:
    """The weights are continuous along straight lines, also at faces and corners."""
    one = make()
    for name, start, stop in _lines():
        curves.continuous(_along(one, start, stop), name)


@INTERPOLANT.check
def derivatives(make: Callable[[], Any]) -> None:
    """The weights are smooth inside every face, and `torch.func.jvp` gives their derivatives."""
    one = make()
    for name, start, stop in _lines():
        times = [
            t
            for t in (0.13, 0.29, 0.41, 0.5, 0.67, 0.83)
            if all(
                abs(value - kink) > 0.01
                for value in _line(start, stop, torch.tensor(t)).tolist()
                for kink in one.kinks
            )
        ]
        curves.differentiable(_along(one, start, stop), times, name)


@INTERPOLANT.check
def law(make: Callable[[], Any]) -> None:
    """In the exact Gaussian case, the flow ends at the target law."""
    error = exact.error_at_the_end(interpolant=make(), steps=64)
    demand(
        error <= 0.02,
        "the end law of 64 steps between two Gaussians must have a relative error of at most "
        f"0.02; got {error:.3g}. Make the weights smoother between the corners.",
    )


def _points(k: int) -> Tensor:
    """Corners, points of faces of every dimension, and interior points."""
    source = torch.Generator().manual_seed(k)
    alpha = torch.rand(24, k, generator=source, dtype=torch.float64)
    alpha[: 4 * k : 2] *= torch.rand(2 * k, k, generator=source) < 0.6
    alpha[alpha.sum(1) == 0] = 1.0
    return torch.cat([torch.eye(k, dtype=torch.float64), alpha / alpha.sum(1, keepdim=True)])


def _lines() -> list[tuple[str, Tensor, Tensor]]:
    """Edges, and lines from corners and edges through the interior, for four marginals."""
    e = torch.eye(4, dtype=torch.float64)
    found = [
        (f"between corners {i} and {j}", e[i], e[j])
        for i, j in itertools.combinations(range(4), 2)
    ]
    inside = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    found += [(f"from corner {i} inside", e[i], inside) for i in range(4)]
    return [*found, ("from edge 1-2 to edge 0-3", (e[1] + e[2]) / 2, 0.4 * e[0] + 0.6 * e[3])]


def _along(one: Interpolant, start: Tensor, stop: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda t: one.weights(_line(start, stop, t))


def _line(start: Tensor, stop: Tensor, t: Tensor) -> Tensor:
    return torch.lerp(start, stop, t.double()[..., None])
