"""Whole tables, of CSV and parquet files: columns of numbers and of text under their names."""

import collections
import csv
import importlib
import io
import itertools
import math
import pathlib
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from multisi.common import checks
from multisi.common.features import listed
from multisi.errors import ConfigError, DataError, DataWarning
from multisi.files.csv_file import lines_of, ragged
from multisi.files.parquet_file import only_counts, whole
from multisi.files.regular import open_regular
from multisi.files.samples import Array, Reading
from multisi.files.tables import BLANK, EXACT, is_missing, is_number, is_rounded, shown

_FORMATS = {".csv": "pandas", ".parquet": "pyarrow"}
"""The endings of tables, and the packages that they need."""


@dataclass(frozen=True)
class Table:
    """A table of a file.

    Arguments:
        path: The file.
        frame: The DataFrame; the columns of a CSV file are the texts of its cells.
        lines: The number of the line of each row of a CSV file.
        indexed: Whether the index of the DataFrame is more than the numbers of the rows.
    """

    path: Any
    frame: Any
    lines: Sequence[int] = ()
    indexed: bool = False

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [str(name) for name in self.frame.columns]

    def at(self, row: int) -> str:
        """Where a row is, for a message."""
        return f"line {self.lines[row]}" if len(self.lines) else f"row {row}"

    def missing(self, name: str) -> Array:
        """Whether the value of a column is missing, for each row."""
        column = self.frame[name]
        found: Array = column.isna().to_numpy()
        if _is_text(column):
            found = found | np.array([is_missing(str(cell)) for cell in column], dtype=bool)
        return found

    def kept(self, keep: Array) -> "Table":
        """The rows of a mask."""
        lines = list(itertools.compress(self.lines, keep))
        return replace(self, frame=self.frame[keep], lines=lines)

    def texts(self, name: str) -> Array:
        """The values of a column as texts, without the blanks around them."""
        return np.array([_text(value) for value in self.frame[name].tolist()], dtype=object)

    def numbers(self, name: str, hint: str) -> Array:
        """The values of a column as numbers; whole ones are integers.

        Arguments:
            name: The column.
            hint: What to do if it has text.

        Raises:
            DataError: a value is not a finite number.
        """
        from pandas.api.types import is_complex_dtype, is_numeric_dtype

        column = self.frame[name]
        if _is_text(column):
            return self._read(name, hint)
        if not is_numeric_dtype(column.dtype) or is_complex_dtype(column.dtype):
            raise DataError(f"{str(self.path)!r}: column {name!r} has {column.dtype}. {hint}")
        numbers: Array = column.to_numpy(_plain(column.dtype))
        if numbers.dtype.kind == "f" and not np.isfinite(numbers).all():
            row = int(np.flatnonzero(~np.isfinite(numbers))[0])
            raise DataError(
                f"{str(self.path)!r}, {self.at(row)}, column {name!r}: {numbers[row]} is not a "
                "finite number. Mend it."
            )
        return numbers

    def _read(self, name: str, hint: str) -> Array:
        """The numbers of a column of texts."""
        cells = [str(cell).strip(BLANK) for cell in self.frame[name].tolist()]
        for row, cell in enumerate(cells):
            if not is_number(cell) or not math.isfinite(float(cell)):
                raise DataError(
                    f"{str(self.path)!r}, {self.at(row)}: column {name!r} has {shown(cell)}, "
                    f"which is not a finite number. {hint}"
                )
        values = np.array([float(cell) for cell in cells], dtype=np.float64)
        if any(map(is_rounded, cells, values.tolist())):
            warnings.warn(
                f"{str(self.path)!r}: column {name!r} has whole numbers beyond 2^53, which are "
                "rounded.",
                DataWarning,
                stacklevel=2,
            )
        elif all(re.fullmatch(r"[+-]?[0-9]+", cell) for cell in cells):
            return values.astype(np.int64) if np.abs(values).max(initial=0) < EXACT else values
        return values


