"""Times: numbers, or dates as days since the first."""

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from multisi.common import checks
from multisi.errors import ConfigError, DataError


def numbers(keys: Sequence[Any], origin: str | None = None) -> list[float]:
    """Times as numbers; dates are days since the origin.

    Arguments:
        keys: The times, numbers or dates.
        origin: The first date; `None` for that of the keys.

    Raises:
        DataError: one is neither.
    """
    try:
        found = [float(key) for key in keys]
    except (TypeError, ValueError):
        dates = _dates(keys)
        start = dates.min() if origin is None else np.datetime64(origin)
        found = ((dates - start) / np.timedelta64(1, "D")).tolist()
    if not np.isfinite(found).all():
        raise DataError(f"Times must be finite numbers or dates; got {list(keys)}.")
    return found


def origin_of(keys: Sequence[Any]) -> str | None:
    """The first of some dates; `None` for numbers."""
    try:
        [float(key) for key in keys]
    except (TypeError, ValueError):
        return str(_dates(keys).min())
    return None


def _dates(keys: Sequence[Any]) -> "np.ndarray[Any, Any]":
    try:
        return np.array([np.datetime64(_naive(key)) for key in keys]).astype("datetime64[ms]")
    except (TypeError, ValueError):
        raise DataError(
            f"Times must be numbers or dates; got {list(keys)}. Map categories to numbers first."
        ) from None


def _naive(date: Any) -> Any:
    """A date in UTC if it has a time zone."""
    if getattr(date, "tzinfo", None) is None:
        return date
    return date.astimezone(datetime.UTC).replace(tzinfo=None)


def checked_times(times: Any, known: Sequence[float], origin: str | None = None) -> list[float]:
    """Times within the range of the snapshots.

    Arguments:
        times: One time or several, numbers or dates.
        known: The times of the snapshots.
        origin: The first date, if they are dates.

    Raises:
        ConfigError: they are no times, or outside.
    """
    found = [real(t, origin) for t in listed(times)]
    outside = [t for t in found if not known[0] <= t <= known[-1]]  # NaN, too.
    if not found or outside:
        since = "" if origin is None else f" days since {origin}"
        raise ConfigError(
            f"times must lie between {known[0]:g} and {known[-1]:g}{since}, those of the first "
            f"and the last snapshot; got {outside or 'none'}. Beyond them nothing was seen."
        )
    return found


def listed(times: Any) -> list[Any]:
    """One time or several, numbers or dates, as a list.

    Raises:
        ConfigError: they are neither.
    """
    times = times.tolist() if isinstance(times, Tensor) else times
    dates = np.asarray(times if hasattr(times, "dtype") else 0)
    if dates.dtype.kind == "M":  # In nanoseconds a list of them would have integers.
        return list(np.atleast_1d(dates.astype("datetime64[ms]")))
    if isinstance(times, int | float | np.number | str | datetime.date):
        return [times]
    return checks.several(times, "times")


def real(value: Any, origin: str | None = None) -> float:
    """A time as a number, dates as days since the origin; NaN for anything else."""
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        return float("nan") if origin is None else numbers([value], origin)[0]
    except DataError:
        return float("nan")
