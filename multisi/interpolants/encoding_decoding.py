"""The encoding-decoding interpolant."""

import torch
from torch import Tensor

from multisi.interpolants.base import Interpolant


class EncodingDecoding(Interpolant):
    r"""Data are encoded into pure noise, and noise is decoded into data.

    $w_k = \cos^2(\pi \alpha_k)$ where $\alpha_k > \tfrac12$. All other data marginals have weight
    zero, and the noise marginal has the remaining weight. Halfway along an edge between datasets
    the state is pure noise, as in a diffusion model that encodes and decodes.

    References:
        Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows
        and diffusions (2023), arXiv:2303.08797, table 4.

    Examples:
        >>> import torch
        >>> EncodingDecoding().weights(torch.tensor([0.0, 0.75, 0.25]))
        tensor([0.5000, 0.5000, 0.0000])
    """

    needs_noise = True
    kinks = (0.5,)

    def weights(self, alpha: Tensor) -> Tensor:
        """Weights that sum to one, shape `(..., k)`."""
        data = alpha[..., 1:]
        data = torch.where(data > 0.5, torch.cos(torch.pi * data) ** 2, 0.0)
        return torch.cat([1 - data.sum(-1, keepdim=True), data], -1)
