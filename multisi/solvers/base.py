"""The solver: integrates dynamics over a grid of times."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from multisi.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from torch import Tensor

    from multisi.dynamics.probability_flow import ProbabilityFlow


class Solver(ABC):
    """Carries a state along a grid of times; `dynamics` is a probability flow or a diffusion.

    `dynamics` offers `alpha(t)`, `means(y, alpha)`, `drift(y, t)` and `diffusion(t)`.
    """

    calls_per_step: int | None = None
    """Network calls of one step, where that is a constant."""

    stochastic: bool = True
    """Whether it integrates diffusions as well; the flow it always does."""

    spread: float = 0.0
    """How far steps are drawn to the ends of each leg of a path: 0 for even steps, below 1."""

    @abstractmethod
    def integrate(
        self,
        dynamics: ProbabilityFlow,
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
            generator: Where random numbers come from, on the device of `y`.
        """

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"{type(self).__name__}({options})"


class Recording(Solver):
    """A solver that can tell the states on the way, one for each time of the grid.

    Of other solvers, whole paths are made by integrating from time to time.
    """

    @abstractmethod
    def record(
        self,
        dynamics: ProbabilityFlow,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """The states at all times after the first; the last is that of `integrate`."""


class Stepping(Recording):
    """A recording solver whose end is the last state of its record."""

    def integrate(
        self,
        dynamics: ProbabilityFlow,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """The last state of the record."""
        for state in self.record(dynamics, y, times, generator=generator):
            y = state
        return y


class FixedStep(Stepping):
    """A solver that is given by one step."""

    @abstractmethod
    def step(
        self,
        dynamics: ProbabilityFlow,
        y: Tensor,
        t: Tensor,
        u: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """The state at time `u`, from the state `y` at time `t < u`."""

    def record(
        self,
        dynamics: ProbabilityFlow,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """One step for each interval of the grid."""
        for t, u in itertools.pairwise(times):
            y = self.step(dynamics, y, t, u, generator)
            yield y


def flow_only(solver: Solver, dynamics: ProbabilityFlow) -> None:
    """See that there is no noise, for solvers that know none.

    Raises:
        ConfigError: the dynamics are a diffusion.
    """
    if dynamics.stochastic:
        raise ConfigError(f"{solver!r} integrates the flow only; use solver='midpoint' for noise.")
