"""What a repair changes and what it keeps: in the rows, in their order, and on the way back."""

import itertools
from typing import Any

import numpy as np

from multisi.common import checks
from multisi.errors import DataError
from multisi.fairness.extra import need
from multisi.fairness.reading import Array, as_frame, coded, read, spread, take, thinned

_MOST, _FEW = 4000, 1000
"""Most rows of a group among which neighbours are sought, and that are moved around."""


def distortion(X: Any, Z: Any, *, sensitive_features: Any) -> Any:
    r"""Mean squared change of a value, $E \frac1d \sum_j (z_j - x_j)^2 / \sigma_j^2$.

    $\sigma_j$ is the standard deviation of column $j$ of `X` over all rows. The groups tell who
    is moved the most.

    Arguments:
        X: The table before, of shape `(n, d)`.
        Z: The table after, with the same rows.
        sensitive_features: The group of every row; several columns are crossed.

    Returns:
        A Series: `"overall"`, then every group.

    Raises:
        DataError: the tables do not go together, or there are fewer than two groups.

    Examples:
        >>> distortion([0.0, 2.0], [1.0, 1.0], sensitive_features=["a", "b"])["overall"].item()
        1.0
    """
    before, after, names, codes = _both(X, Z, sensitive_features)
    change = (((after - before) / spread(before)) ** 2).mean(1)
    by_group = [change[codes == k].mean() for k in range(len(names))]
    return need("pandas").Series(
        [change.mean(), *by_group], ["overall", *names], name="distortion"
    )


def rank_preservation(X: Any, Z: Any, *, sensitive_features: Any) -> float:
    """Spearman correlation of a column before and after within a group: who was first stays so.

    The mean over columns and groups; columns that are constant in a group before are left out,
    and one that is constant only after counts as 0.

    Arguments:
        X: The table before, of shape `(n, d)`.
        Z: The table after, with the same rows.
        sensitive_features: The group of every row; several columns are crossed.

    Returns:
        The correlation, 1 if all orders are kept; NaN if no column varies within a group.

    Raises:
        DataError: the tables do not go together, or there are fewer than two groups.

    Examples:
        >>> groups = ["a", "a", "b", "b"]
        >>> round(rank_preservation([1, 2, 3, 4], [10, 20, 5, 6], sensitive_features=groups), 6)
        1.0
    """
    from scipy.stats import rankdata

    before, after, names, codes = _both(X, Z, sensitive_features)
    found = []
    for k in range(len(names)):
        ranks = [rankdata(part[codes == k], axis=0) for part in (before, after)]
        a, b = (part - part.mean(0) for part in ranks)
        sizes, others = (a**2).sum(0), (b**2).sum(0)
        varies = sizes > 0
        found += list(
            (a * b).sum(0)[varies] / np.sqrt(sizes * np.where(others > 0, others, 1.0))[varies]
        )
    return float(np.mean(found)) if found else np.nan


def neighbour_preservation(X: Any, Z: Any, *, sensitive_features: Any, k: int = 10) -> float:
    """Share of the `k` nearest neighbours within the group that are among the nearest after, too.

    Columns are measured in their standard deviations, before and after. One at the distance of
    the last counts as kept. Of a group of more than 4,000 rows as many are drawn at random.

    Arguments:
        X: The table before, of shape `(n, d)`.
        Z: The table after, with the same rows.
        sensitive_features: The group of every row; several columns are crossed.
        k: Number of neighbours; fewer in groups with fewer rows.

    Returns:
        The share over all rows, in [0, 1]; NaN if every group has one row.

    Raises:
        DataError: the tables do not go together, or there are fewer than two groups.
        ConfigError: `k` is not a positive integer, or scikit-learn is not installed.

    Examples:
        >>> groups = ["a", "a", "a", "b", "b"]
        >>> neighbour_preservation(range(5), range(5), sensitive_features=groups, k=1)
        1.0
    """
    k = checks.integer(k, "k")
    neighbours = need("sklearn.neighbors").NearestNeighbors
    before, after, names, codes = _both(X, Z, sensitive_features)
    before, after = before / spread(before), after / spread(after)
    drawn = thinned(codes, _MOST, 0)
    kept = []
    for group in range(len(names)):
        rows = drawn[codes[drawn] == group]
        near = min(k, len(rows) - 1)
        if near < 1:
            continue
        a, b = before[rows], after[rows]
        places = neighbours(n_neighbors=near).fit(a).kneighbors(return_distance=False)
        reach = neighbours(n_neighbors=near).fit(b).kneighbors()[0][:, -1]
        gaps = np.stack([np.linalg.norm(b - b[column], axis=1) for column in places.T], 1)
        kept.append((gaps <= reach[:, None] * (1 + 1e-6) + 1e-12).mean(1))
    return float(np.concatenate(kept).mean()) if kept else np.nan


