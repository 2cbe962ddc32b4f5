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
    """A numerical method that integrates a probability flow or a diffusion over a grid of times.

    The methods of `dynamics` are documented in `multisi.dynamics.Dynamics`: `drift(y, t)` and
    `diffusion(t)`, the exact `increments` along the path, its `knots` and its arc length `arc`.

    Examples:
        >>> import multisi, torch
        >>> class OneCall(Solver):
        ...     stochastic = False
        ...     def integrate(self, dynamics, y, times, *, generator):
        ...         start, stop = dynamics.alpha(times[0]), dynamics.alpha(times[-1])
        ...         return y + dynamics.combine(y, start, stop - start)
        >>> means = lambda x, alpha: torch.stack([0 * x, 0 * x + 3], 1)
        >>> model = multisi.Model(means, ["a", "b"])
        >>> model.transport(torch.zeros(1, 2), "a", "b", solver=OneCall())
        tensor([[3., 3.]])
    """

    calls_per_step: int | None = None
    """Network calls per step, where this number is constant."""

    stochastic: bool = True
    """Whether the solver also integrates diffusions; every solver integrates the flow."""

    spread: float = 0.0
    """How strongly steps are concentrated at the ends of each leg: 0 for even steps, below 1."""

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
            dynamics: The flow or the diffusion to integrate.
            y: The state at the first time, shape `(b, *event)`.
            times: Increasing times in [0, 1], float64 on the CPU, shape `(n + 1,)`.
            generator: Source of random numbers, on the device of `y`; draw with
                `multisi.noise.standard_normal(y, generator)`, which keeps the numbers of a row
                independent of its batch.

        Returns:
            The state at the last time, shape `(b, *event)`.
        """

    def record(
        self,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """The states at all times after the first, one by one; arguments as for `integrate`.

        This default integrates from each time to the next. A solver whose steps depend on earlier
        ones replaces it; its last state must be that of `integrate`.
        """
        for i in range(len(times) - 1):
            y = self.integrate(dynamics, y, times[i : i + 2], generator=generator)
            yield y

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"{type(self).__name__}({options})"


class FixedStep(Solver):
    """A solver defined by a single step.

    Examples:
        >>> import multisi, torch
        >>> class Forward(FixedStep):
        ...     stochastic = False
        ...     def step(self, dynamics, y, t, u, generator):
        ...         return y + (u - t) * dynamics.velocity(y, t)
        >>> means = lambda x, alpha: torch.stack([0 * x, 0 * x + 3], 1)
        >>> model = multisi.Model(means, ["a", "b"])
        >>> model.transport(torch.zeros(1, 2), "a", "b", solver=Forward(), steps=1)
        tensor([[3., 3.]])
    """

    @abstractmethod
    def step(
        self,
        dynamics: Dynamics,
        y: Tensor,
        t: Tensor,
        u: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """The state at time `u`, from the state `y` at time `t < u`.

        Arguments:
            dynamics: The flow or the diffusion to integrate.
            y: The state at time `t`, shape `(b, *event)`.
            t: The time at the start of the step, float64, shape `()`.
            u: The time at the end of the step, float64, shape `()`.
            generator: Source of random numbers, as for `integrate`.

        Returns:
            The state at time `u`, shape `(b, *event)`.
        """

    def integrate(
        self,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """The state at the last of `times`, by one step for each interval of the grid."""
        for t, u in itertools.pairwise(times):
            y = self.step(dynamics, y, t, u, generator)
        return y


def last(states: Iterable[Tensor], y: Tensor) -> Tensor:
    """The last of `states`, or `y` if there are none."""
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
