r"""The probability flow along a path, in simplex coordinates.

With $w(t)$ the weights of the interpolant along the path and $s = \sum_k w_k$, the state is
$y = x / s$ and its coordinates are $\alpha(t) = w(t) / s$: the velocity of $y$ is
$\sum_k \dot\alpha_k g_k(y, \alpha)$, whatever the interpolant.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from multisi.common.derivatives import slope
from multisi.dynamics.arc_length import Arc, ArcLength, RowTime, kinks, steep
from multisi.dynamics.blocks import Table
from multisi.field.conditional_means import ConditionalMeans, combination
from multisi.interpolants import Interpolant
from multisi.paths import Path

_ROUNDING = 1e-9
Increment: TypeAlias = Callable[[int, Tensor], Tensor]


class ProbabilityFlow:
    r"""The ODE $\dot y = \sum_k \dot\alpha_k(t)\, g_k(y, \alpha(t))$ along a path.

    Arguments:
        means: The conditional means.
        path: A path on the simplex.
        interpolant: The interpolant whose weights are taken along the path.
        condition: Handed to the network if given.

    References:
        Multimarginal generative modeling with stochastic interpolants, arXiv:2310.03695.
    """

    stochastic = False

    def __init__(
        self,
        means: ConditionalMeans,
        path: Path,
        interpolant: Interpolant,
        condition: Any = None,
    ) -> None:
        self.base = means
        self.path = path
        self.interpolant = interpolant
        self.condition = condition

    def weights(self, t: Tensor) -> Tensor:
        """Weights of the interpolant at times `t`, float64, shape `(..., [b,] k)`."""
        return self.interpolant.weights(points_of(self.path, t))

    def alpha(self, t: Tensor | float) -> Tensor:
        """Simplex coordinates of the state at times `t`, float64, shape `(..., [b,] k)`."""
        return _coordinates(self.path, self.interpolant, torch.as_tensor(t, dtype=torch.float64))

    @functools.cached_property
    def knots(self) -> tuple[float, ...]:
        """Times where the coordinates may have a kink, by the path or by the interpolant."""
        return kinks(self.path, self.path.knots, self.interpolant.kinks)

    @functools.cached_property
    def arc(self) -> Arc:
        """The arc length of the coordinates, in which solvers step; or what stands for it."""
        curve = functools.partial(_coordinates, self.path, self.interpolant)
        alpha = self.alpha(0.0)
        if alpha.ndim == 1:
            return ArcLength(curve, self.knots)
        edges = [(0, 1), (1, 0)] if alpha.shape[-1] == 2 else [(0, 1), (1, 0), (1, 2)]
        slow = steep(functools.partial(points_of, self.path), self.path.knots) or any(
            steep(functools.partial(_edge, self.interpolant, alpha.shape[-1], *edge), (0.0, 1.0))
            for edge in edges
        )
        return RowTime(curve, self.knots, slow)

    @functools.cached_property
    def support(self) -> list[int]:
        """The marginals that have a weight somewhere on the path."""
        inside = self.alpha(torch.linspace(0, 1, 65, dtype=torch.float64)) > 0
        return [int(k) for k in inside.flatten(0, -2).any(0).nonzero()[:, 0]]

    def means(self, y: Tensor, alpha: Tensor) -> Tensor:
        """The conditional means, shape `(b, k, *event)`."""
        alpha = alpha.to(y.device, y.dtype)
        means: Tensor = self.base(y, alpha, self.condition)
        return means

    def mixed(self, y: Tensor, alpha: Tensor, of_heads: Tensor) -> Tensor:
        """Combinations of the network's heads, for `alpha` of the type of `y`, `(b, k)`."""
        return self.base.mixed(y, alpha, of_heads, self.condition)

    def velocity(self, y: Tensor, t: Tensor | float) -> Tensor:
        r"""$\sum_k \dot\alpha_k g_k$, shape of `y`; per unit of t."""
        return self.along(y, *self.derivative(t))

    def drift(self, y: Tensor, t: Tensor | float) -> Tensor:
        """Drift at time `t`, shape of `y`: the velocity, and for a diffusion the score's share.

        Raises:
            ScoreError: the score does not exist there.
        """
        alpha, rate = self.derivative(t)
        return self.along(y, alpha, rate - self.pull(torch.as_tensor(t), alpha))

    def diffusion(self, t: Tensor | float) -> Tensor:
        r"""$\sqrt{2\varepsilon}$ at times `t`, float64, shape `(..., [b])`; zero for the flow."""
        return torch.zeros_like(torch.as_tensor(t, dtype=torch.float64))

    def increments(
        self,
        y: Tensor,
        at: Tensor,
        move: Callable[[slice], Tensor],
        length: Tensor,
    ) -> Increment:
        r"""What solvers add to the state, prepared for many steps: $(i, y) \mapsto \Delta_i(y)$.

        $$\Delta_i(y) = \sum_k \delta_{ik}\, g_k(y, \alpha(\mathrm{at}_i))$$

        and for a diffusion the score's share over the same time. Where $\delta$ is an exact
        difference of $\alpha$ in place of $h \dot\alpha$, it costs nothing and lowers the error.

        Arguments:
            y: A state, for its shape, type and device.
            at: Times of evaluation, float64, shape `(n,)`.
            move: Gives the changes of the coordinates $\delta$ for a slice of them, float64,
                shape `(m, [b,] k)`.
            length: Time over which the score acts, float64, shape `(n,)`.
        """
        table = Table(lambda part: self._rows(y, at[part], move(part), length[part]), self.numbers)
        network, condition = self.base, self.condition

        def increment(i: int, y: Tensor) -> Tensor:
            alpha, of_heads, of_state = table[i]
            mixed = network.mixed(y, alpha, of_heads, condition).reshape(y.shape)
            return torch.addcmul(mixed, of_state, y)

        return increment

    @functools.cached_property
    def numbers(self) -> int:
        """How many numbers the coordinates at one time have."""
        return self.alpha(0.0).numel()

    def _rows(
        self, y: Tensor, at: Tensor, move: Tensor, length: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Point and coefficients of each increment, in float64 before they are rounded."""
        alpha = self.alpha(at)
        v = move - column(length, move) * self.pull(at, alpha)
        alpha, v = (c[:, None] if c.ndim == 2 else c for c in (alpha, v))
        of_heads, of_state = combination(alpha, v)
        alpha = alpha.to(y.device, y.dtype).expand(-1, len(y), -1)
        of_heads = of_heads.to(y.device, y.dtype)[:, :, None]
        of_state = of_state.to(y.device, y.dtype).reshape(len(at), -1, *(1,) * (y.ndim - 1))
        return alpha, of_heads, of_state

    def derivative(self, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """Coordinates and their rate of change."""
        t = torch.as_tensor(t, dtype=torch.float64)
        alpha, rate = slope(self.alpha, t)
        return alpha, rate

    def along(self, y: Tensor, alpha: Tensor, v: Tensor) -> Tensor:
        r"""$\sum_k v_k\, g_k(y, \alpha)$ at a point for a direction, `([b,] k)`; shape of `y`."""
        alpha = alpha.to(y.device, y.dtype).expand(len(y), -1)
        of_heads, of_state = combination(alpha, v.to(alpha))
        of_state = of_state.reshape(-1, *(1,) * (y.ndim - 1))
        mixed = self.mixed(y, alpha, of_heads[:, None]).reshape(y.shape)
        return torch.addcmul(mixed, of_state, y)

    def pull(self, at: Tensor, alpha: Tensor) -> Tensor:
        """What the score takes from the rate of the coordinates, broadcastable to `alpha`."""
        return torch.zeros((), dtype=alpha.dtype)


def points_of(path: Path, t: Tensor) -> Tensor:
    """Points of the path at times `t`, float64 and, but for what rounding did, on the simplex."""
    alpha = path(t.to(torch.float64)).to(torch.float64)
    return torch.where((alpha >= 0) | (alpha < -_ROUNDING), alpha, 0.0)


def _coordinates(path: Path, interpolant: Interpolant, t: Tensor) -> Tensor:
    weights = interpolant.weights(points_of(path, t))
    return weights / weights.sum(-1, keepdim=True)


def _edge(interpolant: Interpolant, marginals: int, i: int, j: int, t: Tensor) -> Tensor:
    """Weights of an interpolant along an edge of the simplex."""
    e = torch.eye(marginals, dtype=torch.float64)
    return interpolant.weights(torch.lerp(e[i], e[j], t[..., None]))


def column(values: Tensor, like: Tensor) -> Tensor:
    """One value a step, shaped to multiply tensors with more axes."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))
