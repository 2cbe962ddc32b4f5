"""The paired coupling: rows with the same index are drawn together."""

from collections.abc import Sequence

import torch
from torch import Tensor

from multisi.couplings.rows import Joint, RowBlocks, RowCoupling
from multisi.data.marginals import AnyMarginal
from multisi.errors import DataError


class Paired(RowCoupling):
    """Row i of one dataset is drawn with row i of every other; noise is drawn independently.

    Rows are drawn with replacement, by their weights, which are those of one dataset or the same
    in several.

    Arguments:
        marginals: The marginals in order; all datasets have the same number of rows.

    Raises:
        DataError: the datasets differ in their number of rows, in their weights, or as tables in
            their index.

    Examples:
        >>> from multisi import Marginal
        >>> x = torch.arange(6.0).reshape(3, 2)
        >>> xs = Paired([Marginal(x), Marginal(x + 10)]).sample(4, seed=0, step=0)
        >>> bool((xs[:, 1] == xs[:, 0] + 10).all())
        True
    """

    def __init__(self, marginals: Sequence[AnyMarginal]) -> None:
        super().__init__(marginals)
        self._blocks = RowBlocks(self._draw)
        if len({len(m) for m in self.data}) > 1:
            raise DataError(
                "Paired datasets must have the same number of rows; "
                f"got {', '.join(str(len(m)) for m in self.data)}. Use coupling='independent'."
            )

        weights = [m.weights for m in self.data if m.weights is not None]
        if any(not torch.allclose(w, weights[0], rtol=1e-9, atol=0) for w in weights[1:]):
            raise DataError(
                "Paired rows are drawn together, so weights must be the same in all datasets that "
                "have them; these differ. Give the weights of pairs to one dataset."
            )
        indexes = [m.index for m in self.data if m.index is not None]
        if any(not index.equals(indexes[0]) for index in indexes[1:]):
            raise DataError(
                "Paired tables must have the same index, row by row; these differ. Align them: "
                "b.loc[a.index], or pass arrays: b.to_numpy()."
            )

    def joint(self, n: int, *, seed: int, step: int, alpha: Tensor | None = None) -> Joint:
        """The rows and the noise of one draw."""
        return Joint(self._blocks(n, seed, step), self.noise(n, seed, step, 1))

    def _draw(self, n: int, source: torch.Generator) -> list[Tensor]:
        weighted = next((m for m in self.data if m.weights is not None), self.data[0])
        return [weighted.draw(n, source)] * len(self.data)
