r"""Adams' multistep methods, with one network call a step.

Along a path the velocity is $\sum_k \dot\alpha_k g_k$. The conditional means $g_k$ are
extrapolated by a polynomial $p_k(\sigma)$ in the arc length through their last values, and this is
integrated against the exact coordinates,

$$y_{n+1} = y_n + \sum_k \int_{\sigma_n}^{\sigma_{n+1}} p_k\, d\alpha_k,$$

so that kinked and curved paths cost no accuracy. A corrector then integrates the step once more
with the means at its end, which the next step needs anyway.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from multisi.dynamics.blocks import Table
from multisi.dynamics.probability_flow import ProbabilityFlow
from multisi.field.conditional_means import combination
from multisi.solvers.base import Stepping, flow_only

_GROWTH = 10.0
"""How much longer than the last a step may be for polynomials to reach over both."""
_POINT = 1e-12
"""Length of a step that is none but for rounding."""
_GAUSS = tuple(torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(5))


class Multistep(Stepping):
    """A predictor through the last means, and a corrector in some of the steps.

    Arguments:
        points: How many means the polynomials go through.
        corrected: How many steps of each leg are corrected; `None` for all.
    """

    calls_per_step = 1
    stochastic = False

    def __init__(self, points: int, corrected: int | None) -> None:
        self.points, self.corrected = points, corrected

    def record(
        self,
        dynamics: ProbabilityFlow,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """A network call, a correction of the last step and a prediction of the next."""
        flow_only(self, dynamics)
        plan = _Plan(self, dynamics, y, times)
        table, kept, predicted = Table(plan.rows, plan.numbers), plan.buffer(), y
        for i in range(len(times) - 1):
            alpha, of_heads, of_state, weights = table[i]
            mixed = dynamics.mixed(predicted, alpha, of_heads)
            kept = kept.clone() if torch.is_grad_enabled() else kept
            kept[i % self.points] = _fields(mixed, predicted, of_state)
            correction, prediction = _sums(weights, kept)
            if i:
                y = y + correction.reshape(y.shape) if plan.corrects[i] else predicted
                yield y
            predicted = y + prediction.reshape(y.shape)
        yield predicted


class AdamsBashforth2(Multistep):
    """Adams and Bashforth's method of order 2: one network call a step."""

    def __init__(self) -> None:
        super().__init__(2, 0)


class AdamsBashforth3(Multistep):
    """Adams and Bashforth's method of order 3, its first step corrected: one call a step."""

    def __init__(self) -> None:
        super().__init__(3, 1)


class Adams(Multistep):
    """Adams' predictor and corrector through three means: order 3, one network call a step.

    It never evaluates at the end of a path. Steps are shorter towards the ends of each leg, where
    the polynomials have least to go by.
    """

    spread = 0.5

    def __init__(self) -> None:
        super().__init__(3, None)


class Adams4(Multistep):
    """The same through four means: order 3, and better in few steps on very smooth fields."""

    spread = 0.3

    def __init__(self) -> None:
        super().__init__(4, None)


def _fields(mixed: Tensor, y: Tensor, of_state: Tensor) -> Tensor:
    r"""$g_k - g_{\mathrm{first}}$ of the other marginals on the path, shape `(r, b, d)`."""
    return torch.addcmul(mixed, of_state, y.reshape(len(y), 1, -1)).transpose(0, 1)


def _sums(weights: Tensor, kept: Tensor) -> tuple[Tensor, ...]:
    """Two weighted sums of the fields that are kept, weights `([b,] 2, points * r)`."""
    rows = kept.flatten(0, 1)
    if weights.ndim == 2:
        return torch.matmul(weights, rows.flatten(1)).unbind(0)
    return torch.einsum("bqp,pbd->qbd", weights, rows).unbind(0)


