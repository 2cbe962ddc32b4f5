"""Times: numbers, or dates as days since the first."""

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from multisi.common import checks
from multisi.errors import ConfigError, DataError


def numbers(keys: Sequence[Any]) -> list[float]:
    """Times as numbers; dates are days since the first.

    Raises:
        DataError: one is neither.
    """
    try:
        found = [float(key) for key in keys]
    except (TypeError, ValueError):
        found = _days(keys)
    if not np.isfinite(found).all():
        raise DataError(f"Times must be finite numbers or dates; got {list(keys)}.")
    return found


def _days(keys: Sequence[Any]) -> list[float]:
    try:
        dates = np.array([np.datetime64(_naive(key)) for key in keys]).astype("datetime64[ms]")
    except (TypeError, ValueError):
        raise DataError(
            f"Times must be numbers or dates; got {list(keys)}. Map categories to numbers first."
        ) from None
    days: list[float] = ((dates - dates.min()) / np.timedelta64(1, "D")).tolist()
    return days


def _naive(date: Any) -> Any:
    """A date in UTC if it has a time zone."""
    if getattr(date, "tzinfo", None) is None:
        return date
    return date.astimezone(datetime.UTC).replace(tzinfo=None)


def checked_time(time: Any, known: Sequence[float]) -> float:
    """One time within the range of the snapshots.

    Raises:
        ConfigError: it is no number, or outside.
    """
    return checked_times([time], known)[0]


def checked_times(times: Any, known: Sequence[float]) -> list[float]:
    """Times within the range of the snapshots.

    Raises:
        ConfigError: they are no numbers, or outside.
    """
    times = times.tolist() if isinstance(times, Tensor) else times
    given = (
        [times] if isinstance(times, int | float | np.number) else checks.several(times, "times")
    )
    found = [real(t) for t in given]
    outside = [t for t in found if not known[0] <= t <= known[-1]]  # NaN, too.
    if not found or outside:
        raise ConfigError(
            f"times must lie between {known[0]:g} and {known[-1]:g}, those of the first and the "
            f"last snapshot; got {outside or 'none'}. Beyond them nothing was seen."
        )
    return found


def real(value: Any) -> float:
    """A time as a number; NaN, which lies nowhere, for anything else."""
    return float(value) if isinstance(value, int | float | np.number) else float("nan")
