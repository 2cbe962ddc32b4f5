"""The checks of solvers."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multisi.common.seeds import RowGenerator
from multisi.dynamics import Diffusion, Dynamics, ProbabilityFlow
from multisi.field import ConditionalMeans
from multisi.interpolants.barycentric import Barycentric
from multisi.model import Model
from multisi.paths.bow import Bow
from multisi.paths.polyline import Segment
from multisi.sampling.grid import time_grid
from multisi.sampling.integrate import integrate
from multisi.solvers import Solver
from multisi.testing import exact
from multisi.testing.battery import (
    Battery,
    close,
    demand,
    demand_kind,
    factory_of,
    same_generators,
)

_E = torch.eye(3, dtype=torch.float64)
_ENOUGH = 0.05
"""Relative error that 64 steps of a first-order method must not exceed."""


@dataclass(frozen=True)
class Subject:
    """A solver to check, and its claimed order."""

    make: Callable[[], Any]
    order: float


class Counting(torch.nn.Module):
    """Known heads for any event; records the points of all calls."""

    def __init__(self) -> None:
        super().__init__()
        self.points: list[Tensor] = []

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        """The heads, shape `(b, 3, *event)`."""
        self.points.append(alpha[:1].clone())
        pull = torch.tensor([0.1, -0.5, 0.8], dtype=x.dtype)
        return pull.reshape(1, 3, *(1,) * (x.ndim - 1)) * x[:, None].cos() + alpha.reshape(
            len(x), 3, *(1,) * (x.ndim - 1)
        )


SOLVER: Battery[Subject] = Battery("solver")


def check_solver(
    factory: Any, *, order: float = 1, skip: Collection[str] = (), **options: Any
) -> None:
    """Check a solver against its contract.

    Arguments:
        factory: The class, another factory, or the registered name.
        order: The claimed order of convergence for the flow.
        skip: Names of checks to skip.
        options: Options of the factory.

    Raises:
        ConformanceError: the solver fails a check; the error lists all failed checks.
        ConfigError: `factory` is neither callable nor a name, or `skip` names an unknown check.
        UnknownPluginError: no plugin, or more than one, has the name.

    Examples:
        >>> check_solver("heun", order=2)
    """
    SOLVER.run(factory, Subject(factory_of("solver", factory, options), order), skip)


@SOLVER.check
def solver(subject: Subject) -> None:
    """The factory creates a `Solver`."""
    demand_kind(subject.make(), Solver, "multisi.Solver")


@SOLVER.check
def shape(subject: Subject) -> None:
    """States of any event shape and number of rows keep their shape."""
    for expected in ((1, 2), (5, 2), (3, 3, 4, 4)):
        end = _solve(subject, _flow(), torch.zeros(expected).double(), 4)
        got = tuple(end.shape) if isinstance(end, Tensor) else type(end).__name__
        demand(got == expected, f"a state of shape {expected} must keep it; got {got}.")


@SOLVER.check
def dtype(subject: Subject) -> None:
    """States keep their type."""
    for kind in (torch.float32, torch.float64):
        got = _solve(subject, _flow(), torch.zeros(3, 2, dtype=kind), 4).dtype
        demand(got == kind, f"a state of {kind} must keep its type; got {got}.")


@SOLVER.check
def calls(subject: Subject) -> None:
    """A step calls the network `calls_per_step` times, unless that is `None`."""
    made = subject.make()
    if made.calls_per_step is not None:
        for steps in (1, 2, 7, 16):
            network = Counting()
            _solve(subject, _flow(network), torch.zeros(1, 2).double(), steps)
            got, expected = len(network.points), steps * made.calls_per_step
            demand(
                got == expected,
                f"{steps} steps with calls_per_step = {made.calls_per_step} must call the network "
                f"{expected} times; got {got} calls.",
            )


@SOLVER.check
def points(subject: Subject) -> None:
    """The network is called at points of the simplex only."""
    network = Counting()
    _solve(subject, _flow(network), torch.zeros(1, 2).double(), 8)
    alpha = torch.cat(network.points)
    good = (alpha >= -1e-9).all() and ((alpha.sum(1) - 1).abs() < 1e-6).all()
    demand(good, "must use times from 0 to 1 only; the network was called off the simplex.")


@SOLVER.check
def untouched(subject: Subject) -> None:
    """The given state and times are not changed."""
    y, times = torch.full((3, 2), 0.5).double(), torch.linspace(0, 1, 5).double()
    subject.make().integrate(_flow(), y, times, generator=torch.Generator())
    same = (y == 0.5).all() and torch.equal(times, torch.linspace(0, 1, 5).double())
    demand(same, "must not change the state or the times in place.")


@SOLVER.check
def rows(subject: Subject) -> None:
    """For the flow, a row and its path do not depend on the rest of the batch."""
    y = torch.linspace(-1, 1, 6).double().reshape(3, 2)
    one = _solve(subject, _flow(), y, 16)
    alone = torch.cat([_solve(subject, _flow(), y[i : i + 1], 16) for i in range(3)])
    adaptive = subject.make().calls_per_step is None
    near = close(one, alone, 1e-2 if adaptive else 1e-6)
    demand(near, "a row must end at the same state alone and in a batch.")
    ends = _E[[1, 2, 0]]
    paths = ProbabilityFlow(ConditionalMeans(Counting()), Segment([_E, ends]), Barycentric())
    several = _solve(subject, paths, y, 64)
    for i in range(3):
        alone = _solve(subject, _flow(ends=(_E[i], ends[i])), y[i : i + 1], 64)
        near = close(several[i : i + 1], alone, 0.02)
        demand(near, "a row with its own path must end at the same state alone and in a batch.")


@SOLVER.check
def generators(subject: Subject) -> None:
    """Random numbers come from the given generator only."""
    made = subject.make()
    for dynamics in (_flow(), _diffusion()) if made.stochastic else (_flow(),):
        y = torch.zeros(3, 2).double()
        same = same_generators(lambda d=dynamics, y=y: _solve(subject, d, y, 4))  # type: ignore[misc]
        demand(same, "must not draw from a global generator.")


@SOLVER.check
def repeatable(subject: Subject) -> None:
    """Equal seeds give equal end states; for a diffusion, different seeds give different ones."""
    made, y = subject.make(), torch.zeros(3, 2).double()
    for dynamics in (_flow(), _diffusion()) if made.stochastic else (_flow(),):
        first = _solve(subject, dynamics, y, 4)
        same = torch.equal(first, _solve(subject, dynamics, y, 4))
        demand(same, "generators with the same seed must give the same end state.")
    if made.stochastic:
        differ = not torch.equal(first, _solve(subject, dynamics, y, 4, seed=1))
        demand(differ, "for a diffusion, another seed must give another end state.")


@SOLVER.check
def numbered_rows(subject: Subject) -> None:
    """For a diffusion, the noise of a numbered row does not depend on the rest of the batch."""
    if subject.make().stochastic:
        y, numbers = torch.zeros(3, 2).double(), torch.arange(3)
        together = _solve(subject, _diffusion(), y, 4, numbers=numbers)
        alone = _solve(subject, _diffusion(), y[2:], 4, numbers=numbers[2:])
        demand(
            close(together[2:], alone, 1e-6),
            "a numbered row must end at the same state alone and in a batch; draw its noise with "
            "multisi.noise.standard_normal(y, generator).",
        )


@SOLVER.check
def law(subject: Subject) -> None:
    """In the exact Gaussian case, the flow ends at the target law."""
    error = exact.error_at_the_end(solver=subject.make(), steps=64)
    demand(
        error <= _ENOUGH,
        f"the end law after 64 steps must have a relative error of at most {_ENOUGH}; got "
        f"{error:.3g}.",
    )


@SOLVER.check
def grids(subject: Subject) -> None:
    """The grid of times may be uneven, and may cover a part of [0, 1]."""
    grid = torch.linspace(0, 1, 129).double() ** 2
    error = exact.error_at_the_end(solver=subject.make(), grid=grid)
    demand(
        error <= _ENOUGH,
        f"on an uneven grid, the relative error must be at most {_ENOUGH}; got {error:.3g}.",
    )
    y = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    flow = ProbabilityFlow(exact.means(), Segment([_E[1], _E[2]]), Barycentric())
    times, source = torch.linspace(0, 1, 65).double(), torch.Generator()
    for part in (times[:33], times[32:]):
        y = subject.make().integrate(flow, y, part, generator=source)
    error = exact.error_of_map(y)
    demand(
        error <= _ENOUGH,
        f"over two halves, the relative error must be at most {_ENOUGH}; got {error:.3g}.",
    )


@SOLVER.check
def order(subject: Subject) -> None:
    """The error of the flow decreases with the number of steps at the claimed order."""
    if subject.make().calls_per_step is None:
        return  # The error of an adaptive solver depends on its tolerances, not on the steps.
    path = Bow([_E[1], _E[2]])
    few, many = (
        exact.error_at_the_end(solver=subject.make(), steps=steps, path=path)
        for steps in (64, 256)
    )
    if many > 1e-10:
        observed = math.log(few / many) / math.log(4)
        demand(
            observed >= subject.order - 0.4,
            f"the claimed order is {subject.order:g}; from 64 to 256 steps the error decreases "
            f"from {few:.3g} to {many:.3g}, which is order {observed:.2f}.",
        )


@SOLVER.check
def noise(subject: Subject) -> None:
    """In the exact Gaussian case, the diffusion ends at the target law."""
    made = subject.make()
    if made.stochastic:
        model = Model(exact.means(), exact.NAMES, "noise")
        moved = model.transport(
            exact.draw(8000), "a", "b", noise=0.5, seed=0, steps=64, solver=made
        )
        error = exact.error_of_samples(moved)
        demand(
            error <= 0.1,
            "with noise = 0.5, the end law after 64 steps must have a relative error of at most "
            f"0.1; got {error:.3g}. Set stochastic = False if it integrates the flow only.",
        )


def _flow(network: Any = None, ends: tuple[Tensor, Tensor] = (_E[1], _E[2])) -> ProbabilityFlow:
    means = ConditionalMeans(network or Counting())
    return ProbabilityFlow(means, Segment(list(ends)), Barycentric())


def _diffusion() -> Diffusion:
    return Diffusion(ConditionalMeans(Counting()), Bow([_E[1], _E[2]]), Barycentric(), 0.5)


def _solve(
    subject: Subject,
    dynamics: Dynamics,
    y: Tensor,
    steps: int,
    seed: int = 0,
    numbers: Tensor | None = None,
) -> Tensor:
    made = subject.make()
    times = time_grid(dynamics, steps, made.spread)
    generator = torch.Generator().manual_seed(seed)
    if numbers is not None:
        generator = RowGenerator(torch.device("cpu"), seed, numbers)
    with torch.no_grad():
        return integrate(dynamics, y, times, made, generator)
