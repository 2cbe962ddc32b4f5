"""Files of numpy: one array, or named arrays. What a header claims is compared with the file."""

import io
import math
import os
import warnings
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as numpy_format

from multisi.common.features import check_features
from multisi.errors import DataError, DataWarning
from multisi.files.regular import open_regular
from multisi.files.samples import Array, Reading, Samples
from multisi.files.tables import EXACT, complete, whole_numbers

_BESIDE = ("features", "labels", "weights", "condition")


def read_npy(path: Any, how: Reading) -> Samples:
    """Samples from a file of one array.

    Raises:
        DataError: the file is damaged, or does not hold an array of numbers.
    """
    with open_regular(path) as file:
        rows = _array(path, file, os.fstat(file.fileno()).st_size, "the array")
    return _complete(path, {"samples": _numbers(path, rows, "the array")}, how)


def read_npz(path: Any, how: Reading) -> Samples:
    """Samples, and what belongs to each, from a file of named arrays.

    Raises:
        DataError: the file is damaged or too large, or holds other arrays.
    """
    with open_regular(path) as opened:
        if opened.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):  # A zip may begin otherwise.
            raise DataError(f"{str(path)!r} cannot be read: it is not a file of numpy.")
        return _read_zip(path, opened, how)


def _read_zip(path: Any, opened: BinaryIO, how: Reading) -> Samples:
    with zipfile.ZipFile(opened) as file:
        members = {info.filename.removesuffix(".npy"): info for info in file.infolist()}
        size = sum(info.file_size for info in file.infolist())
        check_size(path, size, os.fstat(opened.fileno()).st_size, how)
        if len(members) < len(file.infolist()):
            raise DataError(f"{str(path)!r}: each array must have a different name.")
        arrays = {}
        for name, info in members.items():
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(f"{str(path)!r}, {name!r}: numpy does not compress in this way.")
            with file.open(info) as member:
                arrays[name] = _array(path, member, info.file_size, repr(name))
                if member.read(1):
                    raise DataError(f"{str(path)!r}, {name!r} is longer than its header says.")
    others = [name for name in arrays if name not in _BESIDE]
    if len(others) != 1:
        raise DataError(
            f"{str(path)!r} must hold one array, or the arrays samples, "
            f"{', '.join(_BESIDE)}; got {', '.join(map(repr, arrays)) or 'none'}."
        )
    features = arrays.pop("features", None)
    found = {name: _numbers(path, array, repr(name)) for name, array in arrays.items()}
    return _complete(path, {"samples": found.pop(others[0]), **found}, how, features)


def check_size(path: Any, size: int, packed: int, how: Reading) -> None:
    """Check, before a file is expanded, that it expands to a bearable size.

    Raises:
        DataError: `size` is beyond the bound.
    """
    if size > how.bound(packed):
        raise DataError(
            f"{str(path)!r} has {packed:,} bytes and expands to {size:,}, more than "
            f"{how.bound(packed):,}. Pass --max-bytes {size} if you trust it."
        )


def _array(path: Any, file: Any, size: int, what: str) -> Array:
    """An array in a file of `size` bytes, after a check of what its header claims."""
    version = numpy_format.read_magic(file)
    readers = {
        (1, 0): numpy_format.read_array_header_1_0,
        (2, 0): numpy_format.read_array_header_2_0,
    }
    if version not in readers:
        raise DataError(f"{str(path)!r}: {what} has version {version}, not an array of numbers.")
    shape, by_columns, kind = readers[version](file)
    if kind.hasobject or kind.names or kind.subdtype:
        raise DataError(
            f"{str(path)!r}: {what} must be numbers; got {'objects' if kind.hasobject else kind}. "
            "Save an array of numbers, and names of features as the array features of a .npz."
        )
    claimed = math.prod(shape) * kind.itemsize
    if min(shape, default=0) < 0 or claimed != size - file.tell():
        raise DataError(
            f"{str(path)!r}: {what} is damaged: its header claims {claimed:,} bytes, there are "
            f"{size - file.tell():,}."
        )
    data = file.read(claimed)
    if len(data) != claimed:
        raise DataError(f"{str(path)!r}: {what} is cut off.")
    return np.ndarray(shape, kind, bytearray(data), order="F" if by_columns else "C")


def _numbers(path: Any, array: Array, what: str) -> Array:
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise DataError(
            f"{str(path)!r}: {what} must be an array of numbers with an axis of rows; got type "
            f"{array.dtype}, shape {array.shape}."
        )
    return array


def _complete(
    path: Any, arrays: dict[str, Array], how: Reading, features: Array | None = None
) -> Samples:
    """The samples of some arrays, without rows that have missing values."""
    rows = arrays["samples"]
    for name, array in arrays.items():
        if len(array) != len(rows):
            raise DataError(
                f"{str(path)!r}: {name} must have one entry for each of {len(rows)} rows; got "
                f"{len(array)}."
            )
    if rows.dtype.kind in "iu" and (rows > EXACT).any() | (rows < -EXACT).any():
        warnings.warn(
            f"{str(path)!r}: the samples have whole numbers beyond 2^53, which may be rounded.",
            DataWarning,
            stacklevel=2,
        )
    missing = np.zeros(len(rows), bool)
    for array in arrays.values():
        if array.dtype.kind == "f" and array.size:
            missing |= np.isnan(array.reshape(len(array), -1)).any(1)
    keep = complete(path, missing, how, f"row {int(missing.argmax())}" if missing.any() else "")
    if keep is not None:
        arrays = {name: array[keep] for name, array in arrays.items()}
    names = None
    if features is not None:
        if features.dtype.kind != "U" or features.ndim != 1 or rows.ndim != 2:
            raise DataError(f"{str(path)!r}: features must name the columns of vectors, as texts.")
        names = check_features(features.tolist(), rows.shape[1], f"{str(path)!r}")
    labels = arrays.get("labels")
    if labels is not None:
        labels = whole_numbers(path, labels, "the array labels")
    return Samples(
        arrays["samples"], names, labels, arrays.get("weights"), arrays.get("condition")
    )


def write_npy(rows: Array, like: Samples) -> bytes:
    """An array as the bytes of a file; the pixels of a picture in its shape."""
    buffer = io.BytesIO()
    np.save(buffer, _shaped(rows, like))
    return buffer.getvalue()


def write_npz(rows: Array, like: Samples) -> bytes:
    """Rows with what belongs to them as the bytes of a file of named arrays."""
    beside = {name: getattr(like, name) for name in _BESIDE}
    if like.picture is not None:
        beside["weights"] = None  # There is a weight for each pixel, not for each row of them.
    buffer = io.BytesIO()
    arrays: Any = {n: np.asarray(value) for n, value in beside.items() if value is not None}
    np.savez(buffer, samples=_shaped(rows, like), **arrays)
    return buffer.getvalue()


def _shaped(rows: Array, like: Samples) -> Array:
    return rows if like.picture is None else rows.reshape(*like.picture.size, rows.shape[-1])
