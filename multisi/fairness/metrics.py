"""Distances between the laws that several groups have of the same columns."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from multisi.common import checks
from multisi.errors import ConfigError
from multisi.fairness.groups import read_groups
from multisi.fairness.reading import Array, coded, read, spread, thinned

_MOST, _ROWS, _WIDE = 8000, 1024, 1024
"""Most rows of distances that grow with their square; rows and columns computed at once."""


def ks_distance(X: Any, *, sensitive_features: Any) -> float:
    r"""Largest Kolmogorov–Smirnov distance $\sup_x |F_i(x) - F_j(x)|$ of two groups.

    Of several columns it is the largest. It has no unit, and is 1 where two groups do not overlap.

    Arguments:
        X: Scores of shape `(n,)`, or a table of shape `(n, d)`.
        sensitive_features: The group of every row; several columns are crossed.

    Returns:
        The distance, in [0, 1].

    Raises:
        DataError: `X` has values that are not finite, or there are fewer than two groups.

    Examples:
        >>> ks_distance([0.0, 1.0, 2.0, 3.0], sensitive_features=["a", "a", "b", "b"])
        1.0
    """
    laws = _laws(X, sensitive_features)
    return max(float((law.max(0) - law.min(0)).max()) for _, law in laws)


def wasserstein_distance(X: Any, *, sensitive_features: Any) -> float:
    r"""Largest 1-Wasserstein distance $\int |F_i - F_j| \, dx$ of two groups, in pooled sd.

    Every column is measured in its standard deviation over all rows; of several columns it is the
    largest. It agrees with `scipy.stats.wasserstein_distance`.

    Arguments:
        X: Scores of shape `(n,)`, or a table of shape `(n, d)`.
        sensitive_features: The group of every row; several columns are crossed.

    Returns:
        The distance, in standard deviations.

    Raises:
        DataError: `X` has values that are not finite, or there are fewer than two groups.

    Examples:
        >>> wasserstein_distance([0.0, 2.0, 0.0, 2.0], sensitive_features=["a", "a", "b", "b"])
        0.0
    """
    (values,) = read(X)
    found = []
    for points, law in _laws(values / spread(values), sensitive_features):
        widths = np.diff(points)
        for one, other in itertools.combinations(law[:, :-1], 2):
            found.append(float(np.abs(one - other) @ widths))
    return max(found)


def _laws(X: Any, sensitive_features: Any) -> list[tuple[Array, Array]]:
    """For every column its values in order, `(m,)`, and the groups' distributions, `(k, m)`."""
    (values,) = read(X)
    names, codes = coded(sensitive_features, len(values))
    places, found = np.arange(len(values)), []
    for column in values.T:
        order = np.argsort(column, kind="stable")
        points = column[order]
        last = np.append(points[1:] != points[:-1], True)
        law = np.zeros((len(names), len(values)))
        law[codes[order], places] = 1
        law = law.cumsum(1)[:, last]
        found.append((points[last], law / law[:, -1:]))
    return found


def energy_distance(X: Any, *, sensitive_features: Any, random_state: Any = 0) -> float:
    r"""Largest energy distance $2 E|X_i - X_j| - E|X_i - X_i'| - E|X_j - X_j'|$ of two groups.

    It is the unbiased one of `multisi.metrics.energy_distance`, so it may be below zero, with
    every column in its standard deviation over all rows. It sees every difference of the laws,
    also of several columns together. Of more than 8,000 rows, as many of each group are drawn.

    Arguments:
        X: Scores of shape `(n,)`, or a table of shape `(n, d)`.
        sensitive_features: The group of every row; several columns are crossed.
        random_state: Seed of the rows that are drawn.

    Returns:
        The distance, in standard deviations.

    Raises:
        DataError: `X` has values that are not finite, a group has one row, or there are fewer
            than two groups.

    References:
        Székely and Rizzo, "Energy statistics" (2013), doi:10.1016/j.jspi.2013.03.018.
    """
    values, codes = _units(X, sensitive_features, 2, random_state)
    return float(_energies(values, codes[None])[0])


