"""The choice of a map by what its rows tell of their group."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multisi.fairness.maps import GroupMap
from multisi.fairness.probe import leakage

Array = Any
Maker = Callable[[Sequence[Array]], GroupMap]
_LEAST = 8
"""Rows of the smallest group from which on there are halves to try candidates on."""


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
    """The simplest map whose rows tell as little of their group as those of any, up to an error.

    Each half of the rows is moved by a map of the other half, and what it tells is cross-fitted.
    Rows that a map was made of would not do: it may know them by heart and make them alike, and
    no others. Nor would both halves together, whose errors cancel.

    Arguments:
        rows: The rows of each group, `(n, draws, c)`; the first draw of their noise is probed.
        alpha: The target.
        makers: Name to a function that makes a map of rows of each group, the simplest first.
        seed: Seed of the split and of the probe.
    """
    fewest = min(map(len, rows))
    if fewest < _LEAST:
        reason = f"a group has {fewest} rows, of which none can be held out"
        return Selection(next(iter(makers)), {}, float("nan"), reason)
    source = np.random.default_rng(seed)
    halves = [source.permutation(len(x)) % 2 for x in rows]
    found, corners = dict.fromkeys(("none", *makers), 0.0), np.eye(len(rows))
    for name, make in {"none": None, **makers}.items():
        for half in (0, 1):
            parts = [x[own == half, 0] for x, own in zip(rows, halves, strict=True)]
            if make is not None:
                made = make([x[own != half] for x, own in zip(rows, halves, strict=True)])
                parts = [made.move(x, e, alpha) for x, e in zip(parts, corners, strict=True)]
            found[name] += _told(parts, seed) / 2
    error = float(np.sqrt(sum(0.25 / len(x) for x in rows)) / len(rows))
    # Below chance all are alike.
    above = {name: max(value, 1 / len(rows)) for name, value in found.items()}
    best = min(above[name] for name in makers)
    chosen = next(name for name in makers if above[name] <= best + error)
    if above["none"] < best - error:
        chosen = "none"
    listed = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
    reason = f"cross-fitted leakage (chance {1 / len(rows):.3f}, error {error:.3f}): {listed}"
    return Selection(chosen, found, error, reason)


def _told(rows: Sequence[Array], seed: int) -> float:
    """What rows tell of their group, cross-fitted."""
    groups = np.repeat(np.arange(len(rows)), [len(x) for x in rows])
    return leakage(np.concatenate(rows), sensitive_features=groups, cv=3, random_state=seed)
