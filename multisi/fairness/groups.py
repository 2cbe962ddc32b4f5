"""The groups of rows: what the values of one or more sensitive features say together."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from multisi.errors import DataError, DataWarning

_SMALL = 50
"""Rows below which a group is called small."""


def read_groups(sensitive_features: Any, rows: int) -> Any:
    """The group of each row, a 1-D array of keys.

    Several columns are joined: a row is in the group of all its values together, `"a & b"`.

    Arguments:
        sensitive_features: An array, list, Series or DataFrame, one entry or row for each row.
        rows: Number of rows.

    Raises:
        DataError: the number of rows differs, or a value is missing.
    """
    names, columns = _columns(sensitive_features)
    for name, column in zip(names, columns, strict=True):
        if len(column) != rows:
            raise DataError(
                f"sensitive_features must have one value for each of the {rows} rows; "
                f"{name} has {len(column)}."
            )
        missing = np.flatnonzero([value is None or value != value for value in column])
        if len(missing):
            raise DataError(
                f"sensitive_features must have no missing value; {name} has {len(missing)}, the "
                f"first in row {missing[0]}. Make them a group of their own, or leave these rows "
                "out."
            )
    if len(columns) == 1:
        return columns[0]
    joined = [" & ".join(map(str, values)) for values in zip(*columns, strict=True)]
    return np.array(joined, dtype=object)


def ordered(sensitive_features: Any) -> list[Any] | None:
    """The categories of an ordered attribute in their order; `None` for all others."""
    dtype: Any = getattr(sensitive_features, "dtype", None)
    if not getattr(dtype, "ordered", False):
        return None
    return list(dtype.categories)


def distinct(keys: Any, order: Sequence[Any] | None = None) -> list[Any]:
    """The groups that occur, in a given order, or sorted."""
    found = set(keys.tolist())
    if order is not None:
        return [key for key in order if key in found]
    try:
        return sorted(found)
    except TypeError:
        return sorted(found, key=lambda key: (type(key).__name__, str(key)))


def warn_of_small(groups: Sequence[Any], counts: Sequence[int]) -> None:
    """Warn of groups with few rows: their law is hardly known."""
    small = [f"{g!r} ({n})" for g, n in zip(groups, counts, strict=True) if n < _SMALL]
    if small:
        warnings.warn(
            f"Groups with fewer than {_SMALL} rows: {', '.join(small)}. Their law is known "
            "roughly, and so is their repair; join groups, or use field='affine'.",
            DataWarning,
            stacklevel=3,
        )


def _columns(given: Any) -> tuple[list[str], list[Any]]:
    """Names for messages, and the columns as arrays of objects or of plain values."""
    names = getattr(given, "columns", None)
    if names is not None:
        return [f"column {name!r}" for name in names], [_plain(given[name]) for name in names]
    array = _plain(given)
    if array.ndim == 1:
        name = getattr(given, "name", None)
        return ["it" if name is None else f"column {name!r}"], [array]
    if array.ndim != 2 or not array.shape[1]:
        raise DataError(
            "sensitive_features must have one or two axes, with one row for each row of X; got "
            f"shape {array.shape}."
        )
    return [f"column {j}" for j in range(array.shape[1])], list(array.T)


def _plain(values: Any) -> Any:
    array = np.asarray(values)
    return array.astype(object) if array.dtype.kind in "OSUTMm" else array