def sliced_wasserstein_distance(
    X: Any, *, sensitive_features: Any, projections: int = 50, random_state: Any = 0
) -> float:
    r"""Largest sliced 2-Wasserstein distance of two groups, in pooled standard deviations.

    $(E_\theta \int_0^1 |F_{i,\theta}^{-1} - F_{j,\theta}^{-1}|^2 du)^{1/2}$ over directions
    $\theta$ of unit length, with all rows of both groups, however many each has. Of more than
    8,000 rows, as many of each group are drawn.

    Arguments:
        X: Scores of shape `(n,)`, or a table of shape `(n, d)`.
        sensitive_features: The group of every row; several columns are crossed.
        projections: Number of directions, drawn uniformly.
        random_state: Seed of the directions and of the rows that are drawn.

    Returns:
        The distance, in standard deviations.

    Raises:
        DataError: `X` has values that are not finite, or there are fewer than two groups.
        ConfigError: `projections` is not a positive integer.

    Examples:
        >>> sliced_wasserstein_distance([0.0, 2.0] * 2, sensitive_features=["a", "a", "b", "b"])
        0.0
    """
    projections = checks.integer(projections, "projections")
    values, codes = _units(X, sensitive_features, 1, random_state)
    directions = np.random.default_rng(random_state).normal(size=(values.shape[1], projections))
    shadows = values @ (directions / np.linalg.norm(directions, axis=0))
    parts = [np.sort(shadows[codes == k], axis=0) for k in range(codes.max() + 1)]
    return max(_sliced(a, b) for a, b in itertools.combinations(parts, 2))


def _sliced(a: Array, b: Array) -> float:
    """The distance of two groups whose projections are in order, by their quantiles."""
    levels = np.union1d(*(np.arange(1, len(part) + 1) / len(part) for part in (a, b)))
    widths = np.diff(levels, prepend=0)
    middle = levels - widths / 2
    low, high = (part[(middle * len(part)).astype(int)] for part in (a, b))
    return float(np.sqrt((widths @ (low - high) ** 2).mean()))


def _units(X: Any, sensitive_features: Any, least: int, random_state: Any) -> tuple[Array, Array]:
    """Rows in pooled standard deviations, not too many, and the numbers of their groups."""
    (values,) = read(X)
    names, codes = coded(sensitive_features, len(values), least)
    values = (values - values.mean(0)) / spread(values)
    rows: Any = slice(None)
    if len(values) > _MOST:
        rows = thinned(codes, max(_MOST // len(names), least), random_state)
    return values[rows], codes[rows]


def _energies(values: Array, codes: Array) -> Array:
    """The largest energy distance of two groups for each of many divisions, codes of `(p, n)`."""
    k = codes.max() + 1
    counts = np.bincount(codes[0])
    at_once, found = max(1, _WIDE // k), []
    for start in range(0, len(codes), at_once):
        shares = (np.eye(k) / counts)[codes[start : start + at_once].T]
        flat, means = shares.reshape(len(values), -1), np.zeros((shares.shape[1], k, k))
        for i in range(0, len(values), _ROWS):
            sums = cdist(values[i : i + _ROWS], values) @ flat
            means += np.einsum(
                "npk,npl->pkl", shares[i : i + _ROWS], sums.reshape(-1, *shares.shape[1:])
            )
        within = np.einsum("pkk->pk", means) * (counts / (counts - 1))
        distances = 2 * means - within[:, :, None] - within[:, None]
        found.append(distances[:, *np.triu_indices(k, 1)].max(1))
    return np.concatenate(found)


def floor(
    metric: Callable[..., float],
    X: Any,
    *,
    sensitive_features: Any,
    permutations: int = 60,
    quantile: float = 0.9,
    random_state: Any = 0,
) -> float:
    """The value of a metric where groups do not matter: a quantile over permutations of them.

    A metric of samples is above zero even if the groups have one law, the more so the smaller
    they are; below its floor nothing is left to repair.

    Arguments:
        metric: A function such as `ks_distance`, called with `X` and `sensitive_features`.
        X: Scores of shape `(n,)`, or a table of shape `(n, d)`.
        sensitive_features: The group of every row; several columns are crossed.
        permutations: Number of permutations.
        quantile: The quantile of the values, in [0, 1].
        random_state: Seed of the permutations.

    Returns:
        The floor, in the unit of the metric.

    Raises:
        DataError: the metric cannot be computed.
        ConfigError: `permutations` is not a positive integer, or `quantile` is not in [0, 1].

    Examples:
        >>> floor(ks_distance, [1.0, 2.0, 3.0, 4.0], sensitive_features=["a", "b", "a", "b"])
        1.0
    """
    permutations = checks.integer(permutations, "permutations")
    if checks.number(quantile, "quantile") > 1:
        raise ConfigError(f"quantile must be in [0, 1]; got {quantile!r}.")
    (values,) = read(X, missing=True)
    source = np.random.default_rng(random_state)
    if metric is energy_distance:  # All at once, since the distances of rows stay the same.
        rows, codes = _units(values, sensitive_features, 2, random_state)
        found = _energies(rows, np.stack([source.permutation(codes) for _ in range(permutations)]))
    else:
        groups = read_groups(sensitive_features, len(values))
        found = np.array(
            [
                metric(values, sensitive_features=source.permutation(groups))
                for _ in range(permutations)
            ]
        )
    return float(np.quantile(found, quantile))
