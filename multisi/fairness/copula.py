"""The barycentre of columns and of how they hang together, in closed form."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import norm

from multisi.fairness.maps import Affine, GroupMap, Quantile

Array = Any


class Copula(GroupMap):
    r"""Quantiles of each column, and the Gaussian barycentre of their normal scores.

    A column $x_j$ of group $k$ has the score $z_j = \Phi^{-1}(F_{kj}(x_j))$. Scores are moved to
    the barycentre of the groups' covariances of scores, and back to the barycentre of the columns.
    The map is that of optimal transport in one dimension; where groups have Gaussian copulas, all
    have one law at a target. Beyond the values that were seen, scores go on with one slope for
    all groups, so that a column that hardly varies in one of them is not stretched.

    Arguments:
        columns: The quantiles of each column.
        scores: The map of the scores.

    References:
        Liu, Lafferty, Wasserman. The nonparanormal (2009), arXiv:0903.0649.
    """

    def __init__(self, columns: Quantile, scores: Affine) -> None:
        self.columns, self.scores = columns, scores

    @classmethod
    def of(cls, rows: Sequence[Array]) -> "Copula":
        """The map of the groups' columns and scores.

        Arguments:
            rows: The rows of each group.
        """
        columns = Quantile.of(rows)
        ends = zip(rows, np.eye(len(rows)), strict=True)
        return cls(columns, Affine.of([_scores(columns, x, corner) for x, corner in ends]))

    def move(self, x: Array, source: Array, target: Array) -> Array:
        """Rows at a point, moved to another one."""
        z = _scores(self.columns, x, source) * self._size(source)
        z = self.scores.move(z, source, target) / self._size(target)
        return _scores(self.columns, z, target, back=True)

    def tensors(self) -> dict[str, Array]:
        """The quantiles and the moments of scores."""
        return {**self.columns.tensors(), **self.scores.tensors()}

    def _size(self, alpha: Array) -> Array:
        """Deviations of the scores at a point, in those of the groups: 1 at a corner."""
        corners = np.log([self.scores.sizes(e) for e in np.eye(len(alpha))])
        return self.scores.sizes(alpha) / np.exp(np.asarray(alpha) @ corners)


def _scores(columns: Quantile, x: Array, alpha: Array, back: bool = False) -> Array:
    """Normal scores of rows at a point, or rows of normal scores."""
    values = columns.values
    levels = values.shape[1]
    scores = norm.ppf((np.arange(levels) + 0.5) / levels)
    units = (values[:, -1].max(0) - values[:, 0].min(0)) / (scores[-1] - scores[0])
    knots, moved = np.tensordot(alpha, values, 1), np.empty_like(x)
    for j, unit in enumerate(units):
        a, b, slope = knots[:, j], scores, 1 / unit
        if back:
            a, b, slope = scores, knots[:, j], unit
        inside = np.clip(x[:, j], a[0], a[-1])
        moved[:, j] = np.interp(inside, a, b) + slope * (x[:, j] - inside)
    return moved
