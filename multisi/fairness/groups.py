"""Groups of rows by sensitive features."""

from typing import Any

import numpy as np

from multisi.errors import DataError


def read_groups(sensitive_features: Any, rows: int) -> "np.ndarray[Any, Any]":
    """One hashable key a row; several columns are joined by `" & "`.

    Raises:
        DataError: a value is missing, or the number of rows differs.
    """
    given = np.asarray(sensitive_features)
    if len(given) != rows:
        raise DataError(f"sensitive_features must have {rows} rows; got {len(given)}.")
    if any(value != value or value is None for value in given.ravel().tolist()):
        raise DataError("sensitive_features must have no missing values.")
    if given.ndim == 1:
        return given
    return np.array([" & ".join(map(str, row)) for row in given.tolist()], dtype=object)