class _Plan:
    """Points and coefficients of all steps, in float64 before they are rounded."""

    def __init__(
        self, solver: Multistep, dynamics: ProbabilityFlow, y: Tensor, times: Tensor
    ) -> None:
        self._points, self._dynamics, self._y, self._times = solver.points, dynamics, y, times
        self._places = dynamics.arc.place(times)
        inner = torch.tensor(dynamics.knots[1:-1], dtype=times.dtype)
        starts = {0, *torch.searchsorted(times, inner).tolist()}
        # Nor do they reach over a step that is tiny beside the next: they would run away.
        steps = self._places.diff()
        starts |= set((1 + (steps[1:] > _GROWTH * steps[:-1]).nonzero()[:, 0]).tolist())
        last, self._leg = 0, [0]
        """For each time, the first of the leg that ends there; polynomials stay on one leg."""
        for i in range(1, len(times)):
            self._leg.append(last)
            last = i if i in starts else last
        self._starts = starts
        most = len(times) if solver.corrected is None else solver.corrected
        self.corrects = [i - first <= most for i, first in enumerate(self._leg)]
        self._first, *self._others = dynamics.support
        self.numbers = 16 * dynamics.numbers

    def buffer(self) -> Tensor:
        """Room for the fields of the last network calls, shape `(points, r, b, d)`."""
        y = self._y
        return y.new_zeros(self._points, len(self._others), len(y), y[:1].numel())

    def rows(self, part: slice) -> tuple[Tensor, ...]:
        """Point, coefficients of the fields, and weights of the fields kept, for each step."""
        y = self._y
        index = torch.arange(len(self._times) - 1)[part]
        alpha = self._dynamics.alpha(self._times[index])
        alpha = alpha[:, None] if alpha.ndim == 2 else alpha
        # Changes of the coordinates sum to zero: fields of g_k − g_first span all that is needed.
        basis = torch.eye(alpha.shape[-1], dtype=alpha.dtype)
        basis = basis[self._others] - basis[self._first]
        of_heads, of_state = combination(alpha[:, :, None], basis)
        before = int(index[0] > 0)
        moments = self._moments(torch.arange(int(index[0]) - before, int(index[-1]) + 1))
        both = (moments[: len(index)], moments[before:])
        if not before:  # No step ends at the first time, and none is corrected there.
            both = (torch.cat([0 * moments[:1], moments[:-1]]), moments)
        weights = torch.stack(
            [self._weights(index, shift, of) for shift, of in zip((-1, 0), both, strict=True)], 1
        )
        weights = weights[..., self._others]
        # Fields stand where they were written: that of step i in place i, modulo `points`.
        turned = (index[:, None] - torch.arange(self._points)) % self._points
        weights = weights[torch.arange(len(index))[:, None], :, turned].transpose(1, 2)
        if weights.ndim == 5:
            weights = torch.einsum("mqpbr->mbqpr", weights)
        parts = (alpha, of_heads, of_state, weights.flatten(-2))
        here, *others = (of.to(y.device, y.dtype) for of in parts)
        return here.expand(-1, len(y), -1), *others

    def _weights(self, index: Tensor, shift: int, moments: Tensor) -> Tensor:
        r"""$\int \ell_j\, d\alpha$ over the step that ends (-1) or starts (0) at each time.

        Over the last `points` times, latest first, shape `(m, points, [b,] k)`. With
        $\ell_j(s) = \sum_l A_{lj} s^l$ they are $\sum_l A_{lj} \int s^l d\alpha$.
        """
        step = (index + shift).clamp_min(0)
        low = self._places[step]
        length = (self._places[step + 1] - low).clamp_min(_POINT)
        back = index[:, None] - torch.arange(self._points)
        s = (self._places[back.clamp_min(0)] - low[:, None]) / length[:, None]
        powers = s[..., None] ** torch.arange(self._points)
        first = [i if shift == 0 and i in self._starts else self._leg[i] for i in index.tolist()]
        inside = back >= torch.tensor(first)[:, None]
        inside[length <= _POINT, 1:] = False
        if shift:
            inside &= (index > 0)[:, None]
        # Times that do not count: an identity in the matrix, and moments of zero.
        square = inside[:, :, None] & inside[:, None, :]
        powers = torch.where(square, powers, torch.eye(self._points, dtype=s.dtype))
        moments = moments * inside.reshape(*inside.shape, *(1,) * (moments.ndim - 2))
        return torch.einsum("mlj,ml...->mj...", torch.linalg.inv(powers), moments)

    def _moments(self, step: Tensor) -> Tensor:
        r"""$\int s^l d\alpha = [s^l \alpha] - \int l s^{l-1} \alpha\, ds$ over unit steps."""
        nodes, shares = (_GAUSS[0] + 1) / 2, _GAUSS[1] / 2
        places = torch.lerp(self._places[step, None], self._places[step + 1, None], nodes)
        times = self._dynamics.arc.time(places.flatten())
        inner = self._alpha(times.reshape(places.shape))
        ends = self._dynamics.alpha(torch.cat([self._times[step], self._times[step + 1]]))
        start, stop = ends[: len(step)], ends[len(step) :]
        power = torch.arange(self._points)
        slope = power[:, None] * nodes ** (power[:, None] - 1).clamp_min(0) * shares
        moments = stop[:, None] - torch.einsum("lq,mq...->ml...", slope, inner)
        moments[:, 0] -= start
        return moments

    def _alpha(self, times: Tensor) -> Tensor:
        """Coordinates at times `(m, n)`: shape `(m, n, [b,] k)`."""
        alpha = self._dynamics.alpha(times.flatten())
        return alpha.reshape(*times.shape, *alpha.shape[1:])
