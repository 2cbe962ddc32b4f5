"""Maps of groups to a point of the simplex: what a repair consists of."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any
_KNOTS = 4001
_RAMP = 1e-12
_ENOUGH = 100
"""Rows for each column with which a covariance is not shrunk."""
_LEAST = 1e-9
"""What is always added to a covariance, as a share of its mean variance."""


class GroupMap(ABC):
    """Moves rows from the law at one point of the simplex of groups to the law at another.

    Rows are coordinates, float64, shape `(n, d)`. A group is at its corner.
    """

    iterations: int = 1
    """Steps of training; a closed form has one."""

    @abstractmethod
    def move(self, x: Array, source: Array, target: Array) -> Array:
        """Rows at a point, moved to another one; the inverse is the same from there to here.

        Arguments:
            x: The rows, shape `(n, d)`.
            source: The point of the rows, shape `(k,)`.
            target: The point that they are moved to, shape `(k,)`.
        """

    @abstractmethod
    def tensors(self) -> dict[str, Array]:
        """What the map consists of, as arrays by name."""


class Affine(GroupMap):
    r"""Optimal transport between Gaussian barycentres: $x \mapsto m' + A (x - m)$.

    At a point, $B = \sum_k \alpha_k (B^{1/2} C_k B^{1/2})^{1/2}$ and $m = \sum_k \alpha_k m_k$,
    which at a corner are the moments of the group; and
    $A = B^{-1/2} (B^{1/2} B' B^{1/2})^{1/2} B^{-1/2}$.

    Of more columns than rows, only those directions are kept that the rows differ in. In all
    others a group has one variance, which comes from shrinkage.

    Arguments:
        means: Means of the groups, shape `(k, d)`.
        covariances: Their covariances, positive definite, shape `(k, d, d)`, or `(k, r, r)` in a
            basis.
        basis: Orthonormal directions, shape `(d, r)`; `None` for all.
        rest: The variance of each group in the other directions, shape `(k,)`.

    References:
        Agueh, Carlier. Barycenters in the Wasserstein space (2011), doi:10.1137/100805741.
        Álvarez-Esteban et al. A fixed-point approach to barycenters in Wasserstein space (2015),
        arXiv:1511.05355.
    """

    def __init__(
        self, means: Array, covariances: Array, basis: Array = None, rest: Array = None
    ) -> None:
        self.means, self.covariances = means, covariances
        self.basis, self.rest = basis, rest
        self._known: dict[bytes, tuple[Array, Array]] = {}

    @classmethod
    def of(cls, rows: Sequence[Array]) -> "Affine":
        """The map of the groups' moments, with covariances shrunk as far as rows are few.

        Arguments:
            rows: The rows of each group.
        """
        means = np.stack([x.mean(0) for x in rows])
        centred = np.concatenate([x - mean for x, mean in zip(rows, means, strict=True)])
        n, d = centred.shape
        if d <= n:
            return cls(means, np.stack([shrunk(x)[0] for x in rows]))
        basis = np.linalg.svd(centred, full_matrices=False)[2].T
        found = [shrunk(x @ basis, d) for x in rows]
        covariances, rest = (np.stack(part) for part in zip(*found, strict=True))
        return cls(means, covariances, basis, rest)

    def move(self, x: Array, source: Array, target: Array) -> Array:
        """Rows at a point, moved to another one."""
        (mean, covariance), (aim, other) = self.at(source), self.at(target)
        half, inverse = _power(covariance, 0.5), _power(covariance, -0.5)
        matrix = inverse @ _power(half @ other @ half, 0.5) @ inverse
        x = x - mean
        if self.basis is None:
            return aim + x @ matrix
        size = (target @ np.sqrt(self.rest)) / (source @ np.sqrt(self.rest))
        inside = x @ self.basis
        return aim + size * x + (inside @ matrix - size * inside) @ self.basis.T

    def sizes(self, alpha: Array) -> Array:
        """The deviations of the columns at a point, shape `(d,)`."""
        covariance = self.at(alpha)[1]
        if self.basis is None:
            return np.sqrt(np.diagonal(covariance))
        rest = (alpha @ np.sqrt(self.rest)) ** 2
        inside = ((self.basis @ covariance) * self.basis).sum(1)
        return np.sqrt(inside + rest * (1 - (self.basis**2).sum(1)))

    def tensors(self) -> dict[str, Array]:
        """The moments."""
        found = {"means": self.means, "covariances": self.covariances}
        return found if self.basis is None else found | {"basis": self.basis, "rest": self.rest}

    def at(self, alpha: Array) -> tuple[Array, Array]:
        """Mean and covariance of the barycentre at a point."""
        key = np.asarray(alpha, float).tobytes()
        if key not in self._known:
            self._known[key] = alpha @ self.means, self._barycentre(alpha)
        return self._known[key]

    def _barycentre(self, alpha: Array) -> Array:
        b = np.tensordot(alpha, self.covariances, 1)
        if alpha.max() == 1:
            return b
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
    r"""A map for each coordinate: from group $k$ it is $x \mapsto \sum_j \alpha_j Q_j(F_k(x))$.

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
        # The inverse of a jump is a constant; a column with one value is at its middle level.
        return cls(values + _RAMP * (np.arange(len(levels)) - len(levels) / 2)[:, None])

    def move(self, x: Array, source: Array, target: Array) -> Array:
        """Rows at a point, moved to another one."""
        start, stop = (np.tensordot(point, self.values, 1) for point in (source, target))
        moved = np.empty_like(x)
        for j in range(x.shape[1]):
            inside = np.clip(x[:, j], start[0, j], start[-1, j])
            moved[:, j] = np.interp(inside, start[:, j], stop[:, j]) + (x[:, j] - inside)
        return moved

    def tensors(self) -> dict[str, Array]:
        """The quantiles."""
        return {"values": self.values}


def shrunk(x: Array, columns: int | None = None) -> tuple[Array, Array]:
    r"""The shrunk covariance of rows, and the variance in directions in which they do not differ.

    It is $(1 - s) C + s\,\mathrm{tr}(C)/d$ with the $s$ of the oracle approximation, which
    grows as rows get fewer; or the plain covariance from a hundred rows a column on.

    Arguments:
        x: The rows, shape `(n, d)`, or in a basis of `r` directions `(n, r)`.
        columns: The number of columns $d$, where that is not the number of directions.

    References:
        Chen, Wiesel, Eldar, Hero. Shrinkage algorithms for MMSE covariance estimation (2010),
        doi:10.1109/TSP.2010.2053029.
    """
    n, d = len(x), columns or x.shape[1]
    centred = x - x.mean(0)
    own = centred.T @ centred / max(1, n - 1)
    size = max(np.trace(own) / d, 1e-12)
    share = 0.0
    if n < _ENOUGH * d:
        mean = (own**2).sum() / d**2
        above = mean + size**2
        below = (n + 1) * (mean - size**2 / d)
        share = 1.0 if below <= 0 else min(1.0, above / below)
    least = (share + _LEAST) * size
    return (1 - share) * own + least * np.eye(len(own)), np.float64(least)


def _power(matrix: Array, power: float) -> Array:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    values = np.maximum(values, 1e-300 + 1e-15 * values.max())
    return (vectors * values**power) @ vectors.T
