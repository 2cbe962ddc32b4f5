"""The lattice that the values of a column lie on, if there is one, and the bins of its values."""

from typing import Any

import numpy as np

Array = Any
_DECIMALS, _MOST = 6, 4096
"""Most decimals and points of a lattice; a finer one hardly differs from a continuum."""
_FINE = 1e-3
"""A lattice is one if its step is at least this share of the standard deviation."""
_LARGE = 2.0**52
_ALIKE, _SLIGHT = 0.25, 0.02
"""A neighbour counts if it is this share as frequent; and the least frequency of a value, as a
share of the mean."""


def of(values: Array) -> tuple[int, int, int, bool] | None:
    r"""Whole numbers $o, s, d$ with all values in $(o + s \mathbb{N}) / 10^d$, or `None`.

    The last entry says whether the values are those only after they are rounded to float32.

    The values are found again bit for bit, because a quotient of whole numbers is rounded as the
    text of a number is.

    Arguments:
        values: The values, float64, shape `(n,)`.
    """
    levels = np.unique(values)
    with np.errstate(over="ignore"):
        single = np.array_equal(levels.astype(np.float32).astype(float), levels)
    for decimals in range(_DECIMALS + 1):
        whole = np.rint(levels * 10.0**decimals)
        if np.abs(whole).max() >= _LARGE:
            return None
        exact = whole / 10**decimals
        if np.array_equal(exact, levels):
            single = False
            break
        if single and np.array_equal(exact.astype(np.float32).astype(float), levels):
            break
    else:
        return None
    numbers = whole.astype(np.int64)
    step = int(np.gcd.reduce(numbers[1:] - numbers[0]))
    points = (numbers[-1] - numbers[0]) // step + 1
    if points > _MOST or step / 10**decimals < _FINE * values.std():
        return None
    return int(numbers[0]), step, decimals, single


def edges(values: Array, offset: int, step: int, decimals: int) -> tuple[float, ...]:
    r"""Bins for the values of a lattice, over which they have a smooth law.

    Each value has mass that is spread evenly to half of the way to the next values that are about
    as frequent, which gives a distribution function $G$. The bins are $G^{-1}$ of the distribution
    function of the values: where all values are about as frequent they end half-way between them,
    and where whole numbers are common and tenths are rare, these leave their room to them.

    Arguments:
        values: The values, shape `(n,)`.
        offset: $o$, a whole number.
        step: $s$, a whole number.
        decimals: $d$.
    """
    mass = mass_of(values, offset, step, decimals)
    left, right = _reach(mass[::-1])[::-1], _reach(mass)
    points = np.arange(len(mass))
    starts, stops = points - left / 2, points + right / 2
    # The density is a sum of boxes; its integral is linear between the ends of boxes.
    ends = np.concatenate([starts, stops])
    heights = mass / (stops - starts)
    order = np.argsort(ends, kind="stable")
    at = ends[order]
    slopes = np.cumsum(np.concatenate([heights, -heights])[order])
    masses = np.concatenate([[0.0], np.cumsum(slopes[:-1] * np.diff(at))])
    found = np.interp(np.concatenate([[0.0], np.cumsum(mass)]), masses, at)
    found = np.maximum.accumulate(found + 1e-12 * np.arange(len(found)))
    return tuple(((offset + step * found) / 10**decimals).tolist())


def mass_of(values: Array, offset: int, step: int, decimals: int) -> Array:
    """How often each value of a lattice occurs; those that do not occur count a little.

    Arguments:
        values: The values, shape `(n,)`.
        offset: $o$, a whole number.
        step: $s$, a whole number.
        decimals: $d$.
    """
    i = np.rint((values * 10.0**decimals - offset) / step).astype(np.int64)
    counts = np.bincount(i).astype(float)
    return np.maximum(counts, _SLIGHT * counts.mean())


def _reach(mass: Array) -> Array:
    """How far the next value to the right is that is about as frequent, in steps."""
    found = np.ones(len(mass))
    waiting: list[int] = []
    alone = np.ones(len(mass), bool)
    for i, own in enumerate(mass):
        while waiting and own >= _ALIKE * mass[waiting[-1]]:
            j = waiting.pop()
            found[j], alone[j] = i - j, False
        waiting.append(i)
    # At the end of the range a value reaches one step, as it does on an even lattice.
    return np.where(alone, 1.0, found)
