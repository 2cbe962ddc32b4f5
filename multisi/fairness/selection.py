"""The choice of a map by what rows that it was not fitted on tell of their group."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multisi.fairness.maps import GroupMap

Array = Any
Maker = Callable[[Sequence[Array]], GroupMap]
_HELD_OUT, _LEAST = 0.25, 8
"""Share of rows held out, and rows of the smallest group with which any are."""


@dataclass(frozen=True)
class Selection:
    """The chosen map and why.

    Arguments:
        name: The name of the map; `"none"` if no map is better than none.
        leakage: The leakage of each candidate on held-out rows, by name.
        error: The standard error of a leakage.
        reason: Why it was chosen.
    """

    name: str
    leakage: dict[str, float]
    error: float
    reason: str


ONE_GROUP = Selection("none", {}, float("nan"), "there is one group, or no column to move")


def select(
    rows: Sequence[Array], alpha: Array, makers: Mapping[str, Maker], seed: int
) -> Selection:
    """The map with the lowest leakage, or the first that is as good but for chance.

    Arguments:
        rows: The rows of each group.
        alpha: The target.
        makers: Name to a function that makes a map of rows of each group, the simplest first.
        seed: Seed of the split and of the probe.
    """
    first = next(iter(makers))
    if min(map(len, rows)) < _LEAST:
        few = min(map(len, rows))
        return Selection(
            first, {}, float("nan"), f"a group has {few} rows, of which none can be held out"
        )
    source = np.random.default_rng(seed)
    orders = [source.permutation(len(x)) for x in rows]
    cuts = [max(2, round(_HELD_OUT * len(x))) for x in rows]
    held = [x[order[:cut]] for x, order, cut in zip(rows, orders, cuts, strict=True)]
    kept = [x[order[cut:]] for x, order, cut in zip(rows, orders, cuts, strict=True)]
    found = {"none": _leakage(kept, held, seed)}
    for name, make in makers.items():
        made = make(kept)
        found[name] = _leakage(_moved(made, kept, alpha), _moved(made, held, alpha), seed)
    k = len(rows)
    error = float(np.sqrt(sum(0.25 / cut for cut in cuts)) / k)
    best = min(found.values())
    name = next(name for name in (*makers, "none") if found[name] <= best + error)
    told = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
    reason = f"leakage of held-out rows (chance {1 / k:.3f}, error {error:.3f}): {told}"
    return Selection(name, found, error, reason)


def _moved(made: GroupMap, rows: Sequence[Array], alpha: Array) -> list[Array]:
    corners = np.eye(len(rows))
    return [made.move(x, corner, alpha) for x, corner in zip(rows, corners, strict=True)]


def _leakage(train: Sequence[Array], test: Sequence[Array], seed: int) -> float:
    """The balanced accuracy on test rows of a probe that is fitted on others."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import balanced_accuracy_score

    groups = [np.repeat(np.arange(len(part)), [len(x) for x in part]) for part in (train, test)]
    share = np.bincount(groups[0])[groups[0]]
    probe = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, random_state=seed)
    probe.fit(np.concatenate(train), groups[0], sample_weight=1 / share)
    return float(balanced_accuracy_score(groups[1], probe.predict(np.concatenate(test))))
