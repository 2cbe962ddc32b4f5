"""The figures of a repaired table, before and after, beside their floors."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from multisi.files.samples import Array

_MOST, _PERMUTATIONS = 10_000, 30
"""Most rows that are measured, and permutations of their groups for a floor."""


@dataclass(frozen=True)
class Figures:
    """What the rows of a table tell of their group, before and after.

    Arguments:
        groups: The groups that are measured, in order.
        rows: How many rows are measured.
        before: Their table.
        spread: Their table, its values spread over their bins as those of `after` are.
        after: The repaired one.
        codes: The number of the group of each row.
        values: Name of a figure to its values before and after, and its floor.
        distortion: Mean squared change of a value, over all rows and in each group.
        moved: The columns that moved most first.
        held_out: Leakage of rows that a repair was not fitted to, if it is known.
    """

    groups: list[Any]
    rows: int
    before: Any
    spread: Any
    after: Any
    codes: Array
    values: dict[str, tuple[float, float, float]]
    distortion: dict[Any, float]
    moved: list[str]
    held_out: float | None = None

    @property
    def chance(self) -> float:
        """The leakage of rows that tell nothing."""
        return 1 / len(self.groups)


def measured(before: Any, spread: Any, after: Any, groups: Array, seed: int) -> Figures | None:
    """The figures of a table; `None` if fewer than two groups have two rows.

    Arguments:
        before: The table.
        spread: The table, spread as the repaired one is.
        after: The repaired table, with the same rows.
        groups: The group of each row.
        seed: Seed of the rows that are drawn from large tables, and of the probe.
    """
    from multisi.fairness import distortion, floor, ks_distance, leakage, wasserstein_distance
    from multisi.fairness.reading import thinned

    names, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    there = np.flatnonzero(counts[codes] > 1)
    names = names[counts > 1]
    if len(names) < 2:
        return None
    drawn = there[thinned(_renumbered(codes[there]), _most(counts[counts > 1]), seed)]
    one, start, other = (table.iloc[drawn] for table in (before, spread, after))
    codes = _renumbered(codes[drawn])
    options: dict[str, Any] = {"sensitive_features": codes}
    told = [leakage(t, **options, random_state=seed) for t in (one, other)]
    values = {"leakage": (told[0], told[1], 1 / len(names))}
    for name, metric in (("KS", ks_distance), ("W1", wasserstein_distance)):
        least = floor(metric, other, **options, permutations=_PERMUTATIONS, random_state=seed)
        values[name] = (metric(one, **options), metric(other, **options), least)
    moved = distortion(start, other, **options)
    return Figures(
        names.tolist(),
        len(drawn),
        one,
        start,
        other,
        codes,
        values,
        dict(zip(["all", *names.tolist()], moved.tolist(), strict=True)),
        _by_change(start, other),
    )


def _most(counts: Array) -> int:
    """The most rows of a group with which all groups together do not have too many."""
    left = _MOST
    for i, count in enumerate(sorted(counts.tolist())):
        share = left // (len(counts) - i)
        if count > share:
            return max(2, share)
        left -= count
    return _MOST


def spread(repair: Any, X: Any) -> Any:
    """A table whose values are spread over their bins, as those of a repaired one are.

    Arguments:
        repair: The repair.
        X: The table.
    """
    import pandas

    core = repair.core_
    columns = core.columns(*_coordinates(repair, X), restore=False)
    return pandas.DataFrame(dict(zip(repair.get_feature_names_out(), columns, strict=True)))


def held_out(repair: Any, X: Any, groups: Any) -> float | None:
    """Leakage of each half of the rows, repaired by a map of the other; `None` for lone flows.

    Rows that a repair was fitted to are more alike than new rows are, so that their own leakage
    may be below chance. A flow is not trained again for this.

    Arguments:
        repair: The repair, as it was fitted.
        X: The table that it was fitted to.
        groups: The group of each row.
    """
    from multisi.fairness.making import CLOSED
    from multisi.fairness.selection import select

    core, name = repair.core_, repair.field_
    found: dict[str, float] = core.selection.leakage
    if name not in found and name in CLOSED:
        x, _ = _coordinates(repair, X)
        codes = core.codes(np.asarray(groups, dtype=object))
        rows = [x[codes == k, None] for k in range(len(core.groups))]
        found = select(rows, core.target, {name: CLOSED[name]}, core.seed).leakage
    return found.get(name)


def _coordinates(repair: Any, X: Any) -> tuple[Array, Array]:
    """The coordinates of a table, and its values."""
    from multisi.fairness.tables import identifiers

    values = np.asarray(repair.core_.schema.numbers(X))
    return repair.core_.spread(values, identifiers(X, None, len(values))), values


def _renumbered(codes: Array) -> Array:
    """The numbers of groups without gaps."""
    found: Array = np.unique(codes, return_inverse=True)[1]
    return found


def _by_change(before: Any, after: Any) -> list[str]:
    """The columns in the order of their change, in standard deviations; constants are left out."""
    from multisi.fairness import reading

    one, other = reading.read(before, after)
    change = (((other - one) / reading.spread(one)) ** 2).mean(0)
    varied = (one != one[0]).any(0)
    order = np.argsort(-change, kind="stable")
    return [str(before.columns[j]) for j in order if varied[j]]
