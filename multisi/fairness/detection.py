"""What a column of numbers is."""

from typing import Any

import numpy as np

from multisi.fairness import lattice
from multisi.fairness.columns import Column, Constant, Continuous, Lattice, Scored, Squashed

Array = Any
_ATOM, _ATOM_ROWS = 0.02, 5
"""Share of rows, and rows, from which on a single value is an atom."""
_LONG, _CENTRAL = 20.0, (0.1, 0.9)
"""A column has a heavy tail if it extends this many central ranges from its median."""
_KNOTS = 257
"""Knots of the law of a continuous column with atoms."""


def detect(values: Array, dequantize: bool = True) -> Column:
    """What a column of numbers is.

    Arguments:
        values: The values, float64, shape `(n,)`.
        dequantize: Whether to spread lattices and atoms; otherwise all columns are continuous.
    """
    if not len(values) or values.min() == values.max():
        return Constant()
    if not dequantize:
        return _squashed(Continuous(), values)
    grid, atoms = lattice.of(values), _atoms(values)
    if grid is not None:
        edges = lattice.edges(values, *grid[:3])
        found = Lattice(*grid, edges)
        return _squashed(found, values) if not len(atoms) else _of_lattice(found, values)
    if not len(atoms):
        return _squashed(Continuous(), values)
    return _with_atoms(values, atoms)


def _atoms(values: Array) -> Array:
    """The values that many rows have."""
    levels, counts = np.unique(values, return_counts=True)
    return levels[(counts >= _ATOM * len(values)) & (counts >= _ATOM_ROWS)]


def _squashed(found: Column, values: Array) -> Column:
    """The column, with its tail drawn in if it is a heavy one."""
    coordinates = found.spread(values, np.full((len(values), 1), 0.5))[:, 0]
    low, middle, high = np.quantile(coordinates, [_CENTRAL[0], 0.5, _CENTRAL[1]])
    scale = (high - low) / 2
    if isinstance(found, Lattice):
        scale = max(scale, found.step / 10**found.decimals)
    if scale > 0 and np.abs(coordinates - middle).max() > _LONG * scale:
        return Squashed(found, float(middle), float(scale))
    return found


def _of_lattice(found: Lattice, values: Array) -> Column:
    """Scores by the counts of the bins."""
    mass = lattice.mass_of(values, found.offset, found.step, found.decimals)
    return _scored(found, found.edges, np.concatenate([[0.0], np.cumsum(mass)]), values)


def _with_atoms(values: Array, atoms: Array) -> Column:
    """Rooms in which atoms are about as dense as the other values, and scores."""
    rest = values[~np.isin(values, atoms)]
    spread = np.ptp(np.quantile(rest, _CENTRAL)) / 0.8 if len(rest) > 1 else 0.0
    spread = spread if spread > 0 else np.ptp(values)
    rooms = spread * np.array([(values == atom).mean() for atom in atoms])
    middle = np.median(values)
    below = rooms[atoms < middle].sum() + rooms[atoms == middle].sum() / 2
    found = Continuous(tuple(atoms.tolist()), tuple(rooms.tolist()), float(below))
    u = np.random.default_rng(0).random((len(values), 1))
    levels = np.linspace(0, 1, _KNOTS)
    knots = np.quantile(found.spread(values, u), levels)
    knots = knots + 1e-9 * np.ptp(knots) * np.arange(_KNOTS)
    return _scored(found, knots.tolist(), levels, values)


def _scored(found: Column, knots: Any, masses: Array, values: Array) -> Scored:
    """Scores of a law by the masses below knots; both ends keep half a row."""
    end = 0.5 / len(values)
    levels = end + (1 - 2 * end) * masses / masses[-1]
    coordinates = found.spread(values, np.full((len(values), 1), 0.5))
    return Scored(found, tuple(knots), tuple(levels.tolist()), float(coordinates.std()))
