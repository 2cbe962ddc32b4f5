r"""The noise of a diffusion: how large $\varepsilon(t)$ is along a path.

For any $\varepsilon \ge 0$ the SDE $dx = (b + \varepsilon s)\,dt + \sqrt{2\varepsilon}\,dW$ has
the laws of the flow. The score is $s = -g_0 / w_0$; what the drift needs is
$\varepsilon / w_0$, which may stay finite where the weight $w_0$ of the noise marginal does not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.seeds import RowGenerator
from multisi.errors import ConfigError

Rate: TypeAlias = Callable[[], Tensor]
Schedule: TypeAlias = Callable[[Tensor, Tensor, Rate], Tensor]
_NOTHING = 1e-12
"""Weights of the noise that are zero but for rounding."""


@dataclass(frozen=True)
class Noise:
    r"""A schedule $\varepsilon(t, w, \dot w)$; made by the functions of this module.

    Arguments:
        name: What it is, for people.
        epsilon: Function of times `(n,)`, weights `(n, [b,] k)`, and a function that gives
            their rates, which gives $\varepsilon$, `(n, [b])`.
        over_weight: The same for $\varepsilon / w_0$, where division would lose it.
    """

    name: str
    epsilon: Schedule
    over_weight: Schedule | None = None

    def __repr__(self) -> str:
        return self.name

    def drift(self, t: Tensor, weights: Tensor, rate: Rate) -> Tensor:
        r"""$\varepsilon / w_0$; infinite where it does not exist."""
        if self.over_weight is not None:
            return self.over_weight(t, weights, rate)
        first = weights[..., 0]
        ratio = self.epsilon(t, weights, rate) / first
        return torch.where(first > _NOTHING, ratio, torch.inf)


def proportional(noise: float) -> Noise:
    r"""$\varepsilon = \mathrm{noise} \cdot w_0$: what a plain number means; finite everywhere.

    Example:
        >>> proportional(0.5)
        proportional(0.5)
    """
    c = checks.number(noise, "noise")
    return Noise(
        f"proportional({c:g})",
        lambda t, w, rate: c * w[..., 0],
        lambda t, w, rate: torch.full_like(w[..., 0], c),
    )


def constant(noise: float) -> Noise:
    r"""$\varepsilon = \mathrm{noise}$ everywhere, the ends of the path included."""
    c = checks.number(noise, "noise")
    return Noise(f"constant({c:g})", lambda t, w, rate: torch.full_like(w[..., 0], c))


def sine(noise: float) -> Noise:
    r"""$\varepsilon = \mathrm{noise} \cdot \sin^2(\pi t)$: smooth, and zero at both ends."""
    c = checks.number(noise, "noise")
    return Noise(
        f"sine({c:g})",
        lambda t, w, rate: c * _like(torch.sin(torch.pi * t) ** 2, w),
    )


def kl_optimal(noise: float = 1.0, damping: float = 0.01) -> Noise:
    r"""The $\varepsilon$ of the least KL bound if the heads err alike, as in SiT.

    $$\varepsilon^* = w_0 \sqrt{\frac{|\dot w|^2 - (\dot w \cdot w)^2 / |w|^2}
    {1 - w_0^2 / |w|^2}}, \qquad
    \varepsilon = \frac{\mathrm{noise}\,\varepsilon^*}{1 + \mathrm{damping}\,\varepsilon^{*2}}.$$

    It minimises $\Delta L_b / \varepsilon + \varepsilon\,\Delta L_s$ for heads with independent
    errors of one size, projected onto $\sum_k w_k g_k = x$. From noise to one dataset it is
    $|\dot\sigma\sigma - \dot\alpha\sigma^2/\alpha|$, half of SiT's $w^{\mathrm{KL}}$. That is
    infinite at the noise corner, where the damping bounds it.

    References:
        SiT, arXiv:2401.08740.
    """
    c, eta = checks.number(noise, "noise"), checks.number(damping, "damping", positive=True)

    def over_weight(t: Tensor, w: Tensor, rate: Rate) -> Tensor:
        v, square = rate(), (w * w).sum(-1)
        speed = (v * v).sum(-1) - (v * w).sum(-1) ** 2 / square
        rest = (1 - w[..., 0] ** 2 / square).clamp_min(1e-12)
        best = (speed.clamp_min(0) / rest).sqrt()
        return c * best / (1 + eta * (best * w[..., 0]) ** 2)

    return Noise(
        f"kl_optimal({c:g})",
        lambda t, w, rate: over_weight(t, w, rate) * w[..., 0],
        over_weight,
    )


def standard_normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers of the shape and type of a state: what solvers draw.

    Where the rows of a transport are numbered (`rows=`), the generator gives each row numbers of
    its own, whatever else is in the batch. `torch.randn` cannot do that.

    Arguments:
        like: A state, shape `(b, ...)`.
        generator: The generator that `Solver.integrate` is given.

    Example:
        >>> standard_normal(torch.zeros(5, 2), torch.Generator().manual_seed(0)).shape
        torch.Size([5, 2])
    """
    if isinstance(generator, RowGenerator):
        return generator.normal(like)
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)


def of(noise: Any) -> Noise:
    r"""A `Noise` as it is; a number as `proportional`; a function of `(t, weights)` as it says.

    Raises:
        ConfigError: anything else, or a number that is negative or not finite.
    """
    if isinstance(noise, Noise):
        return noise
    if callable(noise) and not isinstance(noise, type):
        name = getattr(noise, "__name__", type(noise).__name__)
        return Noise(name, lambda t, w, rate: _given(noise(t, w), w, name))
    return proportional(noise)


def is_zero(noise: Any) -> bool:
    """Whether it is the number zero: no noise, hence the flow."""
    return (
        not callable(noise) and not isinstance(noise, Noise) and checks.number(noise, "noise") == 0
    )


def _given(values: Any, weights: Tensor, name: str) -> Tensor:
    """What a user's function returned: finite, not negative, one number a point."""
    try:
        epsilon = torch.as_tensor(values, dtype=weights.dtype)
        if epsilon.ndim == 1 and weights.ndim == 3:
            epsilon = _like(epsilon, weights)
        epsilon = epsilon.expand(weights.shape[:-1])
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"noise={name} must give one ε for each of {weights[..., 0].numel()} points: {error}."
        ) from None
    if not (torch.isfinite(epsilon) & (epsilon >= 0)).all():
        raise ConfigError(
            f"noise={name} must give ε of at least 0; got {epsilon.min().item():.4g} at least."
        )
    return epsilon


def _like(values: Tensor, weights: Tensor) -> Tensor:
    """One value a time, for every row."""
    return values.reshape(values.shape + (1,) * (weights.ndim - 1 - values.ndim)).expand(
        weights.shape[:-1]
    )
