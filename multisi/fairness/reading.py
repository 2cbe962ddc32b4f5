"""Tables of any kind as numbers, and their rows by group."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from multisi.common import frames
from multisi.errors import DataError
from multisi.fairness.extra import need
from multisi.fairness.groups import read_groups

Array = np.ndarray[Any, Any]


def read(*tables: Any, missing: bool = False) -> list[Array]:
    """Tables with the same columns as float64 arrays of shape `(n, d)`.

    Categories, text and dates become numbers: text is coded in its order, and what only a later
    table has comes last.

    Arguments:
        tables: Arrays, columns or data frames of pandas, polars and others.
        missing: Missing values are kept as NaN.

    Raises:
        DataError: the tables have other columns, no rows, or values that are not finite.
    """
    given = [as_frame(table) for table in tables]
    first = given[0]
    given = [first, *(_aligned(other, first) for other in given[1:])]
    made = [np.empty(frame.shape) for frame in given]
    for i, name in enumerate(first.columns):
        values = _numbers([frame.iloc[:, i] for frame in given], name)
        for array, part in zip(
            made, np.split(values, np.cumsum([*map(len, given)])), strict=False
        ):
            array[:, i] = part
        bad = np.isinf(values) if missing else ~np.isfinite(values)
        if bad.any():
            raise DataError(
                f"Column {name!r} must be finite; {bad.sum()} of {len(bad)} values are not. "
                "Remove or fill these rows."
            )
    return made


def as_frame(table: Any) -> Any:
    """A table as a DataFrame of pandas; the columns of an array are named by their positions.

    Raises:
        DataError: it is not a table, or is empty.
    """
    pandas = need("pandas")
    if isinstance(table, pandas.Series):
        table = table.to_frame()
    elif not isinstance(table, pandas.DataFrame):
        table = _foreign(table, pandas)
    if not table.shape[0] or not table.shape[1]:
        raise DataError(f"A table must have rows and columns; got shape {tuple(table.shape)}.")
    return table


def _foreign(table: Any, pandas: Any) -> Any:
    if not hasattr(table, "__array_namespace__") and not isinstance(table, list | tuple):
        native = need("narwhals").from_native(
            table, eager_only=True, allow_series=True, pass_through=True
        )
        if hasattr(native, "to_frame"):
            native = native.to_frame()
        if hasattr(native, "iter_columns"):
            return pandas.DataFrame({c.name: c.to_numpy() for c in native.iter_columns()})
    frames.refuse_others(table, "X")
    array = np.asarray(table)
    if array.ndim not in (1, 2):
        raise DataError(f"A table must have rows and columns; got shape {array.shape}.")
    return pandas.DataFrame(array if array.ndim == 2 else array[:, None])


def _aligned(frame: Any, first: Any) -> Any:
    """The columns of a table in the order of the first, if both have names."""
    if len(frame.columns) != len(first.columns):
        raise DataError(
            f"The tables must have the same columns; got {len(first.columns)} and "
            f"{len(frame.columns)}."
        )
    if any(frames.counts(table.columns) for table in (frame, first)):
        return frame
    if set(frame.columns) != set(first.columns):
        other = sorted(map(str, set(frame.columns) ^ set(first.columns)))
        raise DataError(f"The tables must have the same columns; only one has {', '.join(other)}.")
    return frame[list(first.columns)]


def _numbers(parts: Sequence[Any], name: Any) -> Array:
    """The values of one column of all tables, one after the other."""
    pandas = need("pandas")
    whole = pandas.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    kinds = pandas.api.types
    if kinds.is_complex_dtype(whole.dtype):
        raise DataError(f"Column {name!r} must hold real numbers; got {whole.dtype}.")
    if kinds.is_numeric_dtype(whole.dtype):
        return np.asarray(whole.to_numpy(np.float64, na_value=np.nan))
    if isinstance(whole.dtype, pandas.CategoricalDtype):
        codes = whole.cat.codes.to_numpy(np.float64)
        return np.where(codes < 0, np.nan, codes)
    if kinds.is_datetime64_any_dtype(whole.dtype) or kinds.is_timedelta64_dtype(whole.dtype):
        return np.asarray((whole - whole.min()) / pandas.Timedelta(days=1), dtype=np.float64)
    try:
        return np.asarray(pandas.to_numeric(whole), dtype=np.float64)
    except (ValueError, TypeError):
        pass
    order: dict[Any, int] = {}
    try:
        for part in parts:
            for level in sorted(set(part.dropna()) - order.keys(), key=str):
                order[level] = len(order)
    except TypeError:
        raise DataError(f"Column {name!r} must hold numbers or text.") from None
    return np.asarray(whole.map(order), dtype=np.float64)


def coded(sensitive_features: Any, rows: int, least: int = 1) -> tuple[list[Any], Array]:
    """The names of the groups in order, and the number of the group of every row.

    Arguments:
        sensitive_features: The sensitive features.
        rows: Number of rows that there must be.
        least: Fewest rows of a group.

    Raises:
        DataError: there are fewer than two groups, or one has too few rows.
    """
    codes, found = need("pandas").factorize(read_groups(sensitive_features, rows))
    names = np.asarray(found).tolist()
    try:
        order = sorted(range(len(names)), key=names.__getitem__)
    except TypeError:  # Names of several types.
        order = sorted(range(len(names)), key=lambda i: str(names[i]))
    if len(names) < 2:
        raise DataError(f"At least two groups are needed; got only {names[0]!r}.")
    codes, names = np.argsort(order)[codes], [names[i] for i in order]
    counts = np.bincount(codes)
    if counts.min() < least:
        raise DataError(
            f"Every group needs {least} rows; group {names[counts.argmin()]!r} has "
            f"{counts.min()}. Join it with another or leave it out."
        )
    return names, codes


def thinned(codes: Array, most: int, random_state: Any) -> Array:
    """Rows of which at most `most` are in one group, drawn at random where there are more."""
    source = np.random.default_rng(random_state)
    kept = []
    for k in range(codes.max() + 1):
        rows = np.flatnonzero(codes == k)
        many = len(rows) > most
        kept.append(np.sort(source.choice(rows, most, replace=False)) if many else rows)
    return np.sort(np.concatenate(kept))


def spread(values: Array) -> Array:
    """The standard deviation of every column over all rows; 1 for a constant column."""
    size = np.abs(values).max(0)
    size = np.where(size > 0, size, 1.0)
    deviation = (values / size).std(0) * size
    return np.where((values != values[0]).any(0) & (deviation > 0), deviation, 1.0)


def take(table: Any, rows: Array) -> Any:
    """Rows of a table, of the same kind as the table."""
    table = np.asarray(table) if isinstance(table, list | tuple) else table
    return getattr(table, "iloc", table)[rows]
