"""The variance-preserving interpolant."""

from torch import Tensor

from multisi.interpolants.base import Interpolant


class VariancePreserving(Interpolant):
    r"""Combinations that keep the variance of independent marginals.

    $w = \alpha / |\alpha|$, hence $\sum_k w_k^2 = 1$.

    References:
        Stochastic interpolants: a unifying framework, arXiv:2303.08797, table 4.

    Example:
        >>> import torch
        >>> VariancePreserving().weights(torch.tensor([0.5, 0.5, 0.0]))
        tensor([0.7071, 0.7071, 0.0000])
    """

    def weights(self, alpha: Tensor) -> Tensor:
        """Weights of unit square sum everywhere, shape `(..., k)`."""
        return alpha / (alpha * alpha).sum(-1, keepdim=True).sqrt()
