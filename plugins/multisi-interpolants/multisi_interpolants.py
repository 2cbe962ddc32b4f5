"""More interpolants for multisi, chosen when samples are transported, without retraining."""

import math

import torch

import multisi
from multisi.errors import ConfigError


def _at_least(value, least, name):
    if not (isinstance(value, int | float) and least <= value < math.inf):
        raise ConfigError(f"{name} must be a finite number of at least {least}; got {value!r}.")
    return float(value)


class Power(multisi.Interpolant):
    r"""Normalised powers of the coordinates, which draw mixtures towards the nearest corner.

    $w_k = \alpha_k^p / \sum_j \alpha_j^p$. On edges the curve is straight, at another speed. The
    larger `p`, the more mixtures lean towards their largest coordinate.

    Arguments:
        p: The power, at least 1; 1 gives the barycentric interpolant.

    Raises:
        ConfigError: `p` is not a finite number of at least 1.

    Examples:
        >>> Power(2).weights(torch.tensor([0.2, 0.4, 0.4]))
        tensor([0.1111, 0.4444, 0.4444])
    """

    def __init__(self, p=2.0):
        self.p = _at_least(p, 1, "p")

    def weights(self, alpha):
        """The weights, shape `(..., k)`."""
        power = alpha**self.p
        return power / power.sum(-1, keepdim=True)


class Cosine(multisi.Interpolant):
    r"""Straight between datasets, with the cosine schedule between data and noise.

    $w_0 = \sin(\tfrac{\pi}{2} \alpha_0)$ and
    $w_k = \alpha_k \cos(\tfrac{\pi}{2} \alpha_0) / (1 - \alpha_0)$. Between the noise and a
    standardised dataset the variance is preserved, as in diffusion models.

    References:
        Nichol, Dhariwal. Improved denoising diffusion probabilistic models (2021),
        arXiv:2102.09672.

    Examples:
        >>> Cosine().weights(torch.tensor([0.5, 0.5, 0.0]))
        tensor([0.7071, 0.7071, 0.0000])
    """

    needs_noise = True

    def weights(self, alpha):
        """The weights, shape `(..., k)`."""
        noise, data = alpha[..., :1], alpha[..., 1:]
        # cos(πα_0/2) / (1 − α_0), which is finite at the noise corner.
        share = math.pi / 2 * torch.sinc((1 - noise) / 2)
        return torch.cat([torch.sin(math.pi / 2 * noise), share * data], -1)


class Bump(multisi.Interpolant):
    r"""Barycentric with latent noise, which vanishes at the corners with all its derivatives.

    $w_0 = \sqrt{\alpha_0^2 + \gamma^2}$ with $\gamma = a\, e^{1 - 1 / 4q}$ and
    $q = \tfrac12 \sum_k \alpha_k (1 - \alpha_k)$. On an edge, $q = t(1 - t)$, and $\gamma = a$ at
    the middle.

    Arguments:
        a: The amount of latent noise at the middle of an edge, at least 0.

    Raises:
        ConfigError: `a` is not a finite number of at least 0.

    Examples:
        >>> Bump(0.5).weights(torch.tensor([0.0, 0.5, 0.5]))
        tensor([0.5000, 0.5000, 0.5000])
    """

    needs_noise = True

    def __init__(self, a=1.0):
        self.a = _at_least(a, 0, "a")

    def weights(self, alpha):
        """The weights, shape `(..., k)`."""
        q = (alpha * (1 - alpha)).sum(-1, keepdim=True) / 2
        inside = q > 1e-3  # Otherwise γ is below 1e-100.
        gamma = self.a * torch.exp(1 - 0.25 / torch.where(inside, q, 1.0)) * inside
        noise, data = alpha[..., :1], alpha[..., 1:]
        square = noise**2 + gamma**2
        some = square > 0
        lifted = torch.where(some, torch.where(some, square, 1.0).sqrt(), 0.0)
        return torch.cat([lifted, data], -1)


@multisi.hookimpl
def multisi_register_interpolants():
    """The interpolants of this package."""
    return {"power": Power, "cosine": Cosine, "bump": Bump}
