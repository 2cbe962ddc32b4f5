"""Folders of pictures as marginals."""

from typing import Any

import numpy as np

from multisi.common import checks
from multisi.data.marginals import Marginal
from multisi.errors import DataError
from multisi.files.formats import read_samples
from multisi.files.samples import Reading


def folder(
    path: Any,
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    mirrored: bool = False,
    unreadable: str = "refuse",
    most_bytes: int | None = None,
) -> Marginal:
    """The pictures of a folder as a marginal, with values in [0, 1].

    Pictures in subfolders have the name of the subfolder as label, for a coupling that keeps
    labels. Several pictures are decoded at a time, once; all are then in memory.

    Arguments:
        path: The folder.
        size: Height and width, or one number for both, that pictures are scaled and cut to;
            `None` for their own, which must be the same.
        channels: 1 for grey pictures, 3 for coloured ones; `None` for their own.
        mirrored: Whether each picture comes a second time with left and right exchanged, which
            doubles the data where that does not change what pictures show.
        unreadable: `"refuse"` or `"skip"`: whether pictures that cannot be read are an error.
        most_bytes: The most that the pictures may take in memory; by default 512 MiB, or a hundred
            times the size of the files.

    Returns:
        A marginal of shape `(n, channels, height, width)`.

    Raises:
        ConfigError: an option has an invalid value, or Pillow is not installed.
        DataError: the folder is missing or has fewer than two pictures, one cannot be read, or
            they differ in size or channels.

    Examples:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as place:
        ...     for i in range(3):
        ...         Image.new("RGB", (8, 8 + i), "red").save(f"{place}/{i}.png")
        ...     folder(place, size=8)
        Marginal(n=3, event=(3, 8, 8))
    """
    path = checks.path(path, "A folder")
    if not path.is_dir():
        raise DataError(f"{str(path)!r} is not a folder.")
    how = Reading(
        size=both(size),
        channels=channels,
        unreadable=unreadable,
        most_bytes=most_bytes,
    )
    twice = checks.instance(mirrored, bool, "mirrored")
    samples = read_samples(path, how)
    if len(samples.rows) < 2:
        raise DataError(f"{str(path)!r} must have 2 pictures or more; got one.")
    if not twice:
        return Marginal(samples.rows, labels=samples.labels)
    labels = None if samples.labels is None else np.tile(samples.labels, 2)
    return Marginal(np.concatenate([samples.rows, samples.rows[..., ::-1]]), labels=labels)


def both(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """Height and width, from one number or both.

    Raises:
        ConfigError: a side is not a positive integer, or there are more than two.
    """
    if size is None:
        return None
    sides = checks.several(size, "size") if isinstance(size, tuple | list) else [size, size]
    height, width = sides if len(sides) == 2 else (sides, sides)
    return checks.integer(height, "size"), checks.integer(width, "size")
