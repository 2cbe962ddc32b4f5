r"""The dynamics along a path, in simplex coordinates: what solvers integrate.

With $w(t)$ the weights of the interpolant along the path and $s = \sum_k w_k$, the state is
$y = x / s$ and its coordinates are $\alpha(t) = w(t) / s$: the velocity of $y$ is
$\sum_k \dot\alpha_k g_k(y, \alpha)$, whatever the interpolant.
"""

import copy
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from multisi.common.derivatives import value_and_rate
from multisi.common.shapes import leading
from multisi.dynamics.arc_length import Arc, ArcLength, RowTime, is_steep, kink_times
from multisi.dynamics.blocks import Blocks
from multisi.dynamics.coordinates import coordinates, edge_weights, points_of
from multisi.field.conditional_means import ConditionalMeans, projected_combination
from multisi.interpolants import Interpolant
from multisi.paths import Path

_GAUSS = tuple(torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(5))
Increment: TypeAlias = Callable[[int, Tensor], Tensor]


class Dynamics(ABC):
    r"""An ODE or SDE along a path, with the laws of the interpolant.

    $$dy = \sum_k v_k(t)\, g_k(y, \alpha(t))\, dt + \sqrt{2\varepsilon(t)}\, dW$$

    Solvers need only what is documented here. Times are in [0, 1] and float64 on the CPU; places
    are shares of the arc length.

    Arguments:
        conditional_means: The conditional means $g_k$.
        path: A path on the simplex.
        interpolant: The interpolant whose weights are taken along the path.
        condition: An extra input of the network, one vector per row; `None` without one.

    References:
        Albergo, Boffi, Lindsey, Vanden-Eijnden. Multimarginal generative modeling with
        stochastic interpolants (2023), arXiv:2310.03695.
    """

    stochastic: ClassVar[bool]
    """Whether there is noise: the dynamics are an SDE, not an ODE."""

    def __init__(
        self,
        conditional_means: ConditionalMeans,
        path: Path,
        interpolant: Interpolant,
        condition: Any = None,
    ) -> None:
        self.conditional_means = conditional_means
        self.path = path
        self.interpolant = interpolant
        self.condition = condition

    @abstractmethod
    def diffusion(self, t: Tensor | float) -> Tensor:
        r"""$\sqrt{2\varepsilon}$ at times `t`, float64, shape `(..., [b])`; zero for an ODE."""

    @abstractmethod
    def score_coefficients(self, t: Tensor, alpha: Tensor) -> Tensor:
        r"""The coefficients that the score subtracts from $\dot\alpha$ in the drift.

        Arguments:
            t: Times, shape `(...)`.
            alpha: Simplex coordinates at these times, shape `(..., [b,] k)`.

        Returns:
            Coefficients that broadcast to `alpha`.

        Raises:
            ScoreError: the score does not exist at one of the times.
        """

    @abstractmethod
    def drift_exists(self, t: Tensor) -> Tensor:
        r"""Whether the drift exists at times `(n,)`: not where $w_0 = 0 < \varepsilon$."""

    @functools.cached_property
    def knots(self) -> tuple[float, ...]:
        """Times where the coordinates may have a kink, by the path or by the interpolant."""
        return kink_times(self.path, self.path.knots, self.interpolant.kinks)

    @functools.cached_property
    def arc(self) -> Arc:
        """The arc length of the coordinates, or a function of time where paths differ by row."""
        curve = functools.partial(coordinates, self.path, self.interpolant)
        alpha = self.alpha(0.0)
        if alpha.ndim == 1:
            return ArcLength(curve, self.knots)
        edges = [(0, 1), (1, 0)] if alpha.shape[-1] == 2 else [(0, 1), (1, 0), (1, 2)]
        on_edge = functools.partial(edge_weights, self.interpolant, alpha.shape[-1])
        slow = is_steep(functools.partial(points_of, self.path), self.path.knots) or any(
            is_steep(functools.partial(on_edge, *edge), (0.0, 1.0)) for edge in edges
        )
        return RowTime(curve, self.knots, slow)

    @functools.cached_property
    def support(self) -> list[int]:
        """The indices of the marginals that have a positive weight somewhere on the path."""
        inside = self.alpha(torch.linspace(0, 1, 65, dtype=torch.float64)) > 0
        return [int(k) for k in inside.flatten(0, -2).any(0).nonzero()[:, 0]]

    def given(self, condition: Any) -> Self:
        """The same dynamics, arc length included, with another condition."""
        if condition is self.condition:
            return self
        _ = self.arc  # Computed once, and shared by the copies.
        other = copy.copy(self)
        other.condition = condition
        return other

    def weights(self, t: Tensor) -> Tensor:
        """Weights of the interpolant at times `t`, float64, shape `(..., [b,] k)`."""
        return self.interpolant.weights(points_of(self.path, t))

    def alpha(self, t: Tensor | float) -> Tensor:
        """Simplex coordinates of the state at times `t`, float64, shape `(..., [b,] k)`."""
        return coordinates(self.path, self.interpolant, torch.as_tensor(t, dtype=torch.float64))

    def alpha_and_rate(self, t: Tensor | float) -> tuple[Tensor, Tensor]:
        r"""Coordinates $\alpha$ and their rates $\dot\alpha$, each as `alpha` returns them."""
        alpha, rate = value_and_rate(self.alpha, torch.as_tensor(t, dtype=torch.float64))
        return alpha, rate

    def means(self, y: Tensor, alpha: Tensor) -> Tensor:
        """The conditional means, shape `(b, k, *event)`."""
        alpha = alpha.to(y.device, y.dtype)
        means: Tensor = self.conditional_means(y, alpha, self.condition)
        return means

    def combine(self, y: Tensor, alpha: Tensor, v: Tensor) -> Tensor:
        r"""$\sum_k v_k\, g_k(y, \alpha)$ by one network call, shape of `y`.

        Arguments:
            y: States, shape `(b, *event)`.
            alpha: Coordinates, shape `([b,] k)`.
            v: Coefficients, shape `([b,] k)`.
        """
        alpha = alpha.to(y.device, y.dtype).expand(len(y), -1)
        of_heads, of_state = projected_combination(alpha, v.to(alpha))
        heads = self.conditional_means.mixed(y, alpha, of_heads[:, None], self.condition)
        return torch.addcmul(heads.reshape(y.shape), leading(of_state.squeeze(-1), y), y)

    def velocity(self, y: Tensor, t: Tensor | float) -> Tensor:
        r"""$\sum_k \dot\alpha_k g_k$ at time `t`, shape of `y`, per unit of time."""
        return self.combine(y, *self.alpha_and_rate(t))

    def drift(self, y: Tensor, t: Tensor | float) -> Tensor:
        """The velocity and, for a diffusion, the score term; shape of `y`.

        Raises:
            ScoreError: the score does not exist at time `t`.
        """
        alpha, rate = self.alpha_and_rate(t)
        score = self.score_coefficients(torch.as_tensor(t, dtype=torch.float64), alpha)
        return self.combine(y, alpha, rate - score)

    def arc_velocity(self, y: Tensor, place: float) -> Tensor:
        r"""$\sum_k \tfrac{d\alpha_k}{d\sigma} g_k$ at a place $\sigma$, per unit of arc length."""
        at = torch.tensor([place], dtype=torch.float64)
        alpha = self.alpha(self.arc.time(at))[0]
        tangent = self.arc.tangents(at, at, torch.zeros(1, dtype=torch.float64))[0, 0]
        return self.combine(y, alpha, tangent)

    def increments(
        self,
        y: Tensor,
        at: Tensor,
        changes: Callable[[slice], Tensor],
        lengths: Tensor,
        otherwise: Tensor | None = None,
    ) -> Increment:
        r"""Prepare the increments of many steps: a function $(i, y) \mapsto \Delta_i(y)$.

        $$\Delta_i(y) = \sum_k \delta_{ik}\, g_k(y, \alpha(\mathrm{at}_i))$$

        and, for a diffusion, the score term over the same time. With exact differences of $\alpha$
        for $\delta$, in place of $h \dot\alpha$, the error is lower at the same cost.

        Arguments:
            y: A state, for its shape, type and device.
            at: Times of evaluation, float64, shape `(n,)`.
            changes: Function of a slice of these times that returns the changes $\delta$ of the
                coordinates, float64, shape `(m, [b,] k)`.
            lengths: Time over which the score acts, float64, shape `(n,)`.
            otherwise: Times of evaluation to use where the drift does not exist at `at`.

        Raises:
            ScoreError: when called, the score does not exist at a time of evaluation.
        """
        if otherwise is not None:
            at = torch.where(self.drift_exists(at), at, otherwise)

        def rows(part: slice) -> tuple[Tensor, ...]:
            return self._coefficients(y, at[part], changes(part), lengths[part])

        blocks = Blocks(rows, self.alpha(0.0).numel())
        means, condition = self.conditional_means, self.condition

        def increment(i: int, y: Tensor) -> Tensor:
            # The innermost loop of every transport: plain reshapes, no helper calls.
            alpha, of_heads, of_state = blocks[i]
            mixed = means.mixed(y, alpha, of_heads, condition).reshape(y.shape)
            return torch.addcmul(mixed, of_state, y)

        return increment

    def noise_scales(self, y: Tensor, times: Tensor) -> Blocks:
        r"""Standard deviations $(\int 2\varepsilon\,dt)^{1/2}$ of the noise over each step.

        Arguments:
            y: A state, for its shape, type and device.
            times: The grid, shape `(n + 1,)`.

        Returns:
            For step `i` a tuple of one tensor that broadcasts to a state.
        """

        def rows(part: slice) -> tuple[Tensor, ...]:
            start, stop = times[:-1][part], times[1:][part]
            nodes, shares = _GAUSS
            at = torch.lerp(start[:, None], stop[:, None], (nodes + 1) / 2)
            square = self.diffusion(at.flatten()) ** 2
            square = rearrange(square, "(n q) ... -> n q ...", q=len(nodes))
            square = torch.einsum("nq...,q->n...", square, shares / 2)
            root = (square * leading(stop - start, square)).sqrt()
            return (root.reshape(len(root), -1, *(1,) * (y.ndim - 1)).to(y.device, y.dtype),)

        return Blocks(rows, self.alpha(0.0).numel())

    def _coefficients(
        self, y: Tensor, at: Tensor, changes: Tensor, lengths: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The point and the coefficients of each increment, computed in float64."""
        alpha = self.alpha(at)
        v = changes - leading(lengths, changes) * self.score_coefficients(at, alpha)
        if alpha.ndim == 2:  # One point for all rows.
            alpha, v = (rearrange(c, "n k -> n 1 k") for c in (alpha, v))
        of_heads, of_state = projected_combination(alpha, v)
        alpha = alpha.to(y.device, y.dtype).expand(-1, len(y), -1)
        of_heads = rearrange(of_heads, "n b k -> n b 1 k").to(y.device, y.dtype)
        of_state = leading(of_state.squeeze(-1), y[None]).to(y.device, y.dtype)
        return alpha, of_heads, of_state
