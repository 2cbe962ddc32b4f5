"""The solver: integrates dynamics over a grid of times."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from multisi.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch
    from torch import Tensor

    from multisi.dynamics import Dynamics


class Solver(ABC):
    """Carries a state along a grid of times; `dynamics` is a probability flow or a diffusion.

    What `dynamics` offers is documented in `multisi.dynamics.Dynamics`: `drift(y, t)` and
    `diffusion(t)`, the exact `increments` along the path, its `knots` and its arc length `arc`.
    """

    calls_per_step: int | None = None
    """Network calls of one step, where that is a constant."""

    stochastic: bool = True
    """Whether it also integrates diffusions; every solver integrates the flow."""

    spread: float = 0.0
    """How far steps are drawn to the ends of each leg of a path: 0 for even steps, below 1."""

    @abstractmethod
    def integrate(
        self,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """The state at the last of `times`.

        Arguments:
            dynamics: What to integrate.
            y: The state at the first time, shape `(b, *event)`.
            times: Increasing times in [0, 1], float64 on the CPU, shape `(n + 1,)`.
            generator: Source of random numbers, on the device of `y`; draw with
                `multisi.noise.standard_normal(y, generator)`, which keeps the numbers of a row
                independent of its batch.
        """

    def record(
        self,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """The states at all times after the first, one by one.

        This default integrates from time to time. A solver whose steps depend on earlier ones
        has a record of its own, whose last state is that of `integrate`.
        """
        for i in range(len(times) - 1):
            y = self.integrate(dynamics, y, times[i : i + 2], generator=generator)
            yield y

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"{type(self).__name__}({options})"


class FixedStep(Solver):
    """A solver that is given by one step."""

    @abstractmethod
    def step(
        self,
        dynamics: Dynamics,
        y: Tensor,
        t: Tensor,
        u: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """The state at time `u`, from the state `y` at time `t < u`."""

    def integrate(
        self,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """One step for each interval of the grid."""
        for t, u in itertools.pairwise(times):
            y = self.step(dynamics, y, t, u, generator)
        return y


def last(states: Iterable[Tensor], y: Tensor) -> Tensor:
    """The last of some states, or `y` if there are none."""
    for state in states:
        y = state
    return y


def flow_only(solver: Solver, dynamics: Dynamics) -> None:
    """Check that there is no noise, for a solver without SDE support.

    Raises:
        ConfigError: the dynamics are a diffusion.
    """
    if dynamics.stochastic:
        raise ConfigError(f"{solver!r} integrates the flow only; use solver='midpoint' for noise.")
