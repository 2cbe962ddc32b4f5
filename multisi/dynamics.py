r"""Probability flow and diffusion along a path, in simplex coordinates.

With $w(t)$ the weights of the interpolant along the path and $s = \sum_k w_k$, the state is
$y = x / s$ and its coordinates are $\alpha(t) = w(t) / s$: the velocity of $y$ is
$\sum_k \dot\alpha_k g_k(y, \alpha)$, whatever the interpolant.
"""

import functools
import importlib
import warnings
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

import torch
from torch import Tensor

from multisi import checks
from multisi.errors import ScoreError
from multisi.interpolants import Interpolant
from multisi.means import ConditionalMeans, combination, combine
from multisi.paths import Path

with warnings.catch_warnings():  # Forward derivatives load this module, which warns.
    warnings.simplefilter("ignore", DeprecationWarning)
    importlib.import_module("torch._decomp.decompositions_for_jvp")

T = TypeVar("T")
Increment: TypeAlias = Callable[[int, Tensor], Tensor]
_Row: TypeAlias = tuple[Tensor, Tensor, Tensor]
_TABLE = 2**21


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

    noise = 0.0

    def __init__(
        self,
        means: ConditionalMeans,
        path: Path,
        interpolant: Interpolant,
        condition: Any = None,
    ) -> None:
        self._means = means
        self.path = path
        self.interpolant = interpolant
        self.condition = condition

    def weights(self, t: Tensor) -> Tensor:
        """Weights of the interpolant at times `t`, float64, shape `(..., [b,] k)`."""
        return self.interpolant.weights(self.path(t.to(torch.float64)))

    def alpha(self, t: Tensor | float) -> Tensor:
        """Simplex coordinates of the state at times `t`, float64, shape `(..., [b,] k)`."""
        weights = self.weights(torch.as_tensor(t, dtype=torch.float64))
        return weights / weights.sum(-1, keepdim=True)

    def means(self, y: Tensor, alpha: Tensor) -> Tensor:
        """The conditional means, shape `(b, k, *event)`."""
        alpha = alpha.to(y.device, y.dtype)
        means: Tensor = self._means(y, alpha, self.condition)
        return means

    def velocity(self, y: Tensor, t: Tensor | float) -> Tensor:
        r"""$\sum_k \dot\alpha_k g_k$, shape of `y`; per unit of t."""
        return self._combine(y, *self._derivative(t))

    def drift(self, y: Tensor, t: Tensor | float) -> Tensor:
        """Drift at time `t`, shape of `y`: the velocity, and for a diffusion the score's share."""
        alpha, rate = self._derivative(t)
        return self._combine(y, alpha, rate - self._pull(torch.as_tensor(t), alpha))

    def diffusion(self, t: Tensor | float) -> Tensor:
        r"""$\sqrt{2\varepsilon}$ at times `t`, float64, shape `(..., [b])`; zero for the flow."""
        return torch.zeros_like(torch.as_tensor(t, dtype=torch.float64))

    def increments(self, y: Tensor, at: Tensor, start: Tensor, stop: Tensor) -> Increment:
        r"""What solvers add to the state, prepared for many steps: $(i, y) \mapsto \Delta_i(y)$.

        $$\Delta_i(y) = \sum_k \big(\alpha_k(\mathrm{stop}_i) - \alpha_k(\mathrm{start}_i)\big)
        g_k(y, \alpha(\mathrm{at}_i))$$

        and for a diffusion the score's share over the same time. Exact differences of
        $\alpha$ in place of $h \dot\alpha$ cost nothing and lower the error.

        Arguments:
            y: A state, for its shape, type and device.
            at: Times of evaluation, float64, shape `(n,)`.
            start: Times from which the coordinates move, float64, shape `(n,)`.
            stop: Times to which they move, float64, shape `(n,)`.
        """
        table = Table(lambda part: self._rows(y, at[part], start[part], stop[part]), self._size)
        network, condition = self._means, self.condition

        def increment(i: int, y: Tensor) -> Tensor:
            alpha, of_heads, of_state = table[i]
            return combine(network.heads(y, alpha, condition), y, of_heads, of_state)

        return increment

    def amplitudes(self, y: Tensor, at: Tensor, length: Tensor) -> "Table[Tensor]":
        """The diffusion at times `at` over steps of some `length`, each broadcast to `y`."""

        def rows(part: slice) -> list[Tensor]:
            root = self.diffusion(at[part])
            root = root * _column(length[part], root).sqrt()
            root = root.reshape(len(root), -1, *(1,) * (y.ndim - 1))
            return list(root.to(y.device, y.dtype).expand(-1, *y.shape).unbind(0))

        return Table(rows, self._size)

    @functools.cached_property
    def _size(self) -> int:
        """How many steps to tabulate at once, so that tables per row stay small."""
        return max(1, _TABLE // self.alpha(0.0).numel())

    def _rows(self, y: Tensor, at: Tensor, start: Tensor, stop: Tensor) -> list[_Row]:
        """Point and coefficients of each increment, in float64 before they are rounded."""
        alpha = self.alpha(at)
        v = self.alpha(stop) - self.alpha(start)
        v = v - _column(stop - start, v) * self._pull(at, alpha)
        alpha, v = (c[:, None] if c.ndim == 2 else c for c in (alpha, v))
        of_heads, of_state = combination(alpha, v)
        alpha = alpha.to(y.device, y.dtype).expand(-1, len(y), -1)
        of_heads = of_heads.to(y.device, y.dtype)[:, :, None]
        of_state = of_state.to(y.device, y.dtype).reshape(len(at), -1, *(1,) * (y.ndim - 1))
        return list(zip(alpha.unbind(0), of_heads.unbind(0), of_state.unbind(0), strict=True))

    def _derivative(self, t: Tensor | float) -> tuple[Tensor, Tensor]:
        """Coordinates and their rate of change."""
        t = torch.as_tensor(t, dtype=torch.float64)
        alpha, rate, *_ = torch.func.jvp(self.alpha, (t,), (torch.ones_like(t),))
        return alpha, rate

    def _combine(self, y: Tensor, alpha: Tensor, v: Tensor) -> Tensor:
        alpha = alpha.to(y.device, y.dtype).expand(len(y), -1)
        of_heads, of_state = combination(alpha, v.to(alpha))
        of_state = of_state.reshape(-1, *(1,) * (y.ndim - 1))
        return combine(self._means.heads(y, alpha, self.condition), y, of_heads[:, None], of_state)

    def _pull(self, at: Tensor, alpha: Tensor) -> Tensor:
        """What the score takes from the rate of the coordinates, broadcastable to `alpha`."""
        return torch.zeros((), dtype=alpha.dtype)


class Diffusion(ProbabilityFlow):
    r"""The SDE $dy = (b + \varepsilon s)\,dt + \sqrt{2 \varepsilon}\,dW$, of the flow's laws.

    For an interpolant of weights $w$, $\varepsilon = \mathrm{noise} \cdot w_0(t)$ in $x$, so that
    the drift's new part, $\varepsilon s = -\mathrm{noise} \cdot g_0$, is finite everywhere; in
    $y = x / s$ it becomes $\varepsilon / s^2$.

    Arguments:
        means: The conditional means; marginal 0 is the noise.
        path: A path on the simplex that leaves the face without noise between its ends.
        interpolant: The interpolant whose weights are taken along the path.
        noise: How much noise, at least 0.
        condition: Handed to the network if given.

    Raises:
        ConfigError: `noise` negative or not finite.
        ScoreError: the weight of the noise is zero between the ends of the path.

    References:
        Stochastic interpolants: a unifying framework, arXiv:2303.08797, corollary 2.18.
    """

    def __init__(
        self,
        means: ConditionalMeans,
        path: Path,
        interpolant: Interpolant,
        noise: float,
        condition: Any = None,
    ) -> None:
        super().__init__(means, path, interpolant, condition)
        self.noise = checks.number(noise, "noise")
        if self.noise > 0 and not noisy(path, interpolant):
            raise ScoreError(
                "noise > 0 needs the score, which does not exist where the weight of the noise "
                "marginal, w_0, is zero; this path keeps it at zero between its ends. Use "
                "path='bow' or via=<the noise marginal>, an interpolant with latent noise, or "
                "noise=0."
            )

    def diffusion(self, t: Tensor | float) -> Tensor:
        r"""$\sqrt{2\varepsilon}$ at times `t`, float64, shape `(..., [b])`."""
        weights = self.weights(torch.as_tensor(t, dtype=torch.float64))
        return (2 * self.noise * weights[..., 0]).sqrt() / weights.sum(-1)

    def _pull(self, at: Tensor, alpha: Tensor) -> Tensor:
        pull = torch.zeros_like(alpha)
        pull[..., 0] = self.noise / self.weights(at).sum(-1)
        return pull


def noisy(path: Path, interpolant: Interpolant) -> bool:
    """Whether the noise marginal has a positive weight halfway along every leg of a path."""
    knots = torch.tensor(path.knots, dtype=torch.float64)
    middles = (knots[1:] + knots[:-1]) / 2
    return bool((interpolant.weights(path(middles))[..., 0] > 0).all())


class Table(Generic[T]):
    """A list made in blocks while it is read in order, so that its memory is bounded."""

    def __init__(self, make: Callable[[slice], list[T]], size: int) -> None:
        self._make, self._size = make, size
        self._block, self._items = -1, list[T]()

    def __getitem__(self, i: int) -> T:
        block, place = divmod(i, self._size)
        if block != self._block:
            self._items = self._make(slice(block * self._size, (block + 1) * self._size))
            self._block = block
        return self._items[place]


def _column(values: Tensor, like: Tensor) -> Tensor:
    """One value a step, shaped to multiply tensors with more axes."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))
