"""Snapshots: samples at some times, from a mapping, a table or an AnnData."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.seeds import generator
from multisi.data.marginals import Marginal
from multisi.data.prepare import prepare
from multisi.errors import ConfigError, DataError

_LEAST = 4
"""The fewest rows of a snapshot."""


@dataclass(frozen=True)
class Snapshots:
    """Samples at increasing times.

    Arguments:
        times: The times, increasing; dates are days since the first.
        marginals: The samples of each, with their labels and weights.

    Examples:
        >>> found = read({0: np.zeros((9, 2)), 2.5: np.ones((9, 2))})
        >>> found.times, len(found.marginals)
        ((0.0, 2.5), 2)
    """

    times: tuple[float, ...]
    marginals: tuple[Marginal, ...]

    @property
    def places(self) -> Tensor:
        """The times from 0 to 1, float64, so that their unit does not matter."""
        times = torch.tensor(self.times, dtype=torch.float64)
        return (times - times[0]) / (times[-1] - times[0])

    @property
    def samples(self) -> list[Tensor]:
        """The samples of each, float64, shape `(n, d)`."""
        return [m.take(torch.arange(len(m))).double() for m in self.marginals]

    def without(self, place: int) -> "Snapshots":
        """All but one of them."""
        rest = [i for i in range(len(self.times)) if i != place]
        return Snapshots(
            tuple(self.times[i] for i in rest), tuple(self.marginals[i] for i in rest)
        )

    def few(self, rows: int, seed: int) -> "Snapshots":
        """At most some rows of each, drawn by their weights."""
        found = [
            m if len(m) <= rows else Marginal(m.take(m.draw(rows, generator(seed + i, 13))))
            for i, m in enumerate(self.marginals)
        ]
        return Snapshots(self.times, tuple(found))

    def by_time(self, given: Any, what: str) -> list[Any]:
        """The values of a mapping whose keys are all times, in their order.

        Raises:
            DataError: a time is missing or unknown.
        """
        if not isinstance(given, Mapping):
            raise ConfigError(f"{what} must be a mapping of times; got {type(given).__name__}.")
        known = {real(key): value for key, value in given.items()}
        if set(known) != set(self.times):
            raise DataError(
                f"{what} must have the times {list(self.times)}, in days since the first for "
                f"dates; got {list(given)}."
            )
        return [known[time] for time in self.times]


def read(
    snapshots: Any,
    *,
    time: str | None = None,
    embedding: str | None = None,
    label: str | None = None,
    weight: str | None = None,
) -> Snapshots:
    """Samples at times.

    Arguments:
        snapshots: A mapping of time to samples `(n, d)` or `Marginal`; a DataFrame with a column
            of times; or an AnnData with times in `obs`, whose coordinates are an array in
            `obsm`. Times are numbers or dates.
        time: The column of times of a table.
        embedding: The key in `obsm` of an AnnData; `None` for `X_pca`.
        label: A column of labels, `None` without.
        weight: A column of weights, `None` without.

    Raises:
        ConfigError: a column or a key is missing, or not needed.
        DataError: a time is missing, repeated or no time; there are fewer than two; or samples are
            no vectors of finite numbers, or fewer than four.
        ShapeError: samples have different numbers of features.

    Examples:
        >>> read({0: np.zeros((9, 2)), 2.5: np.ones((9, 2))}).times
        (0.0, 2.5)
    """
    if isinstance(snapshots, Snapshots):
        return snapshots
    if isinstance(snapshots, Mapping):
        if time or embedding or label or weight:
            raise ConfigError("time, embedding, label and weight are for tables and AnnData.")
        parts = {key: _marginal(key, value) for key, value in snapshots.items()}
    elif hasattr(snapshots, "obsm") and hasattr(snapshots, "obs"):
        rows, frame = _embedded(snapshots, embedding), snapshots.obs
        parts = _split(rows, None, frame, time, label, weight)
    elif hasattr(snapshots, "columns") and hasattr(snapshots, "iloc"):
        if embedding:
            raise ConfigError("embedding is for AnnData; a table has its columns.")
        used = [name for name in (time, label, weight) if name is not None]
        values = snapshots[[name for name in snapshots.columns if name not in used]]
        parts = _split(values, list(map(str, values.columns)), snapshots, time, label, weight)
    else:
        raise ConfigError(
            "snapshots must be a mapping of time to samples, a DataFrame or an AnnData; got "
            f"{type(snapshots).__name__}."
        )
    return _ordered(parts)


def _embedded(data: Any, key: str | None) -> "np.ndarray[Any, Any]":
    """The coordinates of an AnnData."""
    key = "X_pca" if key is None else key
    if key not in list(data.obsm):
        known = ", ".join(map(repr, data.obsm)) or "nothing"
        raise ConfigError(
            f"obsm has no {key!r}; it has {known}. Counts must be normalised and embedded first, "
            "as by scanpy.pp.normalize_total, log1p and pca."
        )
    found = data.obsm[key]
    return np.asarray(found.todense() if hasattr(found, "todense") else found)


def _split(
    rows: Any,
    features: list[str] | None,
    frame: Any,
    time: str | None,
    label: str | None,
    weight: str | None,
) -> dict[Any, Marginal]:
    """The rows of each time."""
    for what, name in (("time", time), ("label", label), ("weight", weight)):
        if (name is None and what == "time") or (
            name is not None and list(frame.columns).count(name) != 1
        ):
            raise ConfigError(
                f"{what} must be one of the columns {', '.join(map(repr, frame.columns))}; "
                f"got {name!r}."
            )
    column = frame[time]
    if column.isna().any():
        raise DataError(f"{int(column.isna().sum())} rows have no time in {time!r}.")
    parts = {}
    for key in column.unique():
        here = (column == key).to_numpy()
        chosen = rows[here] if features is None else rows.loc[here]
        carried = {
            what: frame[name].to_numpy()[here]
            for what, name in (("labels", label), ("weights", weight))
            if name is not None
        }
        parts[key] = _marginal(key, chosen, **carried)
    return parts


def _marginal(key: Any, value: Any, **carried: Any) -> Marginal:
    """The samples of one time, vectors."""
    try:
        found = value if isinstance(value, Marginal) else Marginal(value, **carried)
    except DataError as error:
        raise DataError(f"At time {key}: {error}") from error
    if found.condition is not None:
        raise ConfigError(
            f"Snapshots have no conditions yet; time {key} has one. Fit a trajectory for each."
        )
    if len(found.event_shape) != 1:
        raise DataError(
            f"Samples must be vectors, shape (n, d); time {key} has {found.event_shape}."
        )
    if len(found) < _LEAST:
        raise DataError(f"A snapshot needs {_LEAST} rows; time {key} has {len(found)}.")
    return found


def _ordered(parts: Mapping[Any, Marginal]) -> Snapshots:
    """The snapshots in the order of their times."""
    if len(parts) < 2:
        raise DataError(f"Snapshots of two times or more are needed; got {len(parts)}.")
    times = _numbers(list(parts))
    if len(set(times)) < len(times):
        raise DataError(f"Times must differ; got {sorted(times)}.")
    order = sorted(range(len(times)), key=times.__getitem__)
    ready = prepare({str(key): marginal for key, marginal in parts.items()})
    marginals = [m for m in ready.values() if isinstance(m, Marginal)]
    return Snapshots(tuple(times[i] for i in order), tuple(marginals[i] for i in order))


def _numbers(keys: Sequence[Any]) -> list[float]:
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
