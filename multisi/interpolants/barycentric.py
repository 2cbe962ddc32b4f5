"""The barycentric interpolant."""

from torch import Tensor

from multisi.interpolants.base import Interpolant


class Barycentric(Interpolant):
    r"""Convex combinations of the marginals.

    $w(\alpha) = \alpha$: $x(\alpha) = \sum_k \alpha_k x_k$.

    References:
        Albergo, Boffi, Lindsey, Vanden-Eijnden. Multimarginal generative modeling with
        stochastic interpolants (2023), arXiv:2310.03695.

    Examples:
        >>> import torch
        >>> Barycentric().weights(torch.tensor([0.25, 0.75]))
        tensor([0.2500, 0.7500])
    """

    def weights(self, alpha: Tensor) -> Tensor:
        """`alpha` itself, shape `(..., k)`."""
        return alpha
