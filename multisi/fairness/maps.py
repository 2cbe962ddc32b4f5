"""Maps of groups to a point of the simplex: what a repair consists of."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any
_KNOTS = 4001
_RAMP = 1e-9
_ENOUGH = 100
"""Rows for each column with which a covariance is not shrunk."""
_LEAST = 1e-9
"""What is always added to a covariance, as a share of its mean variance."""


class GroupMap(ABC):
    """Moves the rows of each group to the law at a point of the simplex, and back.

    Rows are coordinates, float64, shape `(n, d)`, standardised by their pooled moments.
    """

    iterations: int = 1
    """Steps of training; a closed form has one."""

    @abstractmethod
    def move(self, x: Array, group: int, alpha: Array, back: bool = False) -> Array:
        """Rows of a group, moved to a point of the simplex; or with `back` the inverse.

        Arguments:
            x: The rows, shape `(n, d)`.
            group: The number of the group.
            alpha: The point, shape `(k,)`.
            back: Whether rows are those at the point, to be moved to the group.
        """

    @abstractmethod
    def tensors(self) -> dict[str, Array]:
        """What the map consists of, as arrays by name."""


class Affine(GroupMap):
    r"""The Gaussian barycentre: $x \mapsto m + A_k (x - m_k)$.

    $A_k = C_k^{-1/2} (C_k^{1/2} B C_k^{1/2})^{1/2} C_k^{-1/2}$, where $B$ solves
    $B = \sum_k \alpha_k (B^{1/2} C_k B^{1/2})^{1/2}$ and $m = \sum_k \alpha_k m_k$.

    Arguments:
        means: Means of the groups, shape `(k, d)`.
        covariances: Their covariances, positive definite, shape `(k, d, d)`.

    References:
        Agueh, Carlier. Barycenters in the Wasserstein space (2011), doi:10.1137/100805741.
        Álvarez-Esteban et al. A fixed-point approach to barycenters in Wasserstein space (2015),
        arXiv:1511.05355.
    """

    def __init__(self, means: Array, covariances: Array) -> None:
        self.means, self.covariances = means, covariances
        self._roots = [_power(c, 0.5) for c in covariances]
        self._known: dict[bytes, tuple[Array, Array]] = {}

    @classmethod
    def of(cls, rows: Sequence[Array]) -> "Affine":
        """The map of the groups' moments, with covariances shrunk as far as rows are few.

        Arguments:
            rows: The rows of each group.
        """
        means = np.stack([x.mean(0) for x in rows])
        return cls(means, np.stack([shrunk(x) for x in rows]))

    def move(self, x: Array, group: int, alpha: Array, back: bool = False) -> Array:
        """Rows of a group at a point, or back."""
        mean, covariance = self._at(alpha)
        root = self._roots[group]
        inverse = _power(self.covariances[group], -0.5)
        a = inverse @ _power(root @ covariance @ root, 0.5) @ inverse
        if back:
            return self.means[group] + np.linalg.solve(a, (x - mean).T).T
        return mean + (x - self.means[group]) @ a.T

    def tensors(self) -> dict[str, Array]:
        """The moments."""
        return {"means": self.means, "covariances": self.covariances}

    def _at(self, alpha: Array) -> tuple[Array, Array]:
        """Mean and covariance of the barycentre at a point."""
        key = np.asarray(alpha, float).tobytes()
        if key not in self._known:
            self._known[key] = alpha @ self.means, self._barycentre(alpha)
        return self._known[key]

    def _barycentre(self, alpha: Array) -> Array:
        b = np.tensordot(alpha, self.covariances, 1)
        for _ in range(500):
            root, inverse = _power(b, 0.5), _power(b, -0.5)
            mean = sum(
                a * _power(root @ c @ root, 0.5)
                for a, c in zip(alpha, self.covariances, strict=True)
                if a > 0
            )
            new = inverse @ mean @ mean @ inverse
            change, b = np.abs(new - b).max(), (new + new.T) / 2
            if change < 1e-14 * np.abs(b).max():
                break
        return b


class Quantile(GroupMap):
    r"""A map for each coordinate: $x \mapsto \sum_j \alpha_j Q_j(F_k(x))$.

    It is the barycentre in one dimension, and leaves the dependence of columns as it is. Beyond
    the values that were seen, maps are translations.

    Arguments:
        values: Quantiles of each group at even levels, shape `(k, levels, d)`, increasing.

    References:
        Feldman et al. Certifying and removing disparate impact (2015), arXiv:1412.3756.
    """

    def __init__(self, values: Array) -> None:
        self.values = values

    @classmethod
    def of(cls, rows: Sequence[Array]) -> "Quantile":
        """The map of the groups' quantiles.

        Arguments:
            rows: The rows of each group.
        """
        levels = np.linspace(0, 1, min(_KNOTS, max(2, *(len(x) for x in rows))))
        values = np.stack([np.quantile(x, levels, axis=0) for x in rows])
        ramp = _RAMP * np.arange(len(levels))[:, None]  # The inverse of a jump is a constant.
        return cls(values + ramp)

    def move(self, x: Array, group: int, alpha: Array, back: bool = False) -> Array:
        """Rows of a group at a point, or back."""
        ends = self.values[group], np.tensordot(alpha, self.values, 1)
        start, stop = reversed(ends) if back else ends
        moved = np.empty_like(x)
        for j in range(x.shape[1]):
            inside = np.clip(x[:, j], start[0, j], start[-1, j])
            moved[:, j] = np.interp(inside, start[:, j], stop[:, j]) + (x[:, j] - inside)
        return moved

    def tensors(self) -> dict[str, Array]:
        """The quantiles."""
        return {"values": self.values}


def shrunk(x: Array) -> Array:
    r"""The covariance of rows, shrunk towards a multiple of one as far as rows are few.

    It is $(1 - s) C + s\,\mathrm{tr}(C)/d$ with the $s$ of the oracle approximation, or the plain
    covariance from a hundred rows a column on.

    Arguments:
        x: The rows, shape `(n, d)`.

    References:
        Chen, Wiesel, Eldar, Hero. Shrinkage algorithms for MMSE covariance estimation (2010),
        doi:10.1109/TSP.2010.2053029.
    """
    n, d = x.shape
    centred = x - x.mean(0)
    own = centred.T @ centred / max(1, n - 1)
    size = max(np.trace(own) / d, 1e-12)
    share = 0.0
    if n < _ENOUGH * d:
        mean = (own**2).mean()
        above = mean + size**2
        below = (n + 1) * (mean - size**2 / d)
        share = 1.0 if below <= 0 else min(1.0, above / below)
    return (1 - share) * own + (share + _LEAST) * size * np.eye(d)


def _power(matrix: Array, power: float) -> Array:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    values = np.maximum(values, 1e-300 + 1e-15 * values.max())
    return (vectors * values**power) @ vectors.T
