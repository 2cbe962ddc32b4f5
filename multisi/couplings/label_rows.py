"""Rows of all datasets with the same labels, as often as their laws allow."""

from collections.abc import Sequence

import torch
from torch import Tensor

from multisi.data.marginals import Marginal, choose
from multisi.errors import DataError


class LabelRows:
    r"""Draws rows with a common label; every dataset keeps its law.

    Let $q_k(\ell)$ be the share of label $\ell$ in dataset $k$ and $m(\ell) = \min_k q_k(\ell)$.
    With probability $\sum_\ell m(\ell)$ all datasets draw one common label, with law proportional
    to $m$; otherwise each draws its own label, with law proportional to $q_k - m$.

    Arguments:
        data: The datasets, all with labels.

    Raises:
        DataError: no label occurs in every dataset.
    """

    def __init__(self, data: Sequence[Marginal]) -> None:
        labels = [marginal.labels for marginal in data if marginal.labels is not None]
        classes, index = torch.unique(torch.cat(labels), return_inverse=True)
        self._labels = torch.split(index, [len(marginal) for marginal in data])
        self._weights = [marginal.shares for marginal in data]
        self._shares = torch.stack(
            [
                torch.zeros(len(classes), dtype=torch.float64).index_add(0, index, weights)
                for index, weights in zip(self._labels, self._weights, strict=True)
            ]
        )
        self._common = self._shares.amin(0)
        if not self._common.sum() > 0:
            raise DataError(
                "A class-aware coupling needs a label that occurs in every dataset; there is "
                "none. Check the labels, or use coupling='independent'."
            )

    def __call__(self, n: int, source: torch.Generator) -> list[Tensor]:
        """The rows of `n` joint draws, one index of shape `(n,)` for each dataset."""
        together = torch.rand(n, generator=source, dtype=torch.float64) < self._common.sum()
        common = choose(self._common.cumsum(0), n, source)
        found = []
        for labels, weights, shares in zip(self._labels, self._weights, self._shares, strict=True):
            rest = (shares - self._common).clamp_min(0)
            # Numbers are drawn in any case: a sum of zero is a matter of rounding.
            own = choose((rest if rest.sum() > 0 else shares).cumsum(0), n, source)
            found.append(_within(torch.where(together, common, own), labels, weights, source))
        return found


def _within(chosen: Tensor, labels: Tensor, weights: Tensor, source: torch.Generator) -> Tensor:
    """One row for each chosen label, by weight among the rows with that label.

    Rows of a label are drawn at even distances of their weights, in random order, so that each
    comes about as often as it should in few draws too.
    """
    order = labels.argsort(stable=True)
    total = torch.cat([weights.new_zeros(1), weights[order].cumsum(0)])
    kinds = max(int(chosen.max()), int(labels.max())) + 1
    ends = torch.bincount(labels, minlength=kinds).cumsum(0)
    starts = torch.cat([ends.new_zeros(1), ends[:-1]])
    counts = torch.bincount(chosen, minlength=kinds)
    shuffled = torch.randperm(len(chosen), generator=source)
    shuffled = shuffled[chosen[shuffled].argsort(stable=True)]
    of = chosen[shuffled]
    rank = torch.arange(len(chosen)) - (counts.cumsum(0) - counts)[of]
    offset = torch.rand(kinds, generator=source, dtype=total.dtype)[of]
    point = torch.lerp(total[starts[of]], total[ends[of]], (rank + offset) / counts[of])
    place = torch.searchsorted(total[1:], point, right=True)
    # Rounding must not select a row of another label.
    found = torch.empty_like(chosen)
    found[shuffled] = order[place.clamp(starts[of], ends[of] - 1)]
    return found
