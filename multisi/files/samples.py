"""Reading and writing samples: .npy, .npz, .csv, .parquet and images."""

import csv
import io
import pathlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from einops import rearrange

from multisi.common import checks
from multisi.errors import ConfigError, DataError
from multisi.files.atomic import write_whole

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Samples:
    """Samples, and what is needed to write other samples in the same form.

    Arguments:
        rows: The samples, shape `(n, *event)`; pixels of an image in [0, 1], shape `(n, 3)`.
        columns: Names of the columns of a table.
        picture: Height and width, if the rows are the pixels of an image.
    """

    rows: "np.ndarray[Any, Any]"
    columns: tuple[str, ...] | None = None
    picture: tuple[int, int] | None = None


def read_samples(path: Any) -> Samples:
    """Samples from a file.

    Raises:
        DataError: the file is missing or damaged, or its contents are not numbers.
        ConfigError: the format is unknown, or needs a package that is not installed.
    """
    path = checks.path(path, "A file")
    reader: Callable[[pathlib.Path], Samples] = _of(_READERS, path)
    try:
        return reader(path)
    except (DataError, ConfigError):
        raise
    except ImportError as error:
        raise _missing(path, error) from None
    except FileNotFoundError:
        raise DataError(f"The file {str(path)!r} does not exist.") from None
    except Exception as error:
        raise DataError(f"{str(path)!r} cannot be read: {error}.") from None


def check_writable(path: Any, like: Samples) -> None:
    """Check, before any work, that samples like these can be written to a path.

    Raises:
        DataError: the folder does not exist, or `path` is not a regular file.
        ConfigError: the format is unknown or cannot hold the samples.
    """
    path = checks.path(path, "A file")
    _of(_WRITERS, path)
    check_place(path)
    if path.suffix.lower() in IMAGES and like.picture is None:
        raise ConfigError(
            f"{str(path)!r}: only samples from an image can be written as an image. Write .npy."
        )
    names = like.columns or ()
    if path.suffix.lower() == ".parquet" and len(set(names)) < len(names):
        raise ConfigError(
            f"{str(path)!r}: column names must differ; got {', '.join(names)}. Write .csv."
        )
    if path.suffix.lower() in (".csv", ".parquet") and like.rows.ndim > 2:
        raise ConfigError(
            f"{str(path)!r}: a table holds vectors; got rows of shape {like.rows.shape[1:]}. "
            "Write .npy."
        )


def check_place(path: Any) -> None:
    """Check that a file can be written to a path.

    Raises:
        DataError: the folder does not exist, or `path` is not a regular file.
    """
    path = checks.path(path, "A file")
    try:
        if not path.parent.is_dir():
            raise DataError(
                f"{str(path)!r}: the folder {str(path.parent)!r} does not exist. Create it."
            )
        if path.is_dir():
            raise DataError(f"{str(path)!r} is a folder. Choose a file.")
        if path.exists() and not path.is_file():
            raise DataError(f"{str(path)!r} is not a regular file. Choose another.")
    except OSError as error:  # Such as a name that is too long.
        raise DataError(f"{str(path)!r} cannot be written: {error}.") from None


def write_samples(path: Any, rows: "np.ndarray[Any, Any]", like: Samples) -> None:
    """Write rows atomically, in the format that the ending of `path` names.

    Arguments:
        path: The file.
        rows: Rows of the same shape as those of `like`.
        like: The samples that the rows come from; their columns and picture are kept.

    Raises:
        ConfigError: the format is unknown or cannot hold the samples.
        DataError: the file cannot be written.
    """
    check_writable(path, like)
    path = pathlib.Path(path)
    try:
        write_whole(path, _of(_WRITERS, path)(rows, like, path.suffix.lower()))
    except ImportError as error:
        raise _missing(path, error) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} could not be written: {error}.") from error


def _missing(path: pathlib.Path, error: ImportError) -> ConfigError:
    return ConfigError(
        f"{path.suffix} files need {error.name or 'pyarrow'}, which is not installed. "
        "Try: pip install 'multisi[files]'"
    )


def _of(table: dict[str, Callable[..., Any]], path: pathlib.Path) -> Callable[..., Any]:
    if path.suffix.lower() not in table:
        raise ConfigError(
            f"{str(path)!r}: the format {path.suffix!r} is unknown. "
            f"Use one of {', '.join(sorted(table))}."
        )
    return table[path.suffix.lower()]


