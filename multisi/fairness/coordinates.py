"""The coordinates of a table: its columns spread, joined and standardised."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from multisi.fairness.columns import Bent, Column, Nominal, column_of
from multisi.fairness.detection import detect

Array = Any
_ALIKE = 0.2
"""Coordinates have one unit if the least deviation is this share of the largest."""


class Coordinates:
    """The map between rows of numbers `(n, d)` and standardised coordinates `(n, c)`.

    Arguments:
        columns: What each column is.
        shift: Mean of each coordinate, shape `(c,)`.
        scale: Standard deviation of each, shape `(c,)`.
        low: Least value of each column, shape `(d,)`.
        high: Largest value of each, shape `(d,)`.
    """

    def __init__(
        self, columns: Sequence[Column], shift: Array, scale: Array, low: Array, high: Array
    ) -> None:
        self.columns = list(columns)
        self.shift, self.scale, self.low, self.high = shift, scale, low, high
        ends = np.cumsum([0, *(column.width for column in self.columns)])
        self.places = [slice(a, b) for a, b in itertools.pairwise(ends)]
        self.size = int(ends[-1])

    @classmethod
    def of(
        cls, values: Array, levels: Sequence[tuple[Any, ...] | None], dequantize: bool
    ) -> "Coordinates":
        """The coordinates of a table.

        Arguments:
            values: The rows, float64, shape `(n, d)`.
            levels: The levels of each column, or `None` if it has numbers.
            dequantize: Whether to spread lattices and atoms.
        """
        columns = [
            _column(v, names, dequantize) for v, names in zip(values.T, levels, strict=True)
        ]
        size = sum(column.width for column in columns)
        low, high = values.min(0), values.max(0)
        made = cls(columns, np.zeros(size), np.ones(size), low, high)
        y = made.spread(values, np.random.default_rng(0).random((len(values), size)))
        scale = np.where(y.std(0) > 0, y.std(0), 1.0)
        if size and scale.min() >= _ALIKE * scale.max():
            scale = np.full(size, np.sqrt((scale**2).mean()))
        made.shift, made.scale = y.mean(0), scale
        return made

    @property
    def noisy(self) -> bool:
        """Whether a column is spread by noise."""
        return any(column.noisy for column in self.columns)

    def spread(self, values: Array, u: Array) -> Array:
        """Standardised coordinates of rows, given numbers in (0, 1), shape `(n, c)`."""
        parts = [
            column.spread(values[:, j], u[:, place])
            for j, (column, place) in enumerate(zip(self.columns, self.places, strict=True))
        ]
        joined = np.concatenate(parts, 1) if parts else np.empty((len(values), 0))
        return (joined - self.shift) / self.scale

    def restore(self, coordinates: Array, values: Array, clip: bool) -> list[Array]:
        """The values of the columns, each of shape `(n,)`.

        Arguments:
            coordinates: Standardised coordinates, shape `(n, c)`.
            values: Rows with the values of the columns that have no coordinates, `(n, d)`.
            clip: Whether values stay in the range that was seen.
        """
        y = coordinates * self.scale + self.shift
        found = []
        for j, (column, place) in enumerate(zip(self.columns, self.places, strict=True)):
            if not column.width:
                found.append(values[:, j])
                continue
            value = column.restore(y[:, place])
            found.append(np.clip(value, self.low[j], self.high[j]) if clip else value)
        return found

    def show(self, coordinates: Array, values: Array) -> list[Array]:
        """The columns of a repaired table, which are spread as they were moved, `(n,)` each.

        Arguments:
            coordinates: Standardised coordinates, shape `(n, c)`.
            values: Rows with the values of the columns that have no coordinates, `(n, d)`.
        """
        y, shown = coordinates * self.scale + self.shift, []
        for j, (column, place) in enumerate(zip(self.columns, self.places, strict=True)):
            mine = y[:, place]
            if isinstance(column, Bent):
                mine = column.unbend(mine)
            shown += [values[:, j]] if not column.width else list(mine.T)
        return shown

    def unmoved(self, values: Array) -> list[Array]:
        """The columns of `show` for rows that are left as they are."""
        shown = []
        for column, mine in zip(self.columns, values.T, strict=True):
            if isinstance(column, Nominal):
                shown += list((mine == np.arange(column.width)[:, None]).astype(float))
            else:
                shown.append(mine)
        return shown

    def moved_back(self, shown: Array) -> list[Array]:
        """The inverse of `unmoved`."""
        found, at = [], 0
        for column in self.columns:
            mine = shown[:, at : at + max(1, column.width)]
            at += max(1, column.width)
            found.append(mine.argmax(1).astype(float) if mine.shape[1] > 1 else mine[:, 0])
        return found

    def read(self, shown: Array) -> tuple[Array, Array]:
        """The inverse of `show`: standardised coordinates, and the values of other columns."""
        parts, values, at = [], np.zeros((len(shown), len(self.columns))), 0
        for j, column in enumerate(self.columns):
            mine = shown[:, at : at + max(1, column.width)]
            at += max(1, column.width)
            if not column.width:
                values[:, j] = mine[:, 0]
                continue
            if isinstance(column, Bent):
                mine = column.bend(mine)
            parts.append(mine)
        joined = np.concatenate(parts, 1) if parts else np.empty((len(shown), 0))
        return (joined - self.shift) / self.scale, values

    def names(self, names: Sequence[str]) -> list[str]:
        """The names of the columns of `show`, from those of the table."""
        found = []
        for column, name in zip(self.columns, names, strict=True):
            levels = column.levels if isinstance(column, Nominal) else None
            found += [name] if levels is None else [f"{name}_{level}" for level in levels]
        return found

    def to_dict(self) -> list[dict[str, Any]]:
        """The columns as plain values."""
        return [column.to_dict() for column in self.columns]

    @classmethod
    def from_dict(
        cls, columns: Sequence[dict[str, Any]], arrays: dict[str, Array]
    ) -> "Coordinates":
        """The coordinates of plain values and the arrays `shift`, `scale`, `low` and `high`."""
        return cls([column_of(column) for column in columns], **arrays)


def _column(values: Array, levels: tuple[Any, ...] | None, dequantize: bool) -> Column:
    if levels is None:
        return detect(values, dequantize)
    if len(levels) == 2:  # One coordinate tells two levels apart.
        return detect(values, dequantize)
    return Nominal(levels) if len(levels) > 1 else detect(values, dequantize)
