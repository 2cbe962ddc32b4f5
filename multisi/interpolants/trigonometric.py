"""The trigonometric interpolant."""

import torch
from torch import Tensor

from multisi.interpolants.base import Interpolant


class Trigonometric(Interpolant):
    r"""Sines of the coordinates, quarter circles on the edges.

    $w_k = \sin(\pi \alpha_k / 2)$: on an edge, $\cos(\pi t / 2)$ and $\sin(\pi t / 2)$.

    References:
        Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows
        and diffusions (2023), arXiv:2303.08797, table 4.

    Examples:
        >>> import torch
        >>> Trigonometric().weights(torch.tensor([0.5, 0.5]))
        tensor([0.7071, 0.7071])
    """

    def weights(self, alpha: Tensor) -> Tensor:
        """Weights whose squares sum to one on edges, shape `(..., k)`."""
        return torch.sin(torch.pi / 2 * alpha)
