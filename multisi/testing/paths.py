"""The checks of paths."""

import itertools
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from multisi.paths import Path
from multisi.testing import curves, exact
from multisi.testing.battery import Battery, close, demand, demand_kind, factory_of, numbers

Make = Callable[[Sequence[Tensor]], Any]
PATH: Battery[Make] = Battery("path")


def check_path(factory: Any, *, skip: Collection[str] = (), **options: Any) -> None:
    """Check a path against its contract.

    Arguments:
        factory: The class, another factory `(points, **options)`, or the registered name. It is
            called with two points of the simplex of three marginals, the noise first.
        skip: Names of checks to skip.
        options: Options of the factory.

    Raises:
        ConformanceError: the path fails a check; the error lists all failed checks.
        ConfigError: `factory` is neither callable nor a name, or `skip` names an unknown check.
        UnknownPluginError: no plugin, or more than one, has the name.

    Examples:
        >>> check_path("bow", depth=0.2)
    """
    PATH.run(factory, factory_of("path", factory, options), skip)


@PATH.check
def path(make: Make) -> None:
    """The factory creates a `Path`."""
    demand_kind(_edge(make), Path, "multisi.Path")


@PATH.check
def shape(make: Make) -> None:
    """Each time gives a point `(k,)`, or `(b, k)` if the end points differ by row."""
    one, several = _edge(make), make([_corners(), _corners()[[1, 2, 0]]])
    for t in (_times()[3], _times(), _times()[:32].reshape(4, 8)):
        for made, event in ((one, (3,)), (several, (3, 3))):
            got, expected = tuple(made(t).shape), (*t.shape, *event)
            demand(
                got == expected,
                f"times of shape {tuple(t.shape)}, between points of shape {event}, must give "
                f"shape {expected}; got {got}.",
            )


@PATH.check
def dtype(make: Make) -> None:
    """Times in float64 give points in float64."""
    got = make(list(_corners()[1:].float()))(_times()).dtype
    demand(
        got == torch.float64,
        f"times in torch.float64 must give points in torch.float64; got {got}.",
    )


@PATH.check
def ends(make: Make) -> None:
    """The path starts at the first point and stops at the last."""
    inner, e = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64), _corners()
    for start, stop in ((e[1], e[2]), (e[0], e[1]), (inner, e[2]), (e[2], inner)):
        found = make([start, stop])(torch.tensor([0.0, 1.0], dtype=torch.float64))
        for what, expected, got in (("start", start, found[0]), ("stop", stop, found[1])):
            demand(
                close(got, expected, 1e-9),
                f"must {what} at {numbers(expected)}; got {numbers(got)}.",
            )


@PATH.check
def simplex(make: Make) -> None:
    """Every point is on the simplex."""
    alpha = _edge(make)(_times())
    bad = (alpha < -1e-9).any(1) | ((alpha.sum(1) - 1).abs() > 1e-9) | alpha.isnan().any(1)
    demand(
        not bad.any(),
        f"coordinates must be non-negative and sum to one; at t = "
        f"{numbers(_times()[bad][:1])} got {numbers(alpha[bad][:1])}.",
    )


@PATH.check
def knots(make: Make) -> None:
    """The knots increase from 0 to 1."""
    found = tuple(_edge(make).knots)
    good = found[0] == 0 and found[-1] == 1 and all(a < b for a, b in itertools.pairwise(found))
    demand(good, f"knots must increase from 0.0 to 1.0; got {found}.")


@PATH.check
def repeatable(make: Make) -> None:
    """The point is a function of the time."""
    one = _edge(make)
    demand(
        torch.equal(one(_times()), one(_times())),
        "the same times must give the same points twice.",
    )


@PATH.check
def untouched(make: Make) -> None:
    """The given times and points are not changed."""
    times, ends = _times(), _corners()
    make([ends[1], ends[2]])(times)
    same = torch.equal(times, _times()) and torch.equal(ends, _corners())
    demand(same, "must not change the given times or points in place.")


@PATH.check
def times(make: Make) -> None:
    """The point at a time does not depend on the other times."""
    one = _edge(make)
    alone = torch.stack([one(t) for t in _times()])
    demand(
        close(one(_times()), alone, 1e-9),
        "a time must give the same point alone and together with other times.",
    )


@PATH.check
def continuous(make: Make) -> None:
    """The path is continuous."""
    curves.continuous(_edge(make), "between corners 1 and 2")


@PATH.check
def derivatives(make: Make) -> None:
    """The path is smooth between knots, and `torch.func.jvp` gives its derivatives."""
    one = _edge(make)
    inside = [
        t for t in (0.13, 0.29, 0.41, 0.5, 0.67, 0.83) if min(abs(t - k) for k in one.knots) > 0.01
    ]
    curves.differentiable(one, inside, "between corners 1 and 2")


@PATH.check
def law(make: Make) -> None:
    """In the exact Gaussian case, the flow along the path ends at the target law."""
    error = exact.error_at_the_end(path=_edge(make), steps=64)
    demand(
        error <= 0.02,
        "the end law of 64 steps between two Gaussians must have a relative error of at most "
        f"0.02; got {error:.3g}. Make the path smoother.",
    )


def _times() -> Tensor:
    return torch.linspace(0, 1, 33, dtype=torch.float64)


def _corners() -> Tensor:
    return torch.eye(3, dtype=torch.float64)


def _edge(make: Make) -> Any:
    """The path between two data marginals."""
    return make(list(_corners()[1:]))
