"""What a fitted repair consists of: columns, groups, and the map between their laws."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multisi.errors import DataError, DataWarning
from multisi.fairness import rowwise, targets
from multisi.fairness.coordinates import Coordinates
from multisi.fairness.groups import distinct, warn_of_small
from multisi.fairness.making import Making
from multisi.fairness.maps import GroupMap
from multisi.fairness.selection import ONE_GROUP, Selection
from multisi.fairness.tables import Schema

Array = Any
_DRAWS, _ROWS = 8, 2**16
"""Most draws of the noise that a map is made of, and rows of all of them together."""
_LARGEST = 1e100
"""Largest size of a value, whose square and that of others can be added."""


@dataclass
class Core:
    """Columns, groups and the map between their laws.

    Arguments:
        schema: What the columns of the table are called.
        coordinates: What they are.
        groups: The groups in order, shape `(k,)`.
        weights: Their shares.
        target: The point of the simplex that rows are repaired to.
        seed: The seed of the noise.
        nameless: Whether there were no groups at the fit.
        map: The map; `None` leaves rows as they are.
        selection: Why it was chosen.
    """

    schema: Schema
    coordinates: Coordinates
    groups: Array
    weights: Array
    target: Array
    seed: int
    nameless: bool = False
    map: GroupMap | None = None
    selection: Selection = ONE_GROUP

    @classmethod
    def of(
        cls,
        schema: Schema,
        values: Array,
        keys: Array,
        order: Sequence[Any] | None,
        making: Making,
        seed: int,
    ) -> "Core":
        """The columns and groups of a table.

        Arguments:
            schema: What the columns are called.
            values: The rows, float64, shape `(n, d)`.
            keys: The group of each row.
            order: The order of the groups, if they have one.
            making: The options.
            seed: The seed of the noise.
        """
        found = distinct(keys, order)
        groups = np.empty(len(found), object)
        groups[:] = found
        weights = np.array([(keys == group).mean() for group in found])
        target = targets.resolve(making.target, found, weights)
        coordinates = Coordinates.of(values, schema.levels, making.dequantize)
        return cls(schema, coordinates, groups, weights, target, seed)

    def learn(self, x: Array, keys: Array, labels: Array | None, making: Making) -> None:
        """Learn the map.

        Arguments:
            x: The coordinates of the rows, shape `(n, draws, c)`.
            keys: The group of each row.
            labels: Classes of the rows, or `None`.
            making: The options.
        """
        if len(self.groups) < 2 or not self.coordinates.size:
            return
        parts = [keys == group for group in self.groups]
        warn_of_small(self.groups, [int(part.sum()) for part in parts])
        names = [str(group) for group in self.groups]
        if len(set(names)) < len(names):
            names = [f"{name} ({k})" for k, name in enumerate(names)]
        self.selection, self.map = making.made(
            [x[part] for part in parts],
            names,
            self.target,
            None if labels is None else [labels[part] for part in parts],
            self.seed,
        )

    def codes(self, keys: Array) -> Array:
        """The number of the group of each row, -1 for unknown groups."""
        places = {group: k for k, group in enumerate(self.groups)}
        return np.array([places.get(key, -1) for key in keys.tolist()], int)

    def spread(self, values: Array, identifiers: Array, draw: int = 0) -> Array:
        """The coordinates of rows; lattices and atoms are spread by noise of each row."""
        u = rowwise.uniform(self.seed + draw, values, identifiers, self.coordinates.size)
        return self.coordinates.spread(values, u)

    def draws(self, values: Array, identifiers: Array) -> Array:
        """The coordinates of rows with several draws of the noise, shape `(n, draws, c)`."""
        count = min(_DRAWS, max(1, _ROWS // len(values))) if self.coordinates.noisy else 1
        return np.stack([self.spread(values, identifiers, draw) for draw in range(count)], 1)

    def move(
        self, x: Array, codes: Array, alpha: Array, amount: float, back: bool = False
    ) -> Array:
        """Coordinates of rows, moved from their groups to a point, or back."""
        moved = x.copy()
        for k in range(len(self.groups)):
            mine = codes == k
            corner = np.eye(len(self.groups))[k]
            point = (1 - amount) * corner + amount * alpha
            if mine.any() and self.map is not None and not np.array_equal(point, corner):
                ends = (point, corner) if back else (corner, point)
                moved[mine] = self.map.move(x[mine], *ends)
        return moved

    def columns(self, x: Array, values: Array, restore: bool, clip: bool = True) -> list[Array]:
        """The columns of a table with these coordinates, `(n,)` each."""
        if restore:
            return self.coordinates.restore(x, values, clip)
        return self.coordinates.show(x, values)

    def plain(self, values: Array, restore: bool) -> list[Array]:
        """The columns of a table that is left as it is: nominal ones have a column a level."""
        return list(values.T) if restore else self.coordinates.unmoved(values)


def check_finite(values: Array, schema: Schema, keys: Array | None = None) -> None:
    """Check that all numbers are finite.

    Raises:
        DataError: one is not; the message names its column, and its group if that is known.
    """
    rows, columns = np.nonzero(~(np.abs(values) <= _LARGEST))
    if not len(rows):
        return
    row, j = int(rows[0]), int(columns[0])
    what = "NaN" if np.isnan(values[row, j]) else "infinity"
    what = "a value beyond 1e100" if np.isfinite(values[row, j]) else what
    group = "" if keys is None else f" of group {keys[row]!r}"
    raise DataError(
        f"Input X contains {what}: {schema.called(j)} in row {row}{group}, and {len(rows) - 1} "
        "more values. Fill them in, or leave these rows out."
    )


def warn_of_groups(values: Array, schema: Schema, keys: Array) -> None:
    """Warn of columns with a value of its own for each group: they are the sensitive feature."""
    groups = [values[keys == group] for group in distinct(keys)]
    if len(groups) < 2:
        return
    same = np.all([(rows == rows[0]).all(0) for rows in groups], 0)
    firsts = np.sort([rows[0] for rows in groups], 0)
    told = np.flatnonzero(same & (np.diff(firsts, axis=0) > 0).all(0))
    if len(told):
        names = ", ".join(map(schema.called, told.tolist()))
        warnings.warn(
            f"{names}: each group has a value of its own there, as the sensitive feature has. "
            "Leave it out of the features; it is given by sensitive_features.",
            DataWarning,
            stacklevel=3,
        )