def _read_npy(path: pathlib.Path) -> Samples:
    with open(path, "rb") as opened:
        return Samples(np.load(opened, allow_pickle=False))


def _read_npz(path: pathlib.Path) -> Samples:
    with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
        names = list(file.keys())
        if len(names) != 1 and "samples" not in names:
            raise DataError(
                f"{str(path)!r} must hold one array, or one named 'samples'; got {names}."
            )
        return Samples(file["samples" if "samples" in names else names[0]])


def _read_csv(path: pathlib.Path) -> Samples:
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = [line for line in csv.reader(file) if line]
    if not lines:
        raise DataError(f"{str(path)!r} must hold samples; got an empty file.")
    numbers = all(_is_number(cell.replace("_", "")) for cell in lines[0])
    header = None if numbers else tuple(lines[0])
    body = lines[0 if header is None else 1 :]
    for number, line in enumerate(body, 1 if header is None else 2):
        if len(line) != len(lines[0]):
            raise DataError(
                f"{str(path)!r}, line {number}: expected {len(lines[0])} cells; got {len(line)}."
            )
        for place, cell in enumerate(line):
            if not _is_number(cell):
                column = header[place] if header else place
                raise DataError(
                    f"{str(path)!r}, line {number}, column {column!r}: {cell!r} is not a number."
                )
    return Samples(np.array(body, dtype=np.float64).reshape(len(body), len(lines[0])), header)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python allows underscores between digits.


def _read_parquet(path: pathlib.Path) -> Samples:
    import pandas

    table = pandas.read_parquet(path)
    for name, kind in table.dtypes.items():
        if kind.kind not in "biuf":
            raise DataError(f"{str(path)!r}, column {name!r} must hold numbers; got {kind}.")
    return Samples(table.to_numpy(dtype=np.float64), tuple(map(str, table.columns)))


def _read_image(path: pathlib.Path) -> Samples:
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        if image.mode.startswith(("I", "F")):
            raise DataError(
                f"{str(path)!r}: images must have 8 bits per channel; got mode {image.mode}."
            )
        upright = ImageOps.exif_transpose(image)  # Cameras may store a rotation as a tag.
        pixels = np.asarray(upright.convert("RGB"), dtype=np.float32) / 255
    return Samples(pixels.reshape(-1, 3), None, pixels.shape[:2])


def _write_npy(rows: "np.ndarray[Any, Any]", like: Samples, suffix: str) -> bytes:
    buffer = io.BytesIO()
    array = rows.reshape(*like.picture, -1) if like.picture else rows
    if suffix == ".npy":
        np.save(buffer, array, allow_pickle=False)
    else:
        np.savez(buffer, samples=array)
    return buffer.getvalue()


def _flat(rows: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Rows as vectors, also if there are none."""
    return rearrange(rows, "n ... -> n (...)")


def _columns(rows: "np.ndarray[Any, Any]", like: Samples) -> list[str]:
    return list(like.columns or (f"x{i}" for i in range(rows.shape[1])))


def _write_csv(rows: "np.ndarray[Any, Any]", like: Samples, suffix: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = _flat(rows)
    if like.columns or like.picture:
        writer.writerow(_columns(rows, like))
    writer.writerows(rows.tolist())
    return text.getvalue().encode()


def _write_parquet(rows: "np.ndarray[Any, Any]", like: Samples, suffix: str) -> bytes:
    import pandas

    buffer = io.BytesIO()
    rows = _flat(rows)
    pandas.DataFrame(rows, columns=_columns(rows, like)).to_parquet(buffer)
    return buffer.getvalue()


def _write_image(rows: "np.ndarray[Any, Any]", like: Samples, suffix: str) -> bytes:
    from PIL import Image

    pixels = np.rint(rows.reshape(*(like.picture or ()), 3).clip(0, 1) * 255).astype(np.uint8)
    buffer = io.BytesIO()
    kind = Image.registered_extensions()[suffix]
    Image.fromarray(pixels).save(buffer, format=kind, quality=95)
    return buffer.getvalue()


_READERS: dict[str, Callable[..., Samples]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    **dict.fromkeys(IMAGES, _read_image),
}
_WRITERS: dict[str, Callable[..., bytes]] = {
    ".npy": _write_npy,
    ".npz": _write_npy,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    **dict.fromkeys(IMAGES, _write_image),
}
