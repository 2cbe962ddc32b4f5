"""Parquet files, with the index and the names of pandas."""

import importlib
import io
import math
import os
import warnings
from typing import Any

import numpy as np

from multisi.errors import DataError, DataWarning
from multisi.files.numpy_file import check_size
from multisi.files.regular import open_regular
from multisi.files.samples import Array, Column, Reading, Samples
from multisi.files.tables import EXACT, Roles, complete

_OWN = {b"pandas", b"ARROW:schema"}
"""Entries of a file that pandas and pyarrow write and read themselves."""


def whole(path: Any, how: Reading) -> tuple[Any, set[Any]]:
    """The DataFrame of a parquet file, and the names of the entries of its schema.

    Raises:
        DataError: the file is too large.
        ImportError: pandas or pyarrow is not installed.
    """
    pandas, parquet = (importlib.import_module(name) for name in ("pandas", "pyarrow.parquet"))
    with open_regular(path) as opened:
        with parquet.ParquetFile(opened) as file:
            about = file.metadata
            pages = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
            size = max(8 * about.num_rows * about.num_columns, pages)
            check_size(path, size, os.fstat(opened.fileno()).st_size, how)
            entries = set(file.schema_arrow.metadata or {})
        opened.seek(0)
        return pandas.read_parquet(opened, engine="pyarrow"), entries


def read(path: Any, how: Reading) -> Samples:
    """Samples from a parquet file.

    Raises:
        DataError: the file is damaged or too large, or its columns are not numbers.
        ImportError: pandas or pyarrow is not installed.
    """
    frame, entries = whole(path, how)
    lost = sorted(entries - _OWN)
    if lost:
        warnings.warn(
            f"{str(path)!r}: its entries {', '.join(map(repr, lost))} are not kept.",
            DataWarning,
            stacklevel=2,
        )
    if frame.columns.nlevels > 1:
        raise DataError(f"{str(path)!r} must have one row of names; got {frame.columns.nlevels}.")
    return of_frame(path, frame, how)


def of_frame(path: Any, frame: Any, how: Reading) -> Samples:
    """The samples of a DataFrame.

    Raises:
        DataError: a column does not hold numbers, or may be an index.
    """
    names = tuple(map(str, frame.columns))
    roles = Roles.of(path, names, len(names), how)
    columns = [frame.iloc[:, place] for place in range(len(names))]
    kinds = {columns[place].dtype for place in roles.features}
    kind = np.float32 if kinds == {np.dtype(np.float32)} else np.float64
    rows = np.empty((len(frame), len(roles.features)), kind)
    for i, place in enumerate(roles.features):
        rows[:, i] = _numbers(path, columns[place], roles, place)
    roles.warn_of_rounded(path, [p for p in roles.features if _is_rounded(columns[p])])
    given = np.empty((len(frame), len(roles.valued())))
    for i, place in enumerate(roles.valued()):
        given[:, i] = _numbers(path, columns[place], roles, place)
    roles.check_index(path, rows)
    places = [*roles.features, *roles.valued()]
    lacking = np.concatenate([np.isnan(rows), np.isnan(given)], 1)
    if roles.labels is not None:
        places.append(roles.labels)
        lacking = np.concatenate([lacking, columns[roles.labels].isna().to_numpy()[:, None]], 1)
    where = ""
    if lacking.any():
        row = int(lacking.any(1).argmax())
        where = f"row {row}, {roles.called(places[int(lacking[row].argmax())])}"
    keep = complete(path, np.asarray(lacking.any(1)), how, where)
    if keep is not None:
        rows, given, frame = rows[keep], given[keep], frame[keep]
    return Samples(
        rows,
        roles.named(),
        aside=tuple(Column(place, names[place], frame.iloc[:, place]) for place in roles.others),
        index=None if keep is None and only_counts(frame.index) else frame.index,
        found=roles.found,
        **roles.values(path, given, () if roles.labels is None else frame.iloc[:, roles.labels]),
    )


def _numbers(path: Any, column: Any, roles: Roles, place: int) -> Array:
    from pandas.api.types import is_complex_dtype, is_numeric_dtype

    if not is_numeric_dtype(column.dtype) or is_complex_dtype(column.dtype):
        raise DataError(
            f"{str(path)!r}, {roles.called(place)} must hold numbers; got {column.dtype}. Convert "
            f"it, or keep it aside by {roles.option(place)}."
        )
    numbers: Array = column.to_numpy(dtype=np.float64, na_value=math.nan)
    return numbers


def _is_rounded(column: Any) -> bool:
    """Whether a column has whole numbers that float64 does not hold."""
    if column.dtype.kind not in "iu":
        return False
    return any(
        int(value) != float(value) for value in column[(column > EXACT) | (column < -EXACT)]
    )


def only_counts(index: Any) -> bool:
    """Whether an index holds nothing but the numbers of the rows."""
    plain = index.nlevels == 1 and index.name is None and index.dtype.kind in "iu"
    return plain and bool(np.array_equal(index, np.arange(len(index))))


def write(rows: Array, like: Samples) -> bytes:
    """Rows as the bytes of a parquet file."""
    import pandas

    names = like.features or [f"x{i}" for i in range(rows.shape[1])]
    features = pandas.DataFrame(rows, columns=list(names))
    columns = like.among(
        [features.iloc[:, i] for i in range(rows.shape[1])], [c.cells for c in like.aside]
    )
    labels = like.among(names, [c.name or f"#{c.place + 1}" for c in like.aside])
    frame = pandas.DataFrame({n: np.asarray(c) if isinstance(c, list) else _bare(c) for n, c in
                              zip(labels, columns, strict=True)})  # fmt: skip
    if like.index is not None:
        frame.index = like.index
    buffer = io.BytesIO()
    frame.to_parquet(buffer, engine="pyarrow")
    return buffer.getvalue()


def _bare(column: Any) -> Any:
    """The values of a column of pandas, of the same type and without its index."""
    return column.reset_index(drop=True)
