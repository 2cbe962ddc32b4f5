r"""Euler, Heun and midpoint by `torchsde.sdeint`, for the ODE and the SDE alike.

torchsde integrates over the integers $[0, N]$ with steps of 1; what happens in step $i$ of the
grid is looked up in tables, so that any grid works, no step is added by rounding, and a network
call costs a few small operations. Brownian increments come from the generator that is passed.
"""

from typing import ClassVar

import torch
import torchsde
from torch import Tensor

from multisi.dynamics import ProbabilityFlow
from multisi.solvers.base import Solver


class TorchSDE(Solver):
    """A method of torchsde, described by where in a step it asks for the drift.

    Each stage is (at, stop, factor), as shares of the step: the drift at `at` is the exact
    difference of the coordinates from the start of the step to `stop`, times `factor`.
    """

    method: ClassVar[str]
    sde_type: ClassVar[str] = "stratonovich"  # The noise is additive: the same equation as Itô's.
    stages: ClassVar[tuple[tuple[float, float, float], ...]]

    def integrate(
        self,
        dynamics: ProbabilityFlow,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """The state at the last of `times`; the grid is used as it is."""
        steps = _Steps(self, dynamics, y, times, generator)
        span = torch.tensor([0, len(times) - 1], dtype=torch.float64)
        flat = y.reshape(len(y), -1)
        ys = torchsde.sdeint(steps, flat, span, bm=steps.brownian, method=self.method, dt=1)
        end: Tensor = ys[-1].reshape(y.shape)
        return end


class Euler(TorchSDE):
    """Euler's method, Euler and Maruyama's with noise: order 1, one network call a step."""

    method, sde_type = "euler", "ito"
    stages = ((0.0, 1.0, 1.0),)
    calls_per_step = 1


class Heun(TorchSDE):
    """Heun's method, which evaluates at both ends of a step: order 2, two calls a step."""

    method = "heun"
    stages = ((0.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    calls_per_step = 2


class Midpoint(TorchSDE):
    """The midpoint rule, which never evaluates at the end of a path: order 2, two calls a step."""

    method = "midpoint"
    stages = ((0.0, 0.5, 2.0), (0.5, 1.0, 1.0))
    calls_per_step = 2


class _Steps:
    """The steps of one integration, as the object that `torchsde.sdeint` asks for."""

    noise_type = "diagonal"

    def __init__(
        self,
        solver: TorchSDE,
        dynamics: ProbabilityFlow,
        y: Tensor,
        times: Tensor,
        generator: torch.Generator,
    ) -> None:
        share = torch.tensor(solver.stages, dtype=torch.float64)
        start = times[:-1].repeat_interleave(len(share))
        at, stop = (
            torch.lerp(times[:-1, None], times[1:, None], share[:, i]).flatten() for i in (0, 1)
        )
        self.sde_type = solver.sde_type
        self.factors = [stage[2] for stage in solver.stages]
        self.increment = dynamics.increments(y, at, start, stop)
        self.shape = y.shape
        flat = y.reshape(len(y), -1)
        self.zero = torch.zeros_like(flat)
        self.amplitudes = None
        if dynamics.noise:
            length = times.diff().repeat_interleave(len(share))
            self.amplitudes = dynamics.amplitudes(flat, at, length)
        self.brownian = _Brownian(flat, generator if dynamics.noise else None)
        self.known: tuple[int, Tensor, Tensor] | None = None

    def f(self, t: Tensor, y: Tensor) -> Tensor:
        """The drift of the current stage; asked again for the same state, the same tensor."""
        brownian = self.brownian
        place = brownian.step * len(self.factors) + brownian.stage
        brownian.stage += brownian.drawn
        if self.known is not None and self.known[0] == place and self.known[1] is y:
            return self.known[2]
        drift = self.increment(place, y.reshape(self.shape)).reshape(y.shape)
        factor = self.factors[place % len(self.factors)]
        drift = drift if factor == 1 else drift * factor
        self.known, self.place = (place, y, drift), place
        return drift

    def g(self, t: Tensor, y: Tensor) -> Tensor:
        """The diffusion of the stage that `f` was asked for, over the square root of its time."""
        return self.zero if self.amplitudes is None else self.amplitudes[self.place]


class _Brownian:
    """Increments for torchsde, drawn once a step, which they count."""

    levy_area_approximation = "none"

    def __init__(self, y: Tensor, generator: torch.Generator | None) -> None:
        self.shape = y.shape
        self.step, self.stage, self.drawn = 0, 0, False
        self._generator = generator
        self._like = y
        self._zero = y.new_zeros(())

    def __call__(self, ta: Tensor, tb: Tensor) -> Tensor:
        self.step += self.drawn
        self.stage, self.drawn = 0, True
        if self._generator is None:
            return self._zero
        like = self._like
        return torch.randn(
            self.shape, generator=self._generator, dtype=like.dtype, device=like.device
        )
