"""The interpolant with latent noise."""

import torch
from torch import Tensor

from multisi.common import checks
from multisi.errors import ConfigError
from multisi.interpolants.base import Interpolant

FORMS = ("sqrt", "quadratic", "sine", "sigmoid")
_STEEPNESS = 10.0


class Smoothed(Interpolant):
    r"""Convex combinations with latent noise that vanishes at the corners.

    $x = \sum_k \alpha_k x_k + \gamma(\alpha)\, z$. With $f(0) = f(1) = 0$ and
    $q(\alpha) = \tfrac12 \sum_k f(\alpha_k)$, which is $f(t)$ on an edge and zero at the corners:

    | form | $\gamma$ | on an edge |
    |---|---|---|
    | `sqrt` | $\sqrt{a\,q}$, $f = t(1 - t)$ | $\sqrt{a\,t(1 - t)}$ |
    | `quadratic` | $a\,q$, $f = t(1 - t)$ | $a\,t(1 - t)$ |
    | `sine` | $a\,q$, $f = \sin^2 \pi t$ | $a \sin^2 \pi t$ |
    | `sigmoid` | $a\,q$, $f = \hat\sigma(t)$ | $a\,\hat\sigma(t)$, flat in the middle |

    The latent noise is independent of the noise marginal, so that their joint weight is
    $w_0 = \sqrt{\alpha_0^2 + \gamma^2}$.

    Arguments:
        form: The form of $\gamma$: `"sqrt"`, `"quadratic"`, `"sine"` or `"sigmoid"`.
        a: The amount $a$ of latent noise, above 0.

    Raises:
        ConfigError: `form` is unknown, or `a` is not a number above 0.

    References:
        Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows
        and diffusions (2023), arXiv:2303.08797, table 8.

    Examples:
        >>> import torch
        >>> Smoothed("quadratic").weights(torch.tensor([0.0, 0.5, 0.5]))
        tensor([0.2500, 0.5000, 0.5000])
    """

    needs_noise = True

    def __init__(self, form: str = "sqrt", a: float = 1.0) -> None:
        if form not in FORMS:
            raise ConfigError(f"form must be one of {', '.join(FORMS)}; got {form!r}.")
        self.form = form
        self.a = checks.number(a, "a", positive=True)

    def weights(self, alpha: Tensor) -> Tensor:
        """The coordinates with the latent noise in column 0, shape `(..., k)`."""
        first, gamma = alpha[..., 0], self.gamma(alpha)
        # Where alpha_0 = 0 the weight and its derivative are those of gamma; the derivative of the
        # root would be 0 / 0 at the corners.
        inside = first > 0
        both = (torch.where(inside, first, 1.0) ** 2 + gamma**2).sqrt()
        noise = torch.where(inside, both, gamma)
        return torch.cat([noise[..., None], alpha[..., 1:]], -1)

    def gamma(self, alpha: Tensor) -> Tensor:
        """Weight of the latent noise, shape `(...)`."""
        t = alpha.clamp(0, 1)
        if self.form == "sine":
            return self.a / 2 * (torch.sin(torch.pi * t) ** 2).sum(-1)
        if self.form == "sigmoid":
            return self.a / 2 * _sigmoid(t).sum(-1).clamp_min(0)
        q = (t * (1 - t)).sum(-1) / 2
        return (self.a * q).sqrt() if self.form == "sqrt" else self.a * q


def _sigmoid(t: Tensor) -> Tensor:
    """A plateau, the difference of two sigmoids, shifted to be zero at 0 and 1."""
    f = _STEEPNESS
    rise = torch.sigmoid(f * (t - 0.5) + 1) - torch.sigmoid(f * (t - 0.5) - 1)
    ends = torch.sigmoid(torch.tensor([-f / 2 + 1, -f / 2 - 1], dtype=t.dtype, device=t.device))
    return rise - (ends[0] - ends[1]).to(t.device)
