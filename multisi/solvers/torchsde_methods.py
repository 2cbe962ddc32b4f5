r"""Euler, Heun, midpoint, Milstein and SRK by `torchsde.sdeint`, for the ODE and the SDE alike.

torchsde integrates over the integers $[0, N]$ with steps of 1. The coefficients of step $i$ of the
grid are looked up in tables, so that any grid works, rounding adds no step, and a network call
costs a few small operations. Brownian increments come from the generator that is passed.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch
import torchsde
from einops import rearrange
from torch import Tensor

from multisi.dynamics import Dynamics
from multisi.noise import standard_normal
from multisi.solvers.base import Solver

Stage = tuple[float, tuple[tuple[float, float], ...]]


class TorchSDE(Solver):
    r"""A method of torchsde, described by the stages at which it evaluates the drift.

    Each stage is (at, moves), in shares of the step. The drift at `at` has the coefficients
    $\sum c\,(\alpha(\mathrm{share}) - \alpha(0))$, summed over its moves (share, c): exact
    differences of the coordinates.
    """

    method: ClassVar[str]
    sde_type: ClassVar[str] = "stratonovich"  # The noise is additive: the same equation as Itô's.
    noise_type: ClassVar[str] = "diagonal"
    stages: ClassVar[tuple[Stage, ...]]

    def integrate(
        self,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """The state at the last of `times`."""
        span = torch.tensor([0, len(times) - 1], dtype=torch.float64)
        return self._solve(dynamics, y, times, generator, span)[-1]

    def record(
        self,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """The states at all times after the first."""
        span = torch.arange(len(times), dtype=torch.float64)
        yield from self._solve(dynamics, y, times, generator, span)[1:]

    def _solve(
        self,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        generator: torch.Generator,
        span: Tensor,
    ) -> Tensor:
        kind = _Diagonal if self.noise_type == "diagonal" else _Additive
        steps = kind(self, dynamics, y, times, generator)
        flat = y.reshape(len(y), -1)  # torchsde takes vectors only.
        states: Tensor = torchsde.sdeint(
            steps, flat, span, bm=steps.brownian, method=self.method, dt=1
        )
        # Reference cycles in torchsde would keep the states alive.
        vars(steps.brownian).clear()
        vars(steps).clear()
        return states.reshape(len(span), *y.shape)


class Euler(TorchSDE):
    """Euler's method, with noise the Euler-Maruyama method: order 1, one network call per step.

    References:
        Kloeden, Platen. Numerical solution of stochastic differential equations (1992),
        doi:10.1007/978-3-662-12616-5.
    """

    method, sde_type = "euler", "ito"
    stages = ((0.0, ((1.0, 1.0),)),)
    calls_per_step = 1


class Heun(TorchSDE):
    """Heun's method, which evaluates at both ends of a step: order 2, two calls per step.

    References:
        Kloeden, Platen. Numerical solution of stochastic differential equations (1992),
        doi:10.1007/978-3-662-12616-5.
    """

    method = "heun"
    stages = ((0.0, ((1.0, 1.0),)), (1.0, ((1.0, 1.0),)))
    calls_per_step = 2


class Midpoint(TorchSDE):
    """The midpoint rule, which never evaluates at the end of a path: order 2, two calls per step.

    References:
        Li, Wong, Chen, Duvenaud. Scalable gradients for stochastic differential equations (2020),
        arXiv:2001.01328.
    """

    method = "midpoint"
    stages = ((0.0, ((0.5, 2.0),)), (0.5, ((1.0, 1.0),)))
    calls_per_step = 2


class Milstein(Euler):
    """Milstein's method, here equal to Euler's, as the correction for additive noise is zero.

    References:
        Kloeden, Platen. Numerical solution of stochastic differential equations (1992),
        doi:10.1007/978-3-662-12616-5.
    """


class SRK(TorchSDE):
    """Rößler's stochastic Runge-Kutta method for additive noise: order 2, two calls per step.

    References:
        Rößler. Runge-Kutta methods for the strong approximation of solutions of stochastic
        differential equations (2010), doi:10.1137/09076636X.
    """

    method, sde_type, noise_type = "srk", "ito", "additive"
    # One third of the first drift plus two thirds of the second is the whole step.
    stages = ((0.0, ((0.75, 4 / 3),)), (0.75, ((1.0, 1.5), (0.75, -2 / 3))))
    calls_per_step = 2


class _Steps:
    """The steps of one integration, with the interface that `torchsde.sdeint` expects."""

    noise_type: str

    def __init__(
        self,
        solver: TorchSDE,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        generator: torch.Generator,
    ) -> None:
        self.sde_type = solver.sde_type
        self.shape = y.shape
        self.increment = dynamics.increments(y, *_schedule(solver, dynamics, times))
        self.brownian = _Brownian(y.reshape(len(y), -1), dynamics, times, generator)
        # The stage, the state and the drift of the last call.
        self.known = (-1, self.brownian.ones, self.brownian.ones)

    def drift(self, y: Tensor) -> Tensor:
        """The drift of the next stage; the last one again for the same state."""
        stage, known, drift = self.known
        if known is not y:
            if self.shape == y.shape:
                drift = self.increment(stage + 1, y)
            else:
                drift = self.increment(stage + 1, y.reshape(self.shape)).reshape(y.shape)
            self.known = (stage + 1, y, drift)
        return drift


class _Diagonal(_Steps):
    """A diffusion coefficient of one: the increments of the noise already have their scale."""

    noise_type = "diagonal"

    def f(self, t: Tensor, y: Tensor) -> Tensor:
        return self.drift(y)

    def g(self, t: Tensor, y: Tensor) -> Tensor:
        return self.brownian.ones


class _Additive(_Steps):
    """Products of matrix and noise: the matrix itself would be too large for images.

    torchsde first checks shapes by a drift and by a product with numbers that it draws from the
    global generator; that draw is undone.
    """

    noise_type = "additive"
    checking, state = True, torch.empty(0, dtype=torch.float32)

    def f(self, t: Tensor, y: Tensor) -> Tensor:
        drift = self.drift(y)
        if self.checking:
            self.state = torch.cuda.get_rng_state(y.device) if y.is_cuda else torch.get_rng_state()
        return drift

    def g_prod(self, t: Tensor, y: Tensor, v: Tensor) -> Tensor:
        if self.checking:
            self.checking = False
            if y.is_cuda:
                torch.cuda.set_rng_state(self.state, y.device)
            else:
                torch.set_rng_state(self.state)
        return v


class _Brownian:
    r"""Increments $\int \sqrt{2\varepsilon}\,dW$ for torchsde, which takes one per step."""

    levy_area_approximation = "space-time"

    def __init__(
        self, y: Tensor, dynamics: Dynamics, times: Tensor, generator: torch.Generator
    ) -> None:
        self.shape = y.shape
        self.ones = y.new_ones(()).expand(y.shape)
        self._step = -1
        self._like, self._generator, self._zero = y, generator, y.new_zeros(())
        self._scales = dynamics.noise_scales(y, times) if dynamics.stochastic else None

    def __call__(self, ta: Tensor, tb: Tensor, return_U: bool = False) -> Any:
        self._step += 1
        if self._scales is None:
            return (self._zero, self._zero) if return_U else self._zero
        (scale,) = self._scales[self._step]
        w = standard_normal(self._like, self._generator).mul_(scale)
        if not return_U:
            return w
        # The time integral of the noise over a unit step: w / 2, and a part of variance 1 / 12.
        rest = standard_normal(self._like, self._generator)
        return w, torch.addcmul(w / 2, rest, scale, value=12**-0.5)


def _schedule(
    solver: TorchSDE, dynamics: Dynamics, times: Tensor
) -> tuple[Tensor, Callable[[slice], Tensor], Tensor, Tensor | None]:
    """The arguments of `Dynamics.increments`, one row per stage of each step."""
    # Axes: n steps, s stages of a step, q moves of a stage.
    places = dynamics.arc.place(times)

    @functools.cache
    def inside(share: float) -> Tensor:
        """The time at a share of each step."""
        if share in (0.0, 1.0):
            return times[int(share) : len(times) - 1 + int(share)]
        return dynamics.arc.time(torch.lerp(places[:-1], places[1:], share))

    at = rearrange([inside(stage) for stage, _ in solver.stages], "s n -> (n s)")
    terms = max(len(moves) for _, moves in solver.stages)
    padded = [(*moves, *((0.0, 0.0),) * (terms - len(moves))) for _, moves in solver.stages]
    moved = [torch.stack([inside(share) for share, _ in moves]) for moves in padded]
    stops = rearrange(moved, "s q n -> (n s) q")
    factors = torch.tensor(
        [[factor for _, factor in moves] for moves in padded], dtype=torch.float64
    ).repeat(len(times) - 1, 1)
    start = times[:-1].repeat_interleave(len(solver.stages))
    lengths = (factors * (stops - start[:, None])).sum(1)

    def changes(part: slice) -> Tensor:
        first = dynamics.alpha(start[part])
        last = dynamics.alpha(stops[part].flatten())
        last = rearrange(last, "(n q) ... -> n q ...", q=terms)
        return torch.einsum("nq,nq...->n...", factors[part], last - first[:, None])

    # At an end of the path the score may not exist; in the middle of a step it does.
    middle = inside(0.5) if dynamics.stochastic else None
    otherwise = None if middle is None else middle.repeat_interleave(len(solver.stages))
    return at, changes, lengths, otherwise
