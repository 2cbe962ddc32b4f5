"""The variance-preserving interpolant."""

from torch import Tensor

from multisi.interpolants.base import Interpolant


class VariancePreserving(Interpolant):
    r"""Combinations that preserve the variance of independent marginals of equal variance.

    $w = \alpha / |\alpha|$, so that $\sum_k w_k^2 = 1$.

    References:
        Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows
        and diffusions (2023), arXiv:2303.08797, table 4.

    Examples:
        >>> import torch
        >>> VariancePreserving().weights(torch.tensor([0.5, 0.5, 0.0]))
        tensor([0.7071, 0.7071, 0.0000])
    """

    def weights(self, alpha: Tensor) -> Tensor:
        """Weights whose squares sum to one, shape `(..., k)`."""
        return alpha / (alpha * alpha).sum(-1, keepdim=True).sqrt()