def cycle_error(repair: Any, X: Any, *, sensitive_features: Any) -> float:
    """Root mean square of what is lost on the way to the repaired rows and back.

    `inverse_transform(transform(X)) - X`, with every column in its standard deviation over all
    rows.

    Arguments:
        repair: A fitted repair.
        X: A table of shape `(n, d)`.
        sensitive_features: The group of every row, as the repair takes them.

    Returns:
        The error, in standard deviations.

    Raises:
        DataError: the values are not finite.

    References:
        Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
        Networks" (2017), arXiv:1703.10593, for the name.
    """
    moved = repair.transform(X, sensitive_features=sensitive_features)
    back = repair.inverse_transform(moved, sensitive_features=sensitive_features)
    before, after = read(X, back)
    return float(np.sqrt((((after - before) / spread(before)) ** 2).mean()))


def composition_defect(repair: Any, X: Any, *, sensitive_features: Any) -> float:
    r"""How much it matters to go from one group to another by way of a third.

    $E|T_{jk} T_{ij} x - T_{ik} x|^2 / \operatorname{tr} \operatorname{Var}(X_k)$, the mean over
    all three groups $i, j, k$, with every column in its standard deviation over all rows. Of a
    group of more than 1,000 rows as many are drawn at random.

    Arguments:
        repair: A fitted repair, with `counterfactual(X, from_=, to=)`.
        X: A table of shape `(n, d)`.
        sensitive_features: The group of every row, named as the repair names them.

    Returns:
        The defect, 0 if every way leads to the same rows; NaN if no group varies.

    Raises:
        DataError: there are fewer than three groups, or values are not finite.

    Examples:
        >>> class Still:
        ...     def counterfactual(self, X, from_, to):
        ...         return X
        >>> composition_defect(Still(), [1.0, 2.0, 4.0], sensitive_features=["a", "b", "c"])
        nan
    """
    (values,) = read(X)
    names, codes = coded(sensitive_features, len(values))
    if len(names) < 3:
        raise DataError("composition_defect needs three groups; for two there is cycle_error.")
    unit, drawn = spread(values), thinned(codes, _FEW, 0)
    sizes = [(values[codes == k] / unit).var(0).sum() for k in range(len(names))]
    rows = [take(X, drawn[codes[drawn] == k]) for k in range(len(names))]
    found = []
    for i, name in enumerate(names):
        to = {
            j: repair.counterfactual(rows[i], from_=name, to=names[j])
            for j in range(len(names))
            if j != i
        }
        for j, k in itertools.permutations(to, 2):
            if sizes[k] > 0:
                through = repair.counterfactual(to[j], from_=names[j], to=names[k])
                one, other = read(through, to[k])
                found.append((((one - other) / unit) ** 2).sum(1).mean() / sizes[k])
    return float(np.mean(found)) if found else np.nan


def support_violations(X: Any, Z: Any) -> Any:
    """Share of the values of every column that `X` could not have had.

    Arguments:
        X: The table before, of shape `(n, d)`.
        Z: Another table with the same columns.

    Returns:
        A DataFrame with a row for every column: `outside`, the share below the least or above the
        largest value of `X`, and `off_lattice`, the share that is not whole though all of `X` are;
        NaN where those of `X` are not.

    Raises:
        DataError: the tables do not go together, or values are not finite.

    Examples:
        >>> support_violations([[0.0], [2.0]], [[0.5], [3.0]]).values.tolist()
        [[0.5, 0.5]]
    """
    before, after = read(X, Z)
    outside = ((after < before.min(0)) | (after > before.max(0))).mean(0)
    whole = (before == np.round(before)).all(0)
    off = np.where(whole, (after != np.round(after)).mean(0), np.nan)
    return need("pandas").DataFrame(
        {"outside": outside, "off_lattice": off}, index=as_frame(X).columns
    )


def _both(X: Any, Z: Any, sensitive_features: Any) -> tuple[Array, Array, list[Any], Array]:
    before, after = read(X, Z)
    if len(before) != len(after):
        raise DataError(f"X and Z must have the same rows; got {len(before)} and {len(after)}.")
    return before, after, *coded(sensitive_features, len(before))
