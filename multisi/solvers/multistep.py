r"""Adams multistep methods, with one network call per step.

Along a path the velocity is $\sum_k \dot\alpha_k g_k$. The conditional means $g_k$ are
extrapolated by a polynomial $p_k(\sigma)$ in the arc length through their last values, and the
polynomial is integrated against the exact coordinates,

$$y_{n+1} = y_n + \sum_k \int_{\sigma_n}^{\sigma_{n+1}} p_k\, d\alpha_k,$$

so that kinked and curved paths cost no accuracy. A corrector then integrates the step again with
the means at its end, which the next step needs anyway.
"""

from collections.abc import Iterator

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from multisi.common.shapes import leading
from multisi.dynamics import Dynamics
from multisi.dynamics.blocks import Blocks
from multisi.field.conditional_means import projected_combination
from multisi.solvers.base import Solver, flow_only, last

_GROWTH = 10.0
"""Largest ratio of a step to the one before for one polynomial to cover both."""
_POINT = 1e-12
"""Steps shorter than this count as steps of length zero."""
_GAUSS = tuple(torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(5))


class Multistep(Solver):
    """A predictor through the last means, and a corrector for some of the steps.

    Arguments:
        points: How many values of the means the polynomials pass through.
        corrected: How many steps of each leg are corrected; `None` for all.
    """

    calls_per_step = 1
    stochastic = False

    def __init__(self, points: int, corrected: int | None) -> None:
        self.points, self.corrected = points, corrected

    def integrate(
        self,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """The state at the last of `times`."""
        return last(self.record(dynamics, y, times, generator=generator), y)

    def record(
        self,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """The states after the first; each call corrects one step and predicts the next."""
        flow_only(self, dynamics)
        plan = _Plan(self, dynamics, y, times)
        means, condition = dynamics.conditional_means, dynamics.condition
        blocks, kept, predicted = Blocks(plan.rows, plan.numbers), plan.buffer(), y
        for i in range(len(times) - 1):
            alpha, of_heads, of_state, weights = blocks[i]
            heads = means.mixed(predicted, alpha, of_heads, condition)
            kept = kept.clone() if torch.is_grad_enabled() else kept
            kept[i % self.points] = _fields(heads, predicted, of_state)
            correction, prediction = _sums(weights, kept)
            if i:
                y = y + correction.reshape(y.shape) if plan.corrects[i] else predicted
                yield y
            predicted = y + prediction.reshape(y.shape)
        yield predicted


class AdamsBashforth2(Multistep):
    """The Adams-Bashforth method of order 2: one network call per step.

    References:
        Hairer, Nørsett, Wanner. Solving ordinary differential equations I (1993),
        doi:10.1007/978-3-540-78862-1, section III.1.
    """

    def __init__(self) -> None:
        super().__init__(2, 0)


class AdamsBashforth3(Multistep):
    """The Adams-Bashforth method of order 3, with a corrected first step: one call per step.

    References:
        Hairer, Nørsett, Wanner. Solving ordinary differential equations I (1993),
        doi:10.1007/978-3-540-78862-1, section III.1.
    """

    def __init__(self) -> None:
        super().__init__(3, 1)


class Adams(Multistep):
    """The Adams predictor-corrector method through three means: order 3, one call per step.

    It never evaluates at the end of a path. Steps are shorter towards the ends of each leg, where
    the polynomials pass through fewer values.

    References:
        Hairer, Nørsett, Wanner. Solving ordinary differential equations I (1993),
        doi:10.1007/978-3-540-78862-1, section III.1.
    """

    spread = 0.5

    def __init__(self) -> None:
        super().__init__(3, None)


class Adams4(Multistep):
    """The Adams predictor-corrector method through four means, for few steps on smooth fields.

    Its order is 3, with one network call per step. On very smooth fields it is more accurate than
    `Adams` in few steps.

    References:
        Hairer, Nørsett, Wanner. Solving ordinary differential equations I (1993),
        doi:10.1007/978-3-540-78862-1, section III.1.
    """

    spread = 0.3

    def __init__(self) -> None:
        super().__init__(4, None)


# Axes: b rows, d numbers of a state, k marginals, r marginals on the path but the first,
# m steps of a block, p points of a polynomial (latest first), q the corrector and the predictor.


def _fields(heads: Tensor, y: Tensor, of_state: Tensor) -> Tensor:
    r"""$g_k - g_{\mathrm{first}}$ of the other marginals on the path, shape `(r, b, d)`."""
    return torch.addcmul(heads, of_state, y.reshape(len(y), 1, -1)).transpose(0, 1)


def _sums(weights: Tensor, kept: Tensor) -> tuple[Tensor, ...]:
    """Correction and prediction `(b, d)`, for weights `([b,] q, p * r)`, fields `(p, r, b, d)`."""
    fields = kept.flatten(0, 1)
    if weights.ndim == 2:
        return torch.matmul(weights, fields.flatten(1)).unbind(0)
    return torch.einsum("bqp,pbd->qbd", weights, fields).unbind(0)


class _Plan:
    """The points and the coefficients of all steps, computed in float64."""

    def __init__(self, solver: Multistep, dynamics: Dynamics, y: Tensor, times: Tensor) -> None:
        self._points, self._dynamics, self._y, self._times = solver.points, dynamics, y, times
        self._places = dynamics.arc.place(times)
        inner = torch.tensor(dynamics.knots[1:-1], dtype=times.dtype)
        starts = {0, *torch.searchsorted(times, inner).tolist()}
        # A polynomial through the ends of a tiny step diverges over a long one: start again.
        steps = self._places.diff()
        starts |= set((1 + (steps[1:] > _GROWTH * steps[:-1]).nonzero()[:, 0]).tolist())
        self._starts = starts
        # For each time the index of the first time of its leg; polynomials stay on one leg, since
        # the means may have a kink at a knot.
        first, self._leg = 0, [0]
        for i in range(1, len(times)):
            self._leg.append(first)
            first = i if i in starts else first
        most = len(times) if solver.corrected is None else solver.corrected
        self.corrects = [i - first <= most for i, first in enumerate(self._leg)]
        self._first, *self._others = dynamics.support
        self.numbers = 16 * dynamics.alpha(0.0).numel()

    def buffer(self) -> Tensor:
        """A buffer for the fields of the last network calls, shape `(p, r, b, d)`."""
        y = self._y
        return y.new_zeros(self._points, len(self._others), len(y), y[:1].numel())

    def rows(self, part: slice) -> tuple[Tensor, ...]:
        """For each step the point, the coefficients of heads and state, and the field weights."""
        y = self._y
        index = torch.arange(len(self._times) - 1)[part]
        alpha = self._dynamics.alpha(self._times[index])
        alpha = alpha[:, None] if alpha.ndim == 2 else alpha  # (m, 1 or b, k)
        # The changes of the coordinates sum to zero, so only the fields g_k − g_first matter.
        basis = torch.eye(alpha.shape[-1], dtype=alpha.dtype)
        basis = basis[self._others] - basis[self._first]
        of_heads, of_state = projected_combination(alpha[:, :, None], basis)
        # The corrector needs the moments of the step before as well.
        before = int(index[0] > 0)
        moments = self._moments(torch.arange(int(index[0]) - before, int(index[-1]) + 1))
        both = (moments[: len(index)], moments[before:])
        if not before:  # No step ends at the first time, and none is corrected there.
            both = (torch.cat([0 * moments[:1], moments[:-1]]), moments)
        weights = torch.stack(
            [self._weights(index, shift, of) for shift, of in zip((-1, 0), both, strict=True)], 1
        )
        weights = weights[..., self._others]  # (m, q, p, [b,] r)
        # The buffer is a ring: the field of step i has index i modulo p.
        turned = (index[:, None] - torch.arange(self._points)) % self._points
        weights = weights[torch.arange(len(index))[:, None], :, turned].transpose(1, 2)
        if weights.ndim == 5:
            weights = rearrange(weights, "m q p b r -> m b q p r")
        parts = (alpha, of_heads, of_state, rearrange(weights, "... p r -> ... (p r)"))
        here, *others = (of.to(y.device, y.dtype) for of in parts)
        return here.expand(-1, len(y), -1), *others

    def _weights(self, index: Tensor, shift: int, moments: Tensor) -> Tensor:
        r"""$\int \ell_j\, d\alpha$ over the step that ends (-1) or starts (0) at each time.

        Over the last points, latest first, shape `(m, p, [b,] k)`. With the Lagrange polynomials
        $\ell_j(s) = \sum_l A_{lj} s^l$ they are $\sum_l A_{lj} \int s^l d\alpha$.
        """
        step = (index + shift).clamp_min(0)
        low = self._places[step]
        length = (self._places[step + 1] - low).clamp_min(_POINT)
        back = index[:, None] - torch.arange(self._points)
        # Places relative to the step keep the matrix well conditioned.
        s = (self._places[back.clamp_min(0)] - low[:, None]) / length[:, None]
        powers = s[..., None] ** torch.arange(self._points)
        first = [i if shift == 0 and i in self._starts else self._leg[i] for i in index.tolist()]
        inside = back >= torch.tensor(first)[:, None]
        inside[length <= _POINT, 1:] = False
        if shift:
            inside &= (index > 0)[:, None]
        # Unused points get rows of the identity matrix, and moments of zero.
        square = inside[:, :, None] & inside[:, None, :]
        powers = torch.where(square, powers, torch.eye(self._points, dtype=s.dtype))
        moments = moments * leading(inside, moments)
        return torch.einsum("mlj,ml...->mj...", torch.linalg.inv(powers), moments)

    def _moments(self, step: Tensor) -> Tensor:
        r"""$\int s^l d\alpha$ over unit steps, l below the points, shape `(m, p, [b,] k)`.

        By parts, $[s^l \alpha] - \int l s^{l-1} \alpha\, ds$: no derivative of alpha is needed.
        """
        nodes, shares = (_GAUSS[0] + 1) / 2, _GAUSS[1] / 2
        places = torch.lerp(self._places[step, None], self._places[step + 1, None], nodes)
        inner = self._dynamics.alpha(self._dynamics.arc.time(places.flatten()))
        inner = rearrange(inner, "(m n) ... -> m n ...", n=len(nodes))
        ends = self._dynamics.alpha(torch.cat([self._times[step], self._times[step + 1]]))
        start, stop = ends[: len(step)], ends[len(step) :]
        power = torch.arange(self._points)
        slope = power[:, None] * nodes ** (power[:, None] - 1).clamp_min(0) * shares
        moments = stop[:, None] - torch.einsum("ln,mn...->ml...", slope, inner)
        moments[:, 0] -= start
        return moments
