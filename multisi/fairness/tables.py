"""Tables in and out: arrays and frames, their columns as numbers, and their rows' identifiers."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from multisi.errors import DataError, DataWarning

Array = Any


@dataclass(frozen=True)
class Schema:
    """What the columns of a table are called, and the levels of those that are nominal.

    Arguments:
        names: Names of the columns; `None` for an array.
        levels: For each column its levels, or `None` if it has numbers.
        types: For each column of a frame the name of its type.
    """

    names: tuple[str, ...] | None
    levels: tuple[tuple[Any, ...] | None, ...]
    types: tuple[str, ...]

    @classmethod
    def of(cls, table: Any, categorical: Any) -> "Schema":
        """The schema of a table.

        Arguments:
            table: An array or a frame.
            categorical: Names or places of nominal columns, a mask, or `None` for those of the
                types Categorical and Enum.

        Raises:
            DataError: a column named in `categorical` is missing, or nominal values are missing.
        """
        frame = as_frame(table)
        if frame is None:
            array = np.asarray(table)
            chosen = _chosen(categorical, None, array.shape[1])
            columns = [array[:, j] for j in range(array.shape[1])]
            names, types = None, ("",) * len(columns)
        else:
            names = tuple(map(str, frame.columns))
            chosen = _chosen(categorical, names, len(names))
            if categorical is None:
                kinds = (nw.Categorical, nw.Enum)
                chosen = {j for j, c in enumerate(frame.iter_columns()) if c.dtype in kinds}
            columns = [column.to_numpy() for column in frame.iter_columns()]
            types = tuple(str(column.dtype) for column in frame.iter_columns())
        levels = [
            _levels(column, _called(names, j)) if j in chosen else None
            for j, column in enumerate(columns)
        ]
        return cls(names, tuple(levels), types)

    def numbers(self, table: Any) -> Array:
        """The columns of a table as numbers, float64, shape `(n, d)`; levels are counted from 0.

        Raises:
            DataError: a column has text and is not nominal, or a level was not there at the fit.
        """
        frame = as_frame(table)
        if frame is None and not any(self.levels):
            return table
        columns = (
            [column.to_numpy() for column in frame.iter_columns()]
            if frame is not None
            else list(np.asarray(table).T)
        )
        read = [self._number(column, j) for j, column in enumerate(columns)]
        return np.stack(read, 1) if read else np.empty((len(table), 0))

    def _number(self, column: Array, j: int) -> Array:
        if (levels := self.levels[j]) is None:
            if column.dtype.kind in "mM":
                raise DataError(
                    f"{_called(self.names, j)} must have numbers; got times. Make them numbers, "
                    "such as days since a date, or leave it out."
                )
            try:
                return np.asarray(column, dtype=np.float64)
            except (TypeError, ValueError):
                value = next((v for v in column if not isinstance(v, int | float)), column[0])
                raise DataError(
                    f"{_called(self.names, j)} must have numbers; got {value!r}. Name it in "
                    "categorical_features, make it a Categorical, or leave it out."
                ) from None
        place = {level: float(i) for i, level in enumerate(levels)}
        unknown = [value for value in column.tolist() if value not in place]
        if unknown:
            raise DataError(
                f"{_called(self.names, j)} has {unknown[0]!r}, which is none of the "
                f"{len(levels)} levels at the fit: {', '.join(map(repr, levels[:8]))}."
            )
        return np.array([place[value] for value in column.tolist()])

    def levelled(self, columns: Sequence[Array]) -> list[Array]:
        """Columns with the levels of nominal ones in place of their numbers."""
        return [
            column
            if levels is None
            else np.array([levels[int(code)] for code in column], dtype=object)
            for column, levels in zip(columns, self.levels, strict=True)
        ]

    def called(self, j: int) -> str:
        """A column, for a message."""
        return _called(self.names, j)


def as_frame(table: Any) -> Any:
    """A frame of pandas, polars or another library that narwhals knows; `None` for an array."""
    try:
        found = nw.from_native(table, eager_only=True, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        raise DataError(f"The columns of a table must have different names: {error}") from None
    return found if isinstance(found, nw.DataFrame) else None


def identifiers(table: Any, row_ids: Any, rows: int) -> Array:
    """What tells rows apart: those given, the index of a DataFrame, or the places of rows.

    Raises:
        DataError: there is another number of identifiers than of rows.
    """
    if row_ids is not None:
        found = np.asarray(row_ids)
        if found.shape != (rows,):
            raise DataError(
                f"row_ids must have one identifier for each of the {rows} rows; got shape "
                f"{found.shape}."
            )
        return found
    index = getattr(table, "index", None)
    if index is None or callable(index):
        return np.arange(rows)
    found = np.asarray(index)
    if len(set(found.tolist())) < rows:
        warnings.warn(
            "The index of the table has repeated entries, so equal rows get equal noise. Give "
            "row_ids=, or a table with an index of its own for each row.",
            DataWarning,
            stacklevel=3,
        )
    return found


def like(table: Any, columns: Sequence[Array], names: Sequence[str]) -> Any:
    """Columns as a table of the kind of another one, with its index.

    Arguments:
        table: An array or a frame.
        columns: The columns, each of shape `(n,)`.
        names: Their names.
    """
    frame = as_frame(table)
    if frame is None:
        dtype = getattr(table, "dtype", None)
        dtype = dtype if dtype == np.float32 else np.float64
        if any(column.dtype == object for column in columns):
            dtype = np.dtype(object)
        return np.stack(columns, 1).astype(dtype)
    made = nw.from_dict(
        dict(zip(names, columns, strict=True)), backend=frame.implementation
    ).to_native()
    if hasattr(made, "index") and not callable(made.index):
        made.index = table.index
    return made


def typed(table: Any, types: Sequence[str]) -> Any:
    """A frame with columns of given types, as far as their values allow it."""
    frame = as_frame(table)
    if frame is None:
        return table
    known = {"Categorical": nw.Categorical}
    for name, kind in zip(frame.columns, types, strict=True):
        dtype = known.get(kind) or getattr(nw, kind, None)
        if dtype is not None and dtype not in (nw.Object, nw.Unknown, nw.Enum):
            column = nw.col(name)
            if dtype.is_integer() and frame[name].dtype.is_float():
                column = column.round(0)  # A whole number that was moved back is nearly whole.
            frame = frame.with_columns(column.cast(dtype))
    return frame.to_native()


def _called(names: Sequence[str] | None, j: int) -> str:
    return f"Column {j}" if names is None else f"Column {names[j]!r}"


def _levels(column: Array, called: str) -> tuple[Any, ...]:
    values = set(column.tolist())
    if any(value is None or value != value for value in values):
        raise DataError(f"{called} has missing values. Fill them in, or leave these rows out.")
    try:
        return tuple(sorted(values))
    except TypeError:
        return tuple(sorted(values, key=lambda value: (type(value).__name__, str(value))))


def _chosen(categorical: Any, names: Sequence[str] | None, count: int) -> set[int]:
    """The places of nominal columns."""
    if categorical is None:
        return set()
    given = np.atleast_1d(np.asarray(categorical, dtype=object))
    if len(given) == count and all(isinstance(entry, bool | np.bool_) for entry in given):
        return set(np.flatnonzero(given.astype(bool)).tolist())
    places = {name: j for j, name in enumerate(names or ())}
    found = set()
    for entry in given.tolist():
        place = places.get(entry) if isinstance(entry, str) else entry
        if not isinstance(place, int) or not 0 <= place < count:
            known = f"of {', '.join(map(repr, names))}" if names else f"below {count}"
            raise DataError(f"categorical_features has {entry!r}; it must be one {known}.")
        found.add(place)
    return found
