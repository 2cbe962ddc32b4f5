"""The independent coupling."""

from collections.abc import Sequence

import torch
from torch import Tensor

from multisi.couplings.rows import Joint, RowBlocks, RowCoupling
from multisi.data.marginals import AnyMarginal


class Independent(RowCoupling):
    r"""Every marginal is drawn independently of the others.

    $\rho(x_1, \dots, x_K) = \prod_k \rho_k(x_k)$.

    Rows are drawn with replacement, by weight where a marginal has weights.

    Arguments:
        marginals: The marginals in order.

    Examples:
        >>> from multisi import Marginal, StandardNormal
        >>> coupling = Independent([StandardNormal(), Marginal(torch.rand(9, 2))])
        >>> coupling.sample(4, seed=0, step=0).shape
        torch.Size([4, 2, 2])
    """

    def __init__(self, marginals: Sequence[AnyMarginal]) -> None:
        super().__init__(marginals)
        self._blocks = RowBlocks(self._draw)

    def joint(self, n: int, *, seed: int, step: int, alpha: Tensor | None = None) -> Joint:
        """The rows and the noise of one draw."""
        return Joint(self._blocks(n, seed, step), self.noise(n, seed, step, 1))

    def _draw(self, n: int, source: torch.Generator) -> list[Tensor]:
        return [marginal.draw(n, source) for marginal in self.data]
