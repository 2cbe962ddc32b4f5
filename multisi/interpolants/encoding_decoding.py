"""The encoding-decoding interpolant."""

import torch
from torch import Tensor

from multisi.interpolants.base import Interpolant


class EncodingDecoding(Interpolant):
    r"""Into the noise and out of it.

    $w_k = \cos^2(\pi \alpha_k)$ where $\alpha_k > \tfrac12$. Other data have no weight, and the
    noise has the rest. On an edge between datasets the state is pure noise halfway, as for a
    diffusion model that encodes and decodes.

    References:
        Stochastic interpolants: a unifying framework, arXiv:2303.08797, table 4.

    Example:
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
