"""Columns for what they are: counts, rounded numbers, atoms, heavy tails and names.

A map that is smooth and differs from group to group moves each group's whole numbers to a lattice
of its own, which tells the group. Columns are therefore spread over continuous coordinates before
they are moved: a value of a lattice over its bin, an atom over room that is made for it. A value
is found again by rounding.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from multisi.fairness import lattice

Array = Any
_EDGE, _LEAST_EDGE = 0.005, 1e-5
"""Shares of a bin and of the range that are left free at each side of a bin, so that rounding
errors change no value."""
_ATOM, _ATOM_ROWS = 0.02, 5
"""Share of rows, and rows, from which on a single value is an atom."""
_LONG, _CENTRAL = 20.0, (0.1, 0.9)
"""A column has a heavy tail if it extends this many central ranges from its median."""


class Column(ABC):
    """How the values of one column become coordinates, and coordinates become values."""

    width: int = 1
    """Number of coordinates."""

    @abstractmethod
    def spread(self, values: Array, u: Array) -> Array:
        """Coordinates `(n, width)` of values `(n,)`, given numbers in (0, 1) of that shape."""

    @abstractmethod
    def restore(self, coordinates: Array) -> Array:
        """Values `(n,)` of coordinates `(n, width)`."""

    def to_dict(self) -> dict[str, Any]:
        """The kind and the parameters, as plain values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        inner = {k: v.to_dict() for k, v in values.items() if isinstance(v, Column)}
        return {"kind": type(self).__name__, **values, **inner}


@dataclass(frozen=True)
class Constant(Column):
    """A column with one value, which has no coordinate; other values are kept aside."""

    width = 0

    def spread(self, values: Array, u: Array) -> Array:
        """No coordinate."""
        return np.empty((len(values), 0))

    def restore(self, coordinates: Array) -> Array:
        """Zeros: the values are known from the table itself."""
        return np.zeros(len(coordinates))


@dataclass(frozen=True)
class Continuous(Column):
    """Values that hardly repeat, and atoms between them.

    An atom at $a$ is spread over $[a, a + w)$, and all values above are moved up by $w$; then all
    are moved down again, so that the median hardly moves.

    Arguments:
        atoms: Values with an atom, in order.
        rooms: The room of each.
        down: How far all are moved down.
    """

    atoms: tuple[float, ...] = ()
    rooms: tuple[float, ...] = ()
    down: float = 0.0

    def spread(self, values: Array, u: Array) -> Array:
        """Coordinates of values."""
        atoms, rooms = np.array(self.atoms), np.array(self.rooms)
        above = np.searchsorted(atoms, values, "left")
        moved = values + np.concatenate([[0.0], np.cumsum(rooms)])[above]
        if len(atoms):
            at = np.minimum(above, len(atoms) - 1)
            there = atoms[at] == values
            inside = _EDGE + (1 - 2 * _EDGE) * u[:, 0]
            moved = moved + np.where(there, rooms[at] * inside, 0.0)
        return (moved - self.down)[:, None]

    def restore(self, coordinates: Array) -> Array:
        """Values of coordinates."""
        y = coordinates[:, 0] + self.down
        if not self.atoms:
            return y
        atoms, rooms = np.array(self.atoms), np.array(self.rooms)
        starts = atoms + np.concatenate([[0.0], np.cumsum(rooms)[:-1]])
        below = np.searchsorted(starts, y, "right") - 1
        at = np.maximum(below, 0)
        value = np.maximum(y - np.cumsum(rooms)[at], atoms[at])
        inside = y < starts[at] + rooms[at]
        return np.where(below < 0, y, np.where(inside, atoms[at], value))


@dataclass(frozen=True)
class Lattice(Column):
    r"""Values $(o + s\,i) / 10^d$ with whole numbers $i$: counts, binary and rounded numbers.

    The value of $i$ is spread over the bin $[e_i, e_{i+1})$. Beyond the last bins they have the
    width of the lattice.

    Arguments:
        offset: $o$, a whole number.
        step: $s$, a whole number.
        decimals: $d$.
        single: Whether values are rounded to float32.
        edges: $e_0 < e_1 < …$, one more than values from the least to the largest.
    """

    offset: int
    step: int
    decimals: int
    single: bool
    edges: tuple[float, ...]

    def spread(self, values: Array, u: Array) -> Array:
        """Coordinates of values."""
        i, edges = self._index(values), np.array(self.edges)
        least = _LEAST_EDGE * (edges[-1] - edges[0])
        inside = np.clip(i, 0, len(edges) - 2)
        start, width = edges[inside], np.diff(edges)[inside]
        free = np.clip(least / width, _EDGE, 0.4)
        there = free + (1 - 2 * free) * u[:, 0]
        return (start + width * there + (i - inside) * self._width)[:, None]

    def restore(self, coordinates: Array) -> Array:
        """The values whose bins coordinates are in."""
        y, edges = coordinates[:, 0], np.array(self.edges)
        i = np.searchsorted(edges, y, "right") - 1.0
        last = len(edges) - 2
        i = np.where(i > last, last + np.ceil((y - edges[-1]) / self._width), i)
        i = np.where(i < 0, np.floor((y - edges[0]) / self._width), i)
        return self.value(i)

    def value(self, i: Array) -> Array:
        """The value of a number on the lattice."""
        value = (self.offset + self.step * i) / 10**self.decimals
        return value.astype(np.float32).astype(float) if self.single else value

    @property
    def _width(self) -> float:
        return float(self.step / 10**self.decimals)

    def _index(self, values: Array) -> Array:
        i = np.rint((values * 10.0**self.decimals - self.offset) / self.step)
        return i.astype(np.int64)


