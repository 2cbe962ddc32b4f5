r"""The noise of a diffusion: how large $\varepsilon(t)$ is along a path.

For any $\varepsilon \ge 0$ the SDE $dx = (b + \varepsilon s)\,dt + \sqrt{2\varepsilon}\,dW$ has
the same marginal laws as the flow. The score is $s = -g_0 / w_0$, so the drift needs
$\varepsilon / w_0$, which may stay finite as the weight $w_0$ of the noise marginal vanishes.
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
"""Weights of the noise marginal up to this count as zero."""


@dataclass(frozen=True)
class Noise:
    r"""A schedule $\varepsilon(t, w, \dot w)$, created by the functions of this module.

    Arguments:
        name: Name shown to users.
        epsilon: Function of the times, shape `(n,)`, the weights, shape `(n, [b,] k)`, and a
            function that returns the rates of the weights; it returns $\varepsilon$, shape
            `(n, [b])`.
        over_weight: The same for $\varepsilon / w_0$; needed where this limit is finite although
            $w_0$ is zero.

    Examples:
        >>> Noise("half", lambda t, weights, rate: torch.full_like(weights[..., 0], 0.5))
        half
    """

    name: str
    epsilon: Schedule
    over_weight: Schedule | None = None

    def __repr__(self) -> str:
        return self.name

    def drift(self, t: Tensor, weights: Tensor, rate: Rate) -> Tensor:
        r"""$\varepsilon / w_0$, shape `(n, [b])`; infinite where it does not exist.

        Arguments:
            t: Times, shape `(n,)`.
            weights: Weights at these times, shape `(n, [b,] k)`.
            rate: Function that returns the rates of the weights.
        """
        if self.over_weight is not None:
            return self.over_weight(t, weights, rate)
        first = weights[..., 0]
        ratio = self.epsilon(t, weights, rate) / first
        return torch.where(first > _NOTHING, ratio, torch.inf)


def proportional(noise: float) -> Noise:
    r"""$\varepsilon = \mathrm{noise} \cdot w_0$, the meaning of a plain number.

    Arguments:
        noise: The factor, at least 0.

    Raises:
        ConfigError: `noise` is negative or not a finite number.

    Examples:
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
    r"""$\varepsilon = \mathrm{noise}$ everywhere, including the ends of the path.

    Arguments:
        noise: The value, at least 0.

    Raises:
        ConfigError: `noise` is negative or not a finite number.

    Examples:
        >>> constant(0.5)
        constant(0.5)
    """
    c = checks.number(noise, "noise")
    return Noise(f"constant({c:g})", lambda t, w, rate: torch.full_like(w[..., 0], c))


def sine(noise: float) -> Noise:
    r"""$\varepsilon = \mathrm{noise} \cdot \sin^2(\pi t)$: smooth, and zero at both ends.

    Arguments:
        noise: The largest value, at least 0.

    Raises:
        ConfigError: `noise` is negative or not a finite number.

    Examples:
        >>> sine(0.5)
        sine(0.5)
    """
    c = checks.number(noise, "noise")
    return Noise(
        f"sine({c:g})",
        lambda t, w, rate: c * _like(torch.sin(torch.pi * t) ** 2, w),
    )


def kl_optimal(noise: float = 1.0, damping: float = 0.01) -> Noise:
    r"""The $\varepsilon$ that minimises the KL bound for heads with equal errors, as in SiT.

    $$\varepsilon^* = w_0 \sqrt{\frac{|\dot w|^2 - (\dot w \cdot w)^2 / |w|^2}
    {1 - w_0^2 / |w|^2}}, \qquad
    \varepsilon = \frac{\mathrm{noise}\,\varepsilon^*}{1 + \mathrm{damping}\,\varepsilon^{*2}}.$$

    It minimises $\Delta L_b / \varepsilon + \varepsilon\,\Delta L_s$ for heads with independent
    errors of equal size, projected onto $\sum_k w_k g_k = x$. From noise to one dataset,
    $\varepsilon^* = |\dot\sigma\sigma - \dot\alpha\sigma^2/\alpha|$, half of SiT's
    $w^{\mathrm{KL}}$. It is infinite at the noise corner; the damping keeps $\varepsilon$ finite.

    Arguments:
        noise: The factor, at least 0.
        damping: The damping, above 0.

    Raises:
        ConfigError: `noise` is negative, `damping` is not positive, or either is not finite.

    References:
        Ma, Goldstein, Albergo, Boffi, Vanden-Eijnden, Xie. SiT: exploring flow and
        diffusion-based generative models with scalable interpolant transformers (2024),
        arXiv:2401.08740.
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
    """Standard normal numbers of the shape and type of a state, for use in solvers.

    Where the rows of a transport are numbered (`rows=`), the noise of a row does not depend on the
    rest of the batch; with `torch.randn` it would.

    Arguments:
        like: A state, shape `(b, *event)`.
        generator: The generator that `Solver.integrate` receives.

    Returns:
        The numbers, shape `(b, *event)`.

    Examples:
        >>> standard_normal(torch.zeros(5, 2), torch.Generator().manual_seed(0)).shape
        torch.Size([5, 2])
    """
    if isinstance(generator, RowGenerator):
        return generator.normal(like)
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)


def of(noise: Any) -> Noise:
    r"""The `Noise` for any value that the option `noise` accepts.

    Arguments:
        noise: A `Noise`, which is returned unchanged; a number, which means `proportional`; or a
            function of `(t, weights)` that returns $\varepsilon$.

    Raises:
        ConfigError: `noise` is none of these, or a number that is negative or not finite.

    Examples:
        >>> of(0.5)
        proportional(0.5)
    """
    if isinstance(noise, Noise):
        return noise
    if callable(noise) and not isinstance(noise, type):
        name = getattr(noise, "__name__", type(noise).__name__)
        return Noise(name, lambda t, w, rate: _given(noise(t, w), w, name))
    return proportional(noise)


def is_zero(noise: Any) -> bool:
    """Whether a noise is the number zero, so that the dynamics are the probability flow.

    Arguments:
        noise: Any value that `of` accepts.

    Raises:
        ConfigError: `noise` is a negative number, or not finite, or not a number.

    Examples:
        >>> is_zero(0)
        True
    """
    return (
        not callable(noise) and not isinstance(noise, Noise) and checks.number(noise, "noise") == 0
    )


def _given(values: Any, weights: Tensor, name: str) -> Tensor:
    """Values of a user's function, checked: finite, non-negative, one number per point."""
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
            f"noise={name} must give finite ε of at least 0; the smallest value is "
            f"{epsilon.min().item():.4g}."
        )
    return epsilon


def _like(values: Tensor, weights: Tensor) -> Tensor:
    """One value per time, repeated for every row."""
    return values.reshape(values.shape + (1,) * (weights.ndim - 1 - values.ndim)).expand(
        weights.shape[:-1]
    )
