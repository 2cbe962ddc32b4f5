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
    have one law at a target.

    Arguments:
        columns: The quantiles of each column, at the levels $(i + 1/2) / n$.
        scores: The map of the scores.

    References:
        Liu, Lafferty, Wasserman. The nonparanormal (2009), arXiv:0903.0649.
    """

    def __init__(self, columns: Quantile, scores: Affine) -> None:
        self.columns, self.scores = columns, scores
        levels = len(columns.values[0])
        self._knots = norm.ppf((np.arange(levels) + 0.5) / levels)

    @classmethod
    def of(cls, rows: Sequence[Array]) -> "Copula":
        """The map of the groups' columns and scores.

        Arguments:
            rows: The rows of each group.
        """
        columns = Quantile.of(rows)
        made = cls(columns, Affine(np.zeros((len(rows), 0)), np.zeros((len(rows), 0, 0))))
        corners = np.eye(len(rows))
        scores = [made._score(x, corner) for x, corner in zip(rows, corners, strict=True)]
        return cls(columns, Affine.of(scores))

    def move(self, x: Array, source: Array, target: Array) -> Array:
        """Rows at a point, moved to another one."""
        z = self._score(x, source) * self._size(source)
        return self._value(self.scores.move(z, source, target) / self._size(target), target)

    def tensors(self) -> dict[str, Array]:
        """The quantiles and the moments of scores."""
        return {**self.columns.tensors(), **self.scores.tensors()}

    def _size(self, alpha: Array) -> Array:
        """Deviations of the scores at a point, in those of the groups: 1 at a corner."""
        corners = np.log([self.scores.sizes(e) for e in np.eye(len(alpha))])
        return self.scores.sizes(alpha) / np.exp(np.asarray(alpha) @ corners)

    def _score(self, x: Array, alpha: Array) -> Array:
        return _follow(x, np.tensordot(alpha, self.columns.values, 1), self._knots[:, None])

    def _value(self, z: Array, alpha: Array) -> Array:
        return _follow(z, self._knots[:, None], np.tensordot(alpha, self.columns.values, 1))


def _follow(x: Array, start: Array, stop: Array) -> Array:
    """Values along polygons from knots to knots; beyond them the slope is that of all knots."""
    start, stop = np.broadcast_arrays(start, stop)
    moved = np.empty_like(x)
    for j in range(x.shape[1]):
        a, b = start[:, j], stop[:, j]
        inside = np.clip(x[:, j], a[0], a[-1])
        slope = (b[-1] - b[0]) / (a[-1] - a[0])
        moved[:, j] = np.interp(inside, a, b) + slope * (x[:, j] - inside)
    return moved