@dataclass(frozen=True)
class Nominal(Column):
    """Names without an order, one coordinate for each; values are their numbers from 0 on.

    Arguments:
        levels: The names.
    """

    levels: tuple[Any, ...]

    @property
    def width(self) -> int:  # type: ignore[override]
        """Number of coordinates."""
        return len(self.levels)

    def spread(self, values: Array, u: Array) -> Array:
        """Coordinates of values: that of the level is one larger than otherwise."""
        return (values[:, None] == np.arange(len(self.levels))) + (u - 0.5) * (1 - 2 * _EDGE)

    def restore(self, coordinates: Array) -> Array:
        """The levels with the largest coordinates."""
        return coordinates.argmax(1).astype(float)


@dataclass(frozen=True)
class Squashed(Column):
    r"""A column with a heavy tail, whose coordinates are $s \sinh^{-1}((y - m) / s)$.

    Arguments:
        inner: The column that it is.
        middle: $m$.
        scale: $s$.
    """

    inner: Column
    middle: float
    scale: float

    def spread(self, values: Array, u: Array) -> Array:
        """Coordinates of values."""
        y = self.inner.spread(values, u)
        return self.scale * np.arcsinh((y - self.middle) / self.scale)

    def unsquash(self, coordinates: Array) -> Array:
        """The coordinates of the column without its heavy tail."""
        return self.middle + self.scale * np.sinh(np.clip(coordinates / self.scale, -300, 300))

    def restore(self, coordinates: Array) -> Array:
        """Values of coordinates."""
        return self.inner.restore(self.unsquash(coordinates))


KINDS = {kind.__name__: kind for kind in (Constant, Continuous, Lattice, Nominal, Squashed)}


def column_of(given: dict[str, Any]) -> Column:
    """The column of its kind and parameters, as `Column.to_dict` gives them."""
    options = dict(given)
    kind = options.pop("kind")
    if kind == "Squashed":
        options["inner"] = column_of(options["inner"])
    options = {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}
    return KINDS[kind](**options)


def detect(values: Array, dequantize: bool = True) -> Column:
    """What a column of numbers is.

    Arguments:
        values: The values, float64, shape `(n,)`.
        dequantize: Whether to spread lattices and atoms; otherwise all columns are continuous.
    """
    if not len(values) or values.min() == values.max():
        return Constant()
    found: Column = Continuous()
    if dequantize:
        grid = lattice.of(values)
        found = (
            _with_atoms(values)
            if grid is None
            else Lattice(*grid, lattice.edges(values, *grid[:3]))
        )
    coordinates = found.spread(values, np.full((len(values), 1), 0.5))[:, 0]
    low, middle, high = np.quantile(coordinates, [_CENTRAL[0], 0.5, _CENTRAL[1]])
    scale = (high - low) / 2
    if isinstance(found, Lattice):
        scale = max(scale, found.step / 10**found.decimals)
    if scale > 0 and np.abs(coordinates - middle).max() > _LONG * scale:
        return Squashed(found, float(middle), float(scale))
    return found


def _with_atoms(values: Array) -> Continuous:
    """The atoms of a column, with rooms in which they are about as dense as the other values."""
    levels, counts = np.unique(values, return_counts=True)
    large = (counts >= _ATOM * len(values)) & (counts >= _ATOM_ROWS)
    atoms, rest = levels[large], values[np.isin(values, levels[~large])]
    if not len(atoms):
        return Continuous()
    spread = np.ptp(np.quantile(rest, _CENTRAL)) / 0.8 if len(rest) > 1 else 0.0
    spread = spread if spread > 0 else np.ptp(levels)
    rooms = spread * counts[large] / len(values)
    below = rooms[atoms < np.median(values)].sum() + rooms[atoms == np.median(values)].sum() / 2
    return Continuous(tuple(atoms.tolist()), tuple(rooms.tolist()), float(below))
