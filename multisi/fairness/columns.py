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
from scipy.special import ndtr, ndtri

Array = Any
_EDGE, _LEAST_EDGE = 0.005, 1e-5
"""Shares of a bin and of the range that are left free at each side of a bin, so that rounding
errors change no value."""


class Column(ABC):
    """How the values of one column become coordinates, and coordinates become values."""

    width: int = 1
    """Number of coordinates."""
    noisy: bool = True
    """Whether coordinates depend on the noise."""

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
    noisy = False

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

    @property
    def noisy(self) -> bool:  # type: ignore[override]
        """Whether there are atoms."""
        return bool(self.atoms)

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
class Bent(Column):
    """A column whose coordinate is an increasing function of that of another one.

    Arguments:
        inner: The other column, of one coordinate.
    """

    inner: Column

    @property
    def noisy(self) -> bool:  # type: ignore[override]
        """Whether coordinates depend on the noise."""
        return self.inner.noisy

    @abstractmethod
    def bend(self, y: Array) -> Array:
        """The coordinate of inner ones."""

    @abstractmethod
    def unbend(self, z: Array) -> Array:
        """The inverse of `bend`."""

    def spread(self, values: Array, u: Array) -> Array:
        """Coordinates of values."""
        return self.bend(self.inner.spread(values, u))

    def restore(self, coordinates: Array) -> Array:
        """Values of coordinates."""
        return self.inner.restore(self.unbend(coordinates))


@dataclass(frozen=True)
class Squashed(Bent):
    r"""A column with a heavy tail, whose coordinates are $s \sinh^{-1}((y - m) / s)$.

    Arguments:
        inner: The column that it is.
        middle: $m$.
        scale: $s$.
    """

    middle: float
    scale: float

    def bend(self, y: Array) -> Array:
        """The coordinate of inner ones."""
        return self.scale * np.arcsinh((y - self.middle) / self.scale)

    def unbend(self, z: Array) -> Array:
        """The inverse of `bend`."""
        return self.middle + self.scale * np.sinh(np.clip(z / self.scale, -300, 300))


@dataclass(frozen=True)
class Scored(Bent):
    r"""A column of atoms, whose coordinates are normal scores $s\,\Phi^{-1}(F(y))$.

    $F$ is the law of all rows, linear between knots. Where values are few, the law over their bins
    is one of steps; a flow has to move steps onto steps, and smooth maps cannot. The law of scores
    is smooth. Beyond the knots the slope is that between the first and the last one.

    Arguments:
        inner: The column that it is.
        knots: Coordinates of the column, increasing.
        levels: $F$ there, increasing, in $(0, 1)$.
        scale: $s$.
    """

    knots: tuple[float, ...]
    levels: tuple[float, ...]
    scale: float

    def bend(self, y: Array) -> Array:
        """The coordinate of inner ones."""
        knots = np.array(self.knots)
        inside = np.clip(y, knots[0], knots[-1])
        scores = ndtri(np.interp(inside, knots, self.levels))
        return self.scale * (scores + self._slope * (y - inside))

    def unbend(self, z: Array) -> Array:
        """The inverse of `bend`."""
        scores = z / self.scale
        inside = np.clip(scores, *ndtri([self.levels[0], self.levels[-1]]))
        return np.interp(ndtr(inside), self.levels, self.knots) + (scores - inside) / self._slope

    @property
    def _slope(self) -> float:
        ends = ndtri([self.levels[0], self.levels[-1]])
        return float((ends[1] - ends[0]) / (self.knots[-1] - self.knots[0]))


KINDS = {
    kind.__name__: kind for kind in (Constant, Continuous, Lattice, Nominal, Squashed, Scored)
}


def column_of(given: dict[str, Any]) -> Column:
    """The column of its kind and parameters, as `Column.to_dict` gives them."""
    options = dict(given)
    kind = options.pop("kind")
    if "inner" in options:
        options["inner"] = column_of(options["inner"])
    options = {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}
    return KINDS[kind](**options)
