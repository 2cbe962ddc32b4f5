r"""Euler, Heun, midpoint, Milstein and SRK by `torchsde.sdeint`, for the ODE and the SDE alike.

torchsde integrates over the integers $[0, N]$ with steps of 1; what happens in step $i$ of the
grid is looked up in tables, so that any grid works, no step is added by rounding, and a network
call costs a few small operations. Brownian increments come from the generator that is passed.
"""

import functools
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
import torchsde
from torch import Tensor

from multisi.common.seeds import RowGenerator
from multisi.dynamics.diffusion import Diffusion
from multisi.dynamics.probability_flow import ProbabilityFlow
from multisi.solvers.base import Recording

Stage = tuple[float, tuple[tuple[float, float], ...]]


class TorchSDE(Recording):
    r"""A method of torchsde, described by where in a step it asks for the drift.

    Each stage is (at, moves), as shares of the step: the drift at `at` is
    $\sum c\,(\alpha(\mathrm{share}) - \alpha(0))$ over its moves (share, c), exact differences of
    the coordinates.
    """

    method: ClassVar[str]
    sde_type: ClassVar[str] = "stratonovich"  # The noise is additive: the same equation as Itô's.
    noise_type: ClassVar[str] = "diagonal"
    stages: ClassVar[tuple[Stage, ...]]

    def integrate(
        self,
        dynamics: ProbabilityFlow,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """The state at the last of `times`; the grid is used as it is."""
        span = torch.tensor([0, len(times) - 1], dtype=torch.float64)
        return self._solve(dynamics, y, times, generator, span)[-1]

    def record(
        self,
        dynamics: ProbabilityFlow,
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
        dynamics: ProbabilityFlow,
        y: Tensor,
        times: Tensor,
        generator: torch.Generator,
        span: Tensor,
    ) -> Tensor:
        kind = _Diagonal if self.noise_type == "diagonal" else _Additive
        steps = kind(self, dynamics, y, times, generator)
        states: Tensor = torchsde.sdeint(
            steps, y.reshape(len(y), -1), span, bm=steps.brownian, method=self.method, dt=1
        )
        # Cycles of references within torchsde would keep the states alive.
        vars(steps.brownian).clear()
        vars(steps).clear()
        return states.reshape(len(span), *y.shape)


class Euler(TorchSDE):
    """Euler's method, Euler and Maruyama's with noise: order 1, one network call a step."""

    method, sde_type = "euler", "ito"
    stages = ((0.0, ((1.0, 1.0),)),)
    calls_per_step = 1


class Heun(TorchSDE):
    """Heun's method, which evaluates at both ends of a step: order 2, two calls a step."""

    method = "heun"
    stages = ((0.0, ((1.0, 1.0),)), (1.0, ((1.0, 1.0),)))
    calls_per_step = 2


class Midpoint(TorchSDE):
    """The midpoint rule, which never evaluates at the end of a path: order 2, two calls a step."""

    method = "midpoint"
    stages = ((0.0, ((0.5, 2.0),)), (0.5, ((1.0, 1.0),)))
    calls_per_step = 2


class Milstein(Euler):
    """Milstein's method: Euler's, as the noise is additive and its correction zero."""


class SRK(TorchSDE):
    """Rößler's stochastic Runge-Kutta method for additive noise: order 2, two calls a step.

    References:
        Runge-Kutta methods for the strong approximation of solutions of stochastic differential
        equations, doi:10.1137/09076636X.
    """

    method, sde_type, noise_type = "srk", "ito", "additive"
    # The second drift is such that a third of the first and two thirds of it are the whole step.
    stages = ((0.0, ((0.75, 4 / 3),)), (0.75, ((1.0, 1.5), (0.75, -2 / 3))))
    calls_per_step = 2


class _Steps:
    """The steps of one integration, as the object that `torchsde.sdeint` asks for."""

    noise_type: str

    def __init__(
        self,
        solver: TorchSDE,
        dynamics: ProbabilityFlow,
        y: Tensor,
        times: Tensor,
        generator: torch.Generator,
    ) -> None:
        self.sde_type = solver.sde_type
        self.shape = y.shape
        at, move, length = _schedule(solver, dynamics, times)
        self.increment = dynamics.increments(y, at, move, length)
        self.brownian = _Brownian(y.reshape(len(y), -1), dynamics, times, generator)
        self.known = (-1, self.brownian.ones, self.brownian.ones)

    def f(self, t: Tensor, y: Tensor) -> Tensor:
        """The drift of the next stage; asked again for the same state, the same tensor."""
        place, known, drift = self.known
        if known is not y:
            if self.shape == y.shape:
                drift = self.increment(place + 1, y)
            else:
                drift = self.increment(place + 1, y.reshape(self.shape)).reshape(y.shape)
            self.known = (place + 1, y, drift)
        return drift


class _Diagonal(_Steps):
    """With a diffusion of one: the increments of the noise have their size already."""

    noise_type = "diagonal"

    def g(self, t: Tensor, y: Tensor) -> Tensor:
        return self.brownian.ones


class _Additive(_Steps):
    """With the product in place of the matrix of the noise, so that images work.

    torchsde asks for a drift, and for a product with numbers that it draws from the global
    generator, to see their shapes; that draw is undone.
    """

    noise_type = "additive"
    looking, state = True, torch.empty(0)

    def f(self, t: Tensor, y: Tensor) -> Tensor:
        """The drift of the next stage."""
        drift = super().f(t, y)
        if self.looking:
            self.state = torch.cuda.get_rng_state(y.device) if y.is_cuda else torch.get_rng_state()
        return drift

    def g_prod(self, t: Tensor, y: Tensor, v: Tensor) -> Tensor:
        if self.looking:
            self.looking = False
            if y.is_cuda:
                torch.cuda.set_rng_state(self.state, y.device)
            else:
                torch.set_rng_state(self.state)
        return v


class _Brownian:
    r"""Increments $\int \sqrt{2\varepsilon}\,dW$ for torchsde, which asks once a step."""

    levy_area_approximation = "space-time"

    def __init__(
        self, y: Tensor, dynamics: ProbabilityFlow, times: Tensor, generator: torch.Generator
    ) -> None:
        self.shape = y.shape
        self.ones = y.new_ones(()).expand(y.shape)
        self._step = -1
        self._like, self._generator = y, generator
        self._zero, self._sizes = y.new_zeros(()), None
        if isinstance(dynamics, Diffusion):
            self._sizes = dynamics.amplitudes(y, times)

    def __call__(self, ta: Tensor, tb: Tensor, return_U: bool = False) -> Any:
        self._step += 1
        if self._sizes is None:
            return (self._zero, self._zero) if return_U else self._zero
        size, twelfth = self._sizes[self._step]
        w = self._normal().mul_(size)
        return (w, self._normal().mul_(twelfth).add_(w, alpha=0.5)) if return_U else w

    def _normal(self) -> Tensor:
        like = self._like
        if isinstance(self._generator, RowGenerator):
            return self._generator.normal(like)
        return torch.randn(
            self.shape, generator=self._generator, dtype=like.dtype, device=like.device
        )


def _schedule(
    solver: TorchSDE, dynamics: ProbabilityFlow, times: Tensor
) -> tuple[Tensor, Any, Tensor]:
    """Times of evaluation, changes of the coordinates, and times over which the score acts."""
    places = dynamics.arc.place(times)

    @functools.cache
    def inside(share: float) -> Tensor:
        if share in (0.0, 1.0):
            return times[int(share) : len(times) - 1 + int(share)]
        return dynamics.arc.time(torch.lerp(places[:-1], places[1:], share))

    at = torch.stack([inside(stage[0]) for stage in solver.stages], 1).flatten()
    terms = max(len(moves) for _, moves in solver.stages)
    padded = [(*moves, *((0.0, 0.0),) * (terms - len(moves))) for _, moves in solver.stages]
    stops = torch.stack(
        [torch.stack([inside(share) for share, _ in moves], 1) for moves in padded], 1
    ).flatten(0, 1)
    factors = torch.tensor(
        [[factor for _, factor in moves] for moves in padded], dtype=torch.float64
    ).repeat(len(times) - 1, 1)
    start = times[:-1].repeat_interleave(len(solver.stages))
    length = (factors * (stops - start[:, None])).sum(1)
    if isinstance(dynamics, Diffusion):
        # At an end the score may be out of reach; in the middle of the step it is not.
        middle = inside(0.5).repeat_interleave(len(solver.stages))
        at = torch.where(dynamics.regular(at), at, middle)

    def move(part: slice) -> Tensor:
        first = dynamics.alpha(start[part])
        last = dynamics.alpha(stops[part].flatten())
        last = last.reshape(-1, terms, *last.shape[1:])
        return torch.einsum("nq,nq...->n...", factors[part], last - first[:, None])

    return at, move, length
