"""Samples of a file, what the file holds beside them, and the options of reading it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from multisi.common import checks
from multisi.errors import ConfigError

Array: TypeAlias = np.ndarray[Any, Any]
LEAST_BOUND = 512 * 2**20
"""Bytes that a file may always expand to."""
EXPANSION = 100
"""How many times its size a larger file may expand to."""


@dataclass(frozen=True)
class Reading:
    """How files are read where they do not say it themselves.

    Arguments:
        header: Whether the first line of a CSV file has the names of the columns; by default it
            is decided, or the file is refused if it is ambiguous.
        index: Columns that are kept aside, by name or by place as `#1`; `()` if all columns that
            look like an index are features; by default files with such columns are refused.
        labels: Column of the labels.
        weights: Column of the weights.
        condition: Columns of the condition, in order.
        missing: `"refuse"` or `"drop"`: whether rows with missing values are an error or left out.
        most_bytes: The most that a file may expand to; by default 512 MiB, or a hundred times the
            size of a larger file.
        size: Height and width that the pictures of a folder are scaled and cut to; `None` for
            their own.
        channels: 1 for grey pictures of a folder, 3 for coloured ones; `None` for their own.
        unreadable: `"refuse"` or `"skip"`: whether pictures of a folder that cannot be read are an
            error or left out.

    Raises:
        ConfigError: an option has an invalid value.
    """

    header: bool | None = None
    index: tuple[str, ...] | None = None
    labels: str | None = None
    weights: str | None = None
    condition: tuple[str, ...] = ()
    missing: str = "refuse"
    most_bytes: int | None = None
    size: tuple[int, int] | None = None
    channels: int | None = None
    unreadable: str = "refuse"

    def __post_init__(self) -> None:
        if self.missing not in ("refuse", "drop"):
            raise ConfigError(f"missing must be 'refuse' or 'drop'; got {self.missing!r}.")
        if self.most_bytes is not None:
            checks.integer(self.most_bytes, "most_bytes")
        if self.channels not in (None, 1, 3):
            raise ConfigError(f"channels must be 1, 3 or None; got {self.channels!r}.")
        if self.unreadable not in ("refuse", "skip"):
            raise ConfigError(f"unreadable must be 'refuse' or 'skip'; got {self.unreadable!r}.")

    def bound(self, size: int) -> int:
        """The most bytes that a file of `size` bytes may expand to."""
        return self.most_bytes or max(LEAST_BOUND, EXPANSION * size)


@dataclass(frozen=True)
class Column:
    """A column that is no feature: it comes out as it came, at its place.

    Arguments:
        place: Its place among all columns of the file.
        name: Its name; `None` without a header.
        cells: Its cells: texts, or a column of pandas.
    """

    place: int
    name: str | None
    cells: Any


@dataclass(frozen=True)
class Picture:
    """What a picture has beside the colours of its pixels.

    Arguments:
        size: Height and width.
        alpha: The alpha band, from 0 to 255, shape `(height, width)`; `None` without one.
        kept: Colour profile, EXIF and resolution, by the names that Pillow has for them.
        lost: Names of what is not written again.
    """

    size: tuple[int, int]
    alpha: Array | None = None
    kept: Mapping[str, Any] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class Samples:
    """Samples, and what is needed to write other samples in the same form.

    Arguments:
        rows: The samples, shape `(n, *event)`; pixels of a picture in [0, 1], shape `(n, 3)`.
        features: Names of the features, in the order of the file.
        labels: One integer per row.
        weights: One number per row; the opacity of a pixel.
        condition: One vector per row.
        aside: The columns of a table that are no features.
        index: The index of a DataFrame, if it holds more than the numbers of the rows.
        picture: The picture whose pixels the rows are.
        files: The files of a folder that the rows are, by their paths in it.
        found: The columns named in the options of reading that this file has.
        headless: Whether the file is a table without names, which nobody has said to be one.
    """

    rows: Array
    features: tuple[str, ...] | None = None
    labels: Array | None = None
    weights: Array | None = None
    condition: Array | None = None
    aside: tuple[Column, ...] = ()
    index: Any = None
    picture: Picture | None = None
    files: tuple[str, ...] | None = None
    found: frozenset[str] = frozenset()
    headless: bool = False

    def names(self) -> list[str] | None:
        """The names of all columns, those kept aside at their places; `None` without names."""
        if self.features is None:
            return None
        return self.among(self.features, [column.name or "" for column in self.aside])

    def among(self, features: Iterable[Any], aside: Iterable[Any]) -> list[Any]:
        """What belongs to each feature, with what belongs to each column aside at its place."""
        whole = list(features)
        for column, value in zip(self.aside, aside, strict=True):  # In the order of places.
            whole.insert(column.place, value)
        return whole
