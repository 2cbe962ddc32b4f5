"""What a classifier can learn about the groups."""

from typing import Any

import numpy as np

from multisi.common import checks
from multisi.errors import DataError
from multisi.fairness.extra import need
from multisi.fairness.reading import Array, coded, read

_RANKS = 254
_STRATIFIED = 20
"""Rows of the smallest group from which the probe may hold rows back to stop early."""


def leakage(X: Any, *, sensitive_features: Any, cv: int = 5, random_state: Any = 0) -> float:
    r"""How well a classifier tells the groups apart: its balanced accuracy, cross-fitted.

    $\frac{1}{K} \sum_k P(\hat s(x) = k \mid s = k)$ of gradient-boosted trees, which are fitted
    on some folds with groups of equal weight and predict the other. Chance is $1/K$; above it,
    somebody who sees only `X` learns something about the groups. Missing values may stay; text
    and categories are read by their codes. Groups of fewer rows than folds make fewer folds.

    Arguments:
        X: Scores of shape `(n,)`, or a table of shape `(n, d)`.
        sensitive_features: The group of every row; several columns are crossed.
        cv: Number of folds.
        random_state: Seed of the folds and of the trees.

    Returns:
        The balanced accuracy, in [0, 1].

    Raises:
        DataError: a group has one row, or there are fewer than two groups.
        ConfigError: `cv` is not an integer of at least 2, or scikit-learn is not installed.

    Examples:
        >>> leakage([0.0] * 50 + [1.0] * 50, sensitive_features=["a"] * 50 + ["b"] * 50)
        1.0
    """
    folds = checks.integer(cv, "cv", 2)
    (values,) = read(X, missing=True)
    _, codes = coded(sensitive_features, len(values), 2)
    found = np.empty_like(codes)
    for train, test in folds_of(codes, folds, random_state):
        before, after = _ranked(values[train], values[test])
        found[test] = _fitted(before, codes[train], random_state).predict(after)
    return _balanced(codes, found)


def held_out_leakage(A: Any, a: Any, B: Any, b: Any, random_state: Any = 0) -> float:
    """The same for rows `B` of groups `b` by a probe that was fitted on rows `A` of groups `a`.

    Raises:
        DataError: the tables have other columns, or `a` has fewer than two groups.
    """
    before, after = _ranked(*read(A, B, missing=True))
    names, known = coded(a, len(before))
    places = {name: k for k, name in enumerate(names)}
    wanted = np.array([places.get(name, -1) for name in np.asarray(b, dtype=object)])
    seen = wanted >= 0
    return _balanced(wanted[seen], _fitted(before, known, random_state).predict(after[seen]))


def folds_of(codes: Array, folds: int, random_state: Any) -> Any:
    """Folds with all groups in each: fewer than asked for where a group has fewer rows.

    Raises:
        DataError: a group has one row.
    """
    folds = min(folds, int(np.bincount(codes).min()))
    if folds < 2:
        raise DataError("Every group needs two rows to be divided into folds.")
    selection = need("sklearn.model_selection")
    split = selection.StratifiedKFold(folds, shuffle=True, random_state=random_state)
    return split.split(np.zeros(len(codes)), codes)


def _ranked(before: Array, after: Array) -> tuple[Array, Array]:
    """Rows by the ranks of their values among the first ones, at most 255 a column.

    The trees rank values themselves, but with weights in a way that takes most of their time.
    """
    ranks = [np.full(rows.shape, np.nan) for rows in (before, after)]
    for j, column in enumerate(before.T):
        known = column[~np.isnan(column)]
        cuts = np.unique(known)
        if len(cuts) > _RANKS:
            cuts = np.unique(np.quantile(known, np.linspace(0, 1, _RANKS)))
        for rank, rows in zip(ranks, (before, after), strict=True):
            there = ~np.isnan(rows[:, j])
            rank[there, j] = np.searchsorted(cuts, rows[there, j], "right")
    return ranks[0], ranks[1]


def _fitted(values: Array, codes: Array, random_state: Any) -> Any:
    counts = np.bincount(codes)
    stop = "auto" if counts.min() >= _STRATIFIED else False
    trees = need("sklearn.ensemble").HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=15, random_state=random_state, early_stopping=stop
    )
    return trees.fit(values, codes, sample_weight=len(codes) / counts[codes])


def _balanced(codes: Array, found: Array) -> float:
    return float(np.mean([(found[codes == k] == k).mean() for k in np.unique(codes)]))