def read_table(path: Any, how: Reading) -> Table:
    """The table of a file.

    Arguments:
        path: The file; its ending names the format.
        how: How large it may be.

    Raises:
        DataError: the file is missing or damaged, or its columns have no names of their own.
        ConfigError: the format is unknown, or needs a package that is not installed.
    """
    path = checks.path(path, "A file")
    suffix = check_ending(path)
    try:
        found = _of_csv(path) if suffix == ".csv" else _of_parquet(path, how)
    except FileNotFoundError:
        raise DataError(f"The file {str(path)!r} does not exist.") from None
    except (DataError, ConfigError, MemoryError):
        raise
    except Exception as error:
        raise DataError(f"{str(path)!r} cannot be read: {error}.") from None
    counts = collections.Counter(found.names)
    if repeated := sorted(name for name, times in counts.items() if times > 1):
        raise DataError(
            f"{str(path)!r}: each column must have a different name; repeated: "
            f"{listed(repeated)}. Rename the columns."
        )
    if not len(found.frame):
        raise DataError(f"{str(path)!r} must have rows; got none.")
    return found


def check_ending(path: Any) -> str:
    """The ending of a table, in lower case.

    Raises:
        ConfigError: the format is unknown, or needs a package that is not installed.
    """
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise ConfigError(f"{str(path)!r}: the format {suffix!r} is no table. Use .csv, .parquet.")
    for package in ("pandas", _FORMATS[suffix]):
        try:
            importlib.import_module(package)
        except ImportError:
            raise ConfigError(
                f"{str(path)!r} needs {package}. Try: pip install 'multisi[files]'"
            ) from None
    return suffix


def table_bytes(path: Any, frame: Any, indexed: bool = False) -> bytes:
    """A DataFrame as the bytes of a file.

    Arguments:
        path: The file; its ending names the format.
        frame: The DataFrame.
        indexed: Whether to write its index.
    """
    if check_ending(path) == ".parquet":
        buffer = io.BytesIO()
        frame.to_parquet(buffer, engine="pyarrow", index=indexed)
        return buffer.getvalue()
    index = frame.index.to_frame(index=False) if indexed else None
    columns = [] if index is None else [index.iloc[:, i] for i in range(index.shape[1])]
    columns += [frame.iloc[:, i] for i in range(frame.shape[1])]
    given = [] if index is None else ["" if n is None else str(n) for n in frame.index.names]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")  # It writes all digits of a number.
    writer.writerow([*given, *map(str, frame.columns)])
    writer.writerows(zip(*map(_cells, columns), strict=True))
    return text.getvalue().encode()


def with_types(table: Table, names: Sequence[str]) -> Any:
    """A DataFrame in which columns that are texts of numbers only have numbers."""
    frame = table.frame.copy()
    for name in names:
        cells = [str(cell) for cell in frame[name]] if _is_text(frame[name]) else [""]
        if all(is_number(cell) and math.isfinite(float(cell)) for cell in cells):
            if not any(is_rounded(cell, float(cell)) for cell in cells):
                frame[name] = table.numbers(name, "")
    return frame


def _of_csv(path: Any) -> Table:
    import pandas

    with open_regular(path) as file:
        try:
            with lines_of(path, file) as found:
                numbered = list(found)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{str(path)!r} cannot be read: it is not UTF-8 ({error.reason}). Save it so."
            ) from None
    if not numbered:
        raise DataError(f"{str(path)!r} must hold a table; got an empty file.")
    names = [cell.strip(BLANK) for cell in numbered[0][1]]
    for line, cells in numbered:
        if len(cells) != len(names):
            raise ragged(path, line, cells, len(names))
    frame = pandas.DataFrame([cells for _, cells in numbered[1:]], columns=names, dtype=object)
    return Table(path, frame, [line for line, _ in numbered[1:]])


def _of_parquet(path: Any, how: Reading) -> Table:
    frame, _ = whole(path, how)
    if frame.columns.nlevels > 1:
        raise DataError(f"{str(path)!r} must have one row of names; got {frame.columns.nlevels}.")
    frame.columns = [str(name) for name in frame.columns]
    return Table(path, frame, indexed=not only_counts(frame.index))


def _is_text(column: Any) -> bool:
    """Whether a column has texts, or whatever objects."""
    from pandas.api.types import is_object_dtype, is_string_dtype

    return bool(is_object_dtype(column.dtype) or is_string_dtype(column.dtype))


def _text(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value).strip(BLANK)


def _plain(dtype: Any) -> Any:
    """The type of numpy of a column of numbers without missing values."""
    return getattr(dtype, "numpy_dtype", dtype)


def _cells(column: Any) -> list[Any]:
    """The cells of a column, empty where a value is missing."""
    gone = column.isna().tolist()
    return ["" if lost else value for value, lost in zip(column.tolist(), gone, strict=True)]
