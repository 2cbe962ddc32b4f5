"""Tables, columns and indexes of pandas: their numbers, their names, and the way back."""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from multisi.common.features import check_features
from multisi.errors import DataError


def is_frame(value: Any) -> bool:
    """Whether `value` is a DataFrame of pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def is_column(value: Any) -> bool:
    """Whether `value` is a Series, an Index or an array of pandas."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return False
    return isinstance(value, pandas.Series | pandas.Index | pandas.api.extensions.ExtensionArray)


def plain(value: Any) -> Any:
    """A column of pandas as an array, or as a dict if its numbers have names; others unchanged."""
    if not is_column(value):
        return value
    array, index = np.asarray(value), list(getattr(value, "index", ()))
    if index and not counts(index) and array.dtype.kind in "biuf":
        return dict(zip(_texts(index), array.tolist(), strict=True))
    return array


def counts(labels: Any) -> bool:
    """Whether labels count from 0 on, as those that pandas makes where there are no names."""
    return list(labels) == list(range(len(labels)))


def names(frame: Any, what: str) -> tuple[str, ...]:
    """The names of the columns of a DataFrame.

    Raises:
        DataError: a name is repeated.
    """
    found = _texts(frame.columns)
    return check_features(found, len(found), what)


def _texts(labels: Any) -> list[str]:
    return [
        "/".join(map(str, label)) if isinstance(label, tuple) else str(label) for label in labels
    ]


def numbers(table: Any, what: str) -> "np.ndarray[Any, Any]":
    """The numbers of a DataFrame, shape `(n, d)`, or of a column, shape `(n,)`.

    Raises:
        DataError: a column does not hold real numbers, or has missing values.
    """
    if not is_frame(table):
        column = table if hasattr(table, "to_numpy") else sys.modules["pandas"].Series(table)
        return _column(column, what)
    kinds = set(table.dtypes)
    if len(kinds) == 1 and isinstance(kind := next(iter(kinds)), np.dtype) and kind.kind in "iuf":
        names(table, what)
        array = table.to_numpy()
        if array.dtype.kind != "f" or not np.isnan(array).any():
            return array  # type: ignore[no-any-return]
    found = [
        _column(table.iloc[:, i], f"{what}, column {name!r}")
        for i, name in enumerate(names(table, what))
    ]
    if not found:
        return np.empty(table.shape)
    return np.stack([column.astype(np.result_type(*found), copy=False) for column in found], 1)


def _column(column: Any, what: str) -> "np.ndarray[Any, Any]":
    pandas, kind = sys.modules["pandas"], column.dtype
    is_number = pandas.api.types.is_numeric_dtype(kind) or pandas.api.types.is_bool_dtype(kind)
    if not is_number or pandas.api.types.is_complex_dtype(kind):
        raise DataError(
            f"{what} must hold numbers; got {kind}. Turn it into numbers, such as by "
            "frame.astype(float) or pandas.get_dummies(frame), drop it, or make it the index by "
            "frame.set_index."
        )
    if missing := np.flatnonzero(column.isna()).tolist():
        raise DataError(
            f"{what} must be finite; {len(missing)} of {len(column)} rows are missing, the first "
            f"is row {missing[0]}. Remove these rows: frame.dropna()."
        )
    if isinstance(kind, np.dtype):
        return column.to_numpy()  # type: ignore[no-any-return]
    short = getattr(kind, "itemsize", 8) <= (4 if pandas.api.types.is_float_dtype(kind) else 2)
    return column.to_numpy(np.float32 if short else np.float64)  # type: ignore[no-any-return]


def index_of(value: Any) -> Any:
    """The index of a DataFrame or a Series of pandas; `None` for anything else."""
    pandas = sys.modules.get("pandas")
    known = pandas is not None and isinstance(value, pandas.Series | pandas.DataFrame)
    return value.index if known else None


def check_index(values: Any, table: Any, what: str) -> None:
    """Check that a Series or DataFrame has the index of the samples it belongs to.

    Raises:
        DataError: both have an index, and these differ.
    """
    own, expected = index_of(values), index_of(table)
    if own is None or expected is None or len(own) != len(expected) or own.equals(expected):
        return
    raise DataError(
        f"{what} must have the index of the samples, since it goes with their rows. Align "
        f"it: {what}.loc[samples.index], or pass {what}.to_numpy()."
    )


def like(values: "np.ndarray[Any, Any]", table: Any) -> Any:
    """Values as a table like another, with its index and columns, if they have its rows.

    A column keeps a floating type. Integers become float64, since values are not whole.
    """
    pandas = sys.modules["pandas"]
    index = getattr(table, "index", None)
    if index is None or values.shape[:1] != table.shape[:1] or isinstance(table, pandas.Index):
        return values
    if values.ndim == 1:
        named = {"name": table.name} if isinstance(table, pandas.Series) else {}
        kind = table.dtype if isinstance(table, pandas.Series) else values.dtype
        return pandas.Series(values, index, dtype=_kept(kind), **named)
    if values.shape != table.shape:
        return values
    made, kinds = pandas.DataFrame(values, index), [_kept(kind) for kind in table.dtypes]
    if len(set(kinds)) == 1:
        made = made.astype(kinds[0])
    elif kinds:
        parts = [made[i].astype(kind) for i, kind in enumerate(kinds)]
        made = pandas.concat(parts, axis=1)
    made.columns = table.columns
    made.attrs = dict(table.attrs)
    return made


def _kept(kind: Any) -> Any:
    """The type of moved values: that of the column if it is floating, else a float64."""
    pandas = sys.modules["pandas"]
    if pandas.api.types.is_float_dtype(kind) and not isinstance(kind, pandas.SparseDtype):
        return kind
    nullable = not isinstance(kind, np.dtype | pandas.SparseDtype)
    return "Float64" if nullable and not isinstance(kind, pandas.ArrowDtype) else np.float64


def refuse_others(value: Any, what: str) -> None:
    """Check that a value of another library is not a sparse matrix or a table of another library.

    Raises:
        DataError: it is one of these; the message says what to call.
    """
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        size = 8e-9 * float(np.prod(value.shape))
        raise DataError(
            f"{what} must be a dense array; got a sparse {type(value).__name__} of shape "
            f"{tuple(value.shape)}. Call .toarray() on it; it then needs {size:.2g} GB."
        )
    if hasattr(value, "__dataframe__") or hasattr(value, "column_names"):
        raise DataError(
            f"{what} must be an array or a DataFrame of pandas; got a {type(value).__module__}."
            f"{type(value).__name__}, whose names would be lost. Call .to_pandas() on it."
        )
    first = value[0] if isinstance(value, list | tuple) and value else None
    if _has_names(value) or _has_names(first):
        raise DataError(
            f"{what} must be an array or a DataFrame of pandas; got a {type(value).__name__} with "
            "names, which would be lost. Call pandas.DataFrame on it."
        )


def _has_names(value: Any) -> bool:
    """Whether a value is a dict, a named tuple or a structured array."""
    named = isinstance(value, Mapping) or (isinstance(value, tuple) and hasattr(value, "_fields"))
    return named or getattr(getattr(value, "dtype", None), "names", None) is not None
