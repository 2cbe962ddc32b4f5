"""The solver: integrates dynamics over a grid of times."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from multisi.dynamics import ProbabilityFlow


class Solver(ABC):
    """Carries a state along a grid of times; `dynamics` is a probability flow or a diffusion.

    `dynamics` offers `alpha(t)`, `means(y, alpha)`, `drift(y, t)` and `diffusion(t)`.
    """

    calls_per_step: int | None = None
    """Network calls of one step, where that is a constant."""

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


class FixedStep(Solver):
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

    def integrate(
        self,
        dynamics: ProbabilityFlow,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """One step for each interval of the grid."""
        for t, u in itertools.pairwise(times):
            y = self.step(dynamics, y, t, u, generator)
        return y
