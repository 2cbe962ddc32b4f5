"""The choice of a map by what its rows tell of their group."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multisi.fairness.maps import GroupMap
from multisi.fairness.probe import leakage

Array = Any
Maker = Callable[[Sequence[Array]], GroupMap]
_KEPT, _LEAST = 0.75, 8
"""Share of rows that candidates are made of; rows of the smallest group with which all are not."""


@dataclass(frozen=True)
class Selection:
    """The chosen map and why.

    Arguments:
        name: The name of the map; `"none"` if no map is better than none.
        leakage: The leakage of each candidate, by name.
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
    """The simplest map whose rows tell less of their group than those of simpler maps.

    Maps are made of three quarters of the rows; what all rows tell is then cross-fitted. A map
    that knows some rows by heart leaves the others behind, and so tells their group.

    Arguments:
        rows: The rows of each group.
        alpha: The target.
        makers: Name to a function that makes a map of rows of each group, the simplest first.
        seed: Seed of the split and of the probe.
    """
    fewest = min(map(len, rows))
    if fewest < _LEAST:
        reason = f"a group has {fewest} rows, of which none can be held out"
        return Selection(next(iter(makers)), {}, float("nan"), reason)
    source = np.random.default_rng(seed)
    kept = [x[source.permutation(len(x))[: round(_KEPT * len(x))]] for x in rows]
    groups = np.repeat(np.arange(len(rows)), [len(x) for x in rows])

    def told(moved: Sequence[Array]) -> float:
        return leakage(np.concatenate(moved), sensitive_features=groups, cv=3, random_state=seed)

    found, corners = {"none": told(rows)}, np.eye(len(rows))
    for name, make in makers.items():
        made = make(kept)
        found[name] = told(
            [made.move(x, corner, alpha) for x, corner in zip(rows, corners, strict=True)]
        )
    error = float(np.sqrt(sum(0.25 / len(x) for x in rows)) / len(rows))
    # Below chance all are alike: rows that were made equal mislead the probe.
    above = {name: max(value, 1 / len(rows)) for name, value in found.items()}
    chosen = next(iter(makers))
    for name in (*makers, "none"):
        if above[name] < above[chosen] - error:
            chosen = name
    listed = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
    reason = f"cross-fitted leakage (chance {1 / len(rows):.3f}, error {error:.3f}): {listed}"
    return Selection(chosen, found, error, reason)
