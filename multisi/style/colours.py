"""Pictures in other palettes: a map of colours as a table, and the figures of what comes out."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Any, TypeAlias

import numpy as np

from multisi.errors import ConfigError

Array: TypeAlias = np.ndarray[Any, Any]
CELLS = 255, 64
"""Cells of a lattice on each axis of colour: one for each level of 8 bits, or for four."""
_CORNERS = 2**17
"""Most corners of the finer lattice."""
_CHUNK = 2**20
_RADIUS = 2
"""Radius of the windows in which the change of colours is filtered."""
_WINDOW = 7
"""Pixels on a side of the windows in which the structural similarity compares pictures."""


class Lattice:
    """The corners of the cells that hold some colours, for maps that are linear in between.

    Where the colours are of 8 bits and few, each is a corner and maps are exact. The corners of
    more colours, as large photographs have, are those of a coarser lattice.

    Arguments:
        colours: Colours in [0, 1], or bytes, each of shape `(n, 3)`.
    """

    def __init__(self, *colours: Array) -> None:
        for self.cells in CELLS:
            self._used = np.zeros((self.cells + 1,) * 3, bool)
            for rows in colours:
                for part in _parts(rows):
                    places = self._places(rows[part])
                    ends = np.floor(places).astype(np.uint8), np.ceil(places).astype(np.uint8)
                    for corner in itertools.product(*np.stack(ends, 1)):
                        self._used[corner] = True
            if np.count_nonzero(self._used) <= _CORNERS:
                break

    def _places(self, colours: Array) -> Array:
        """The places of colours in the lattice, shape `(3, n)`."""
        return (_unit(colours).T * self.cells).round(3)

    @property
    def corners(self) -> Array:
        """The colours at which a map must be known, shape `(m, 3)`, float32."""
        return (np.argwhere(self._used) / self.cells).astype(np.float32)

    def between(self, values: Array, *colours: Array) -> list[Array]:
        """The values of a map at some colours, each of shape `(n, 3)`, float32.

        Arguments:
            values: The values at the corners, shape `(m, 3)`.
            colours: Colours of the cells, in [0, 1] or bytes, each of shape `(n, 3)`.
        """
        from scipy.ndimage import map_coordinates

        table = np.zeros((3, *self._used.shape), np.float32)
        table[:, self._used] = values.T
        found = [np.empty(rows.shape, np.float32) for rows in colours]
        for rows, values in zip(colours, found, strict=True):
            for part in _parts(rows):
                places = self._places(rows[part])
                for band in range(3):
                    values[part, band] = map_coordinates(
                        table[band], places, order=1, mode="nearest"
                    )
        return found


def calmed(before: Array, after: Array, calm: tuple[float, float] = (1.0, 2e-3)) -> Array:
    r"""A picture in another palette, with less of the noise that a steep map makes of even parts.

    A part of the change of colours is replaced by its guided filter: in each small window, the
    change is a linear function of the source, the flatter the less the source varies.

    Arguments:
        before: The source, with values in [0, 1] or bytes, shape `(h, w, 3)`.
        after: What a map of colours made of it, shape `(h, w, 3)`.
        calm: The share of the change that is filtered, and the variance of a channel below which
            a window counts as even.

    References:
        He, Sun. Fast guided filter (2015), arXiv:1505.00996.
    """
    found = np.empty_like(after)
    rows = max(1, _CHUNK // before.shape[1])
    for top in range(0, len(before), rows):
        first = max(0, top - 2 * _RADIUS)
        band = slice(first, top + rows + 2 * _RADIUS)
        whole = _filtered(_unit(before[band]), after[band], *calm)
        found[top : top + rows] = whole[top - first : top - first + rows]
    return found


def _filtered(before: Array, after: Array, share: float, even: float) -> Array:
    from scipy.ndimage import uniform_filter

    def mean(picture: Array) -> Array:
        size = 2 * _RADIUS + 1
        filtered: Array = uniform_filter(picture, (size, size, 1), mode="nearest")
        return filtered

    change = after - before
    level, shift = mean(before), mean(change)
    variance = mean(before * before) - level * level
    slope = (mean(before * change) - level * shift) / (variance + even)
    guided = mean(slope) * before + mean(shift - slope * level)
    found: Array = before + (1 - share) * change + share * guided
    return found


@dataclass(frozen=True)
class Look:
    """What the eye sees of a picture in another palette.

    Arguments:
        structure: Structural similarity to the source, 1 if they are equal; NaN where the picture
            is smaller than a window.
        gradient: Mean absolute difference of neighbours over that of the source: speckle where it
            is large; NaN where the source is even.
        colours: Distinct 8-bit colours over those of the source: posterised where there are few.
        outside: Share of the values that are outside the gamut, and are clipped.
    """

    structure: float
    gradient: float
    colours: float
    outside: float

    @classmethod
    def of(cls, before: Array, after: Array) -> "Look":
        """The figures of a picture `(h, w, 3)` and the same in another palette, not clipped.

        Arguments:
            before: The source, with values in [0, 1].
            after: What it became.
        """
        shown, structure = after.clip(0, 1), math.nan
        if min(before.shape[:2]) >= _WINDOW:
            structure = float(
                similarity()(before, shown, win_size=_WINDOW, channel_axis=2, data_range=1)
            )
        size = _slope(before)
        return cls(
            structure,
            _slope(shown) / size if size else math.nan,
            _distinct(shown) / _distinct(before),
            float(((after < 0) | (after > 1)).mean()),
        )

    @classmethod
    def mean(cls, looks: "Sequence[Look]") -> "Look":
        """The mean of each figure, over the pictures that have it."""
        columns = np.array([astuple(look) for look in looks], np.float64).T
        kept = [column[~np.isnan(column)] for column in columns]
        return cls(*(float(column.mean()) if len(column) else math.nan for column in kept))


def similarity() -> Callable[..., Any]:
    """The structural similarity of scikit-image.

    Raises:
        ConfigError: scikit-image is not installed.
    """
    try:
        from skimage.metrics import structural_similarity
    except ImportError:
        raise ConfigError(
            "The demo needs scikit-image. Try: pip install 'multisi[demo]'"
        ) from None
    found: Callable[..., Any] = structural_similarity
    return found


def _slope(picture: Array) -> float:
    """Mean length of the gradient of a picture, by differences of neighbours."""
    return float(sum(np.abs(np.diff(picture, axis=axis)).sum() for axis in (0, 1)))


def _distinct(picture: Array) -> int:
    levels = np.rint(picture.reshape(-1, 3) * 255).astype(np.uint32)
    return len(np.unique(levels @ np.array([1, 2**8, 2**16], np.uint32)))


def _parts(rows: Array) -> list[slice]:
    """Slices of few rows, so that large pictures take little memory beside themselves."""
    return [slice(first, first + _CHUNK) for first in range(0, len(rows), _CHUNK)]


def _unit(colours: Array) -> Array:
    """Colours in [0, 1], float32."""
    scale = 255 if colours.dtype == np.uint8 else 1
    return colours.astype(np.float32) / np.float32(scale)
