"""Random numbers that belong to a row, whatever the other rows of its batch are."""

from typing import Any

import numpy as np

Array = Any
_STEP = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))


def uniform(seed: int, values: Array, identifiers: Array, columns: int) -> Array:
    r"""Numbers in $(0, 1)$, shape `(n, columns)`: a function of seed, row and identifier.

    Equal rows get different numbers if their identifiers differ. They are hashed by the mixing
    steps of SplitMix64.

    Arguments:
        seed: The seed.
        values: The rows, float64, shape `(n, d)`.
        identifiers: Their identifiers, shape `(n,)`: whole numbers, or anything with a text.
        columns: How many numbers a row gets.

    References:
        Steele, Lea, Flood. Fast splittable pseudorandom number generators (2014),
        doi:10.1145/2660193.2660195.
    """
    state = np.full(len(values), seed % 2**64, np.uint64)
    for column in (values.astype(np.float64) + 0.0).T:  # Adding zero makes -0 a zero.
        state = _mixed(state ^ np.ascontiguousarray(column).view(np.uint64))
    state = _mixed(state ^ _numbers(identifiers))
    places = np.arange(1, columns + 1, dtype=np.uint64) * _STEP
    bits = _mixed(state[:, None] + places) >> np.uint64(12)
    return (bits.astype(np.float64) + 0.5) / 2**52


def _mixed(state: Array) -> Array:
    state = state + _STEP
    for shift, factor in _SHIFTS:
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return state


def _numbers(identifiers: Array) -> Array:
    """A number for each identifier, shape `(n,)`, uint64."""
    array = np.asarray(identifiers)
    if array.dtype.kind in "iu":
        return array.astype(np.int64, copy=False).view(np.uint64)
    words = [np.frombuffer(str(key).encode().ljust(8, b"\0"), np.uint8) for key in array.tolist()]
    found = np.zeros(len(words), np.uint64)
    for i, word in enumerate(words):
        number = 0xCBF29CE484222325
        for byte in word.tolist():
            number = ((number ^ byte) * 0x100000001B3) % 2**64
        found[i] = number
    return found
