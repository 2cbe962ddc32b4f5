"""The battery for solvers."""

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
"""Relative error that 64 steps of a first-order method stay below."""


@dataclass(frozen=True)
class Subject:
    """A solver to check, and the order that is claimed for it."""

    make: Callable[[], Any]
    order: float


class Counting(torch.nn.Module):
    """Heads that are known, any event, which count the calls and note the points."""

    def __init__(self) -> None:
        super().__init__()
        self.points: list[Tensor] = []

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        """Heads that pull towards fixed places, `(b, 3, *event)`."""
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
        factory: Its class, another function that makes it, or the name it is registered by.
        order: The order of convergence that is claimed for the flow.
        skip: Names of checks to leave out.
        options: Handed to the factory.

    Raises:
        ConformanceError: it fails a check; with every check that it fails, and why.

    Example:
        >>> check_solver("heun", order=2)
    """
    SOLVER.run(factory, Subject(factory_of("solver", factory, options), order), skip)


@SOLVER.check
def solver(subject: Subject) -> None:
    """It is a `Solver`."""
    demand_kind(subject.make(), Solver, "multisi.Solver")


@SOLVER.check
def shape(subject: Subject) -> None:
    """States of any shape and number of rows keep their shape."""
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
    """A step asks the network `calls_per_step` times, where that is a number."""
    made = subject.make()
    if made.calls_per_step is not None:
        for steps in (1, 2, 7, 16):
            network = Counting()
            _solve(subject, _flow(network), torch.zeros(1, 2).double(), steps)
            got, expected = len(network.points), steps * made.calls_per_step
            demand(
                got == expected,
                f"{steps} steps of calls_per_step = {made.calls_per_step} must ask the network "
                f"{expected} times; it is asked {got} times.",
            )


@SOLVER.check
def points(subject: Subject) -> None:
    """The network is asked at points of the simplex only."""
    network = Counting()
    _solve(subject, _flow(network), torch.zeros(1, 2).double(), 8)
    asked = torch.cat(network.points)
    good = (asked >= -1e-9).all() and ((asked.sum(1) - 1).abs() < 1e-6).all()
    demand(good, "must ask for times from 0 to 1 only; the network was asked off the simplex.")


@SOLVER.check
def untouched(subject: Subject) -> None:
    """The state and the times that it is given are left as they are."""
    y, times = torch.full((3, 2), 0.5).double(), torch.linspace(0, 1, 5).double()
    subject.make().integrate(_flow(), y, times, generator=torch.Generator())
    same = (y == 0.5).all() and torch.equal(times, torch.linspace(0, 1, 5).double())
    demand(same, "must not change the state or the times in place.")


@SOLVER.check
def rows(subject: Subject) -> None:
    """For the flow, a row does not depend on the rest of the batch, also on paths of its own."""
    y = torch.linspace(-1, 1, 6).double().reshape(3, 2)
    one = _solve(subject, _flow(), y, 16)
    alone = torch.cat([_solve(subject, _flow(), y[i : i + 1], 16) for i in range(3)])
    adaptive = subject.make().calls_per_step is None
    near = close(one, alone, 1e-2 if adaptive else 1e-6)
    demand(near, "a row must end where it ends alone.")
    ends = _E[[1, 2, 0]]
    paths = ProbabilityFlow(ConditionalMeans(Counting()), Segment([_E, ends]), Barycentric())
    several = _solve(subject, paths, y, 64)
    for i in range(3):
        alone = _solve(subject, _flow(ends=(_E[i], ends[i])), y[i : i + 1], 64)
        near = close(several[i : i + 1], alone, 0.02)
        demand(near, "paths that differ from row to row must lead where they lead alone.")


@SOLVER.check
def generators(subject: Subject) -> None:
    """Random numbers come from the generator that is given, and from no other."""
    made = subject.make()
    for dynamics in (_flow(), _diffusion()) if made.stochastic else (_flow(),):
        y = torch.zeros(3, 2).double()
        same = same_generators(lambda d=dynamics, y=y: _solve(subject, d, y, 4))  # type: ignore[misc]
        demand(same, "must not draw from a global generator.")


@SOLVER.check
def repeatable(subject: Subject) -> None:
    """One seed gives one end; for a diffusion another seed gives another."""
    made, y = subject.make(), torch.zeros(3, 2).double()
    for dynamics in (_flow(), _diffusion()) if made.stochastic else (_flow(),):
        first = _solve(subject, dynamics, y, 4)
        same = torch.equal(first, _solve(subject, dynamics, y, 4))
        demand(same, "a generator of the same seed must lead to the same end.")
    if made.stochastic:
        differ = not torch.equal(first, _solve(subject, dynamics, y, 4, seed=1))
        demand(differ, "for a diffusion, another seed must lead to another end.")


@SOLVER.check
def numbered_rows(subject: Subject) -> None:
    """For a diffusion, the noise of a numbered row does not depend on the rest of the batch."""
    if subject.make().stochastic:
        y, numbers = torch.zeros(3, 2).double(), torch.arange(3)
        together = _solve(subject, _diffusion(), y, 4, numbers=numbers)
        alone = _solve(subject, _diffusion(), y[2:], 4, numbers=numbers[2:])
        demand(
            close(together[2:], alone, 1e-6),
            "a numbered row must end where it ends alone; draw its noise with "
            "multisi.noise.standard_normal(y, generator).",
        )


@SOLVER.check
def law(subject: Subject) -> None:
    """The flow ends at the target, in the exact Gaussian case."""
    error = exact.error_at_the_end(solver=subject.make(), steps=64)
    demand(error <= _ENOUGH, f"64 steps leave a relative error of {error:.3g} of the law.")


@SOLVER.check
def grids(subject: Subject) -> None:
    """The grid may be uneven, and need not go from 0 to 1 at once."""
    grid = torch.linspace(0, 1, 129).double() ** 2
    error = exact.error_at_the_end(solver=subject.make(), grid=grid)
    demand(error <= _ENOUGH, f"on an uneven grid it leaves a relative error of {error:.3g}.")
    y = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    flow = ProbabilityFlow(exact.means(), Segment([_E[1], _E[2]]), Barycentric())
    times, source = torch.linspace(0, 1, 65).double(), torch.Generator()
    for part in (times[:33], times[32:]):
        y = subject.make().integrate(flow, y, part, generator=source)
    error = exact.error_of_map(y)
    demand(error <= _ENOUGH, f"in two halves it leaves a relative error of {error:.3g}.")


@SOLVER.check
def order(subject: Subject) -> None:
    """The error of the flow falls with the steps as the claimed order says."""
    if subject.make().calls_per_step is None:
        return  # How far the error falls is then a matter of tolerances, not of steps.
    path = Bow([_E[1], _E[2]])
    few, many = (
        exact.error_at_the_end(solver=subject.make(), steps=steps, path=path)
        for steps in (64, 256)
    )
    if many > 1e-10:
        observed = math.log(few / many) / math.log(4)
        demand(
            observed >= subject.order - 0.4,
            f"order {subject.order:g} is claimed; from 64 to 256 steps the error falls from "
            f"{few:.3g} to {many:.3g}, as by order {observed:.2f}.",
        )


@SOLVER.check
def noise(subject: Subject) -> None:
    """A diffusion has the same law at the end."""
    made = subject.make()
    if made.stochastic:
        model = Model(exact.means(), exact.NAMES, "noise")
        moved = model.transport(
            exact.draw(8000), "a", "b", noise=0.5, seed=0, steps=64, solver=made
        )
        error = exact.error_of_samples(moved)
        demand(
            error <= 0.1,
            f"with noise = 0.5, 64 steps leave a relative error of {error:.3g} of the law. Say "
            "stochastic = False if it integrates the flow only.",
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
