"""Snapshots: samples at some times, from a mapping, a table or an AnnData."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi.common.seeds import generator
from multisi.data.labels import label_numbers
from multisi.data.marginals import Marginal
from multisi.data.prepare import prepare
from multisi.errors import ConfigError, DataError
from multisi.trajectories.conditions import categories, columns_of, conditions, rounded
from multisi.trajectories.times import numbers, origin_of, real

LEAST = 4
"""The fewest rows of a snapshot."""
COLUMNS = ("time", "embedding", "label", "weight", "condition")
"""Options of `read`."""


@dataclass(frozen=True)
class Snapshots:
    """Samples at increasing times.

    Arguments:
        times: The times, increasing; dates are days since the first.
        marginals: The samples of each, with their labels, weights and conditions.
        origin: The first date, if times are dates.
        conditions: The names of conditions, sorted, if they have names.
        texts: The text of each label's number, where labels of a table are text.

    Examples:
        >>> found = read({0: np.zeros((9, 2)), 2.5: np.ones((9, 2))})
        >>> found.times, len(found.marginals)
        ((0.0, 2.5), 2)
    """

    times: tuple[float, ...]
    marginals: tuple[Marginal, ...]
    origin: str | None = None
    conditions: tuple[str, ...] = ()
    texts: Mapping[int, str] = field(default_factory=dict)

    @property
    def places(self) -> Tensor:
        """The times from 0 to 1, float64, so that their unit does not matter."""
        times = torch.tensor(self.times, dtype=torch.float64)
        return (times - times[0]) / (times[-1] - times[0])

    @property
    def labels(self) -> dict[Any, int]:
        """The labels of all times, sorted, and the number of each."""
        told = [m.labels for m in self.marginals if m.labels is not None]
        numbers = torch.unique(torch.cat(told)).tolist() if told else []
        return dict(sorted((self.texts.get(number, number), number) for number in numbers))

    @property
    def samples(self) -> list[Tensor]:
        """The samples of each, float64, shape `(n, d)`."""
        return [m.take(torch.arange(len(m))).double() for m in self.marginals]

    def without(self, place: int) -> "Snapshots":
        """All but one of them."""
        rest = [i for i in range(len(self.times)) if i != place]
        return self.at(rest)

    def at(self, places: Sequence[int]) -> "Snapshots":
        """Those at some places."""
        return replace(
            self,
            times=tuple(self.times[i] for i in places),
            marginals=tuple(self.marginals[i] for i in places),
        )

    def few(self, rows: int, seed: int) -> "Snapshots":
        """At most some rows of each, drawn by their weights."""
        found = [
            m if len(m) <= rows else Marginal(m.take(m.draw(rows, generator(seed + i, 13))))
            for i, m in enumerate(self.marginals)
        ]
        return replace(self, marginals=tuple(found))

    def by_time(self, given: Any, what: str) -> list[Any]:
        """The values of a mapping whose keys are all times, in their order.

        Raises:
            DataError: a time is missing or unknown.
        """
        given = dict(given.items()) if hasattr(given, "items") else given
        if not isinstance(given, Mapping):
            raise ConfigError(f"{what} must be a mapping of times; got {type(given).__name__}.")
        known = {real(key, self.origin): value for key, value in given.items()}
        if set(known) != set(self.times):
            raise DataError(
                f"{what} must have the times {list(self.times)}"
                f"{(self.origin and f', days since {self.origin}') or ''}; got {list(given)}."
            )
        return [known[time] for time in self.times]


def read(
    snapshots: Any,
    *,
    time: str | None = None,
    embedding: str | None = None,
    label: str | None = None,
    weight: str | None = None,
    condition: Any = None,
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
        condition: A column of numbers, such as a dose, a list of them, or a column of names, such
            as a perturbation; a time whose rows have none (NaN) belongs to every condition. In a
            mapping, the `condition` of a `Marginal`.

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
    told = columns_of(condition)
    if isinstance(snapshots, Mapping):
        if time or embedding or label or weight or condition is not None:
            raise ConfigError(
                "time, embedding, label, weight and condition are for tables and AnnData."
            )
        return _ordered({key: _marginal(key, value) for key, value in snapshots.items()})
    if hasattr(snapshots, "obsm") and hasattr(snapshots, "obs"):
        rows, frame = embedded(snapshots, embedding), snapshots.obs
        return _split(rows, None, frame, time, label, weight, told)
    if hasattr(snapshots, "columns") and hasattr(snapshots, "iloc"):
        if embedding:
            raise ConfigError("embedding is for AnnData; a table has its columns.")
        used = [name for name in (time, label, weight, *told) if name is not None]
        values = snapshots[[name for name in snapshots.columns if name not in used]]
        return _split(values, list(map(str, values.columns)), snapshots, time, label, weight, told)
    raise ConfigError(
        "snapshots must be a mapping of time to samples, a DataFrame or an AnnData; got "
        f"{type(snapshots).__name__}."
    )


def embedded(data: Any, key: str | None) -> "np.ndarray[Any, Any]":
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
    told: Sequence[str],
) -> Snapshots:
    """The rows of each time, with the names of conditions and labels."""
    for what, name in (("label", label), ("weight", weight)):
        if name is not None:
            check_column(frame, what, name)
    column = times_of(frame, time, told)
    parts, names = {}, categories(frame, told)
    for key in column.unique():
        here = (column == key).to_numpy()
        chosen = rows[here] if features is None else rows.loc[here]
        carried = {
            what: frame[name].to_numpy()[here]
            for what, name in (("labels", label), ("weights", weight))
            if name is not None
        }
        parts[key] = _marginal(
            key, chosen, condition=conditions(frame, here, told, names), **carried
        )
    if told and all(part.condition is None for part in parts.values()):
        raise ConfigError(f"No row has a condition in {list(told)}: leave condition out.")
    return replace(_ordered(parts), conditions=names, texts=_texts(frame, label))


def _texts(frame: Any, label: str | None) -> dict[int, str]:
    """The texts of labels by their numbers; none for labels that are numbers."""
    if label is None:
        return {}
    texts = list(frame[label].unique())
    if not all(isinstance(text, str) for text in texts):
        return {}
    return dict(zip(label_numbers(texts).tolist(), map(str, texts), strict=True))


def times_of(frame: Any, time: Any, told: Sequence[str]) -> Any:
    """The column of times of a table, which has one column of each condition, too.

    Raises:
        ConfigError: a column is missing, or there twice.
        DataError: a time is missing.
    """
    for what, name in [("time", time), *(("condition", name) for name in told)]:
        check_column(frame, what, name)
    column = frame[time]
    if column.isna().any():
        raise DataError(f"{int(column.isna().sum())} rows have no time in {time!r}.")
    return column


def check_column(frame: Any, what: str, name: Any) -> None:
    """Check that a table has one column of a name.

    Raises:
        ConfigError: it has none, or several.
    """
    if list(frame.columns).count(name) != 1:
        raise ConfigError(
            f"{what} must be one of the columns {', '.join(map(repr, frame.columns))}; "
            f"got {name!r}."
        )


def _marginal(key: Any, value: Any, **carried: Any) -> Marginal:
    """The samples of one time, vectors."""
    try:
        found = value if isinstance(value, Marginal) else Marginal(value, **carried)
    except DataError as error:
        raise DataError(f"At time {key}: {error}") from error
    if len(found.event_shape) != 1:
        raise DataError(
            f"Samples must be vectors, shape (n, d); time {key} has {found.event_shape}."
        )
    if len(found) < LEAST:
        raise DataError(f"A snapshot needs {LEAST} rows; time {key} has {len(found)}.")
    return found


def _ordered(parts: Mapping[Any, Marginal]) -> Snapshots:
    """The snapshots in the order of their times."""
    if len(parts) < 2:
        raise DataError(f"Snapshots of two times or more are needed; got {len(parts)}.")
    times = numbers(list(parts))
    if len(set(times)) < len(times):
        raise DataError(f"Times must differ; got {sorted(times)}.")
    order = sorted(range(len(times)), key=times.__getitem__)
    bare = {str(key): copy.copy(marginal) for key, marginal in parts.items()}
    for part in bare.values():
        part.condition = None  # All may have one here, of one marginal in a model.
    ready = prepare(bare)
    marginals = [copy.copy(m) for m in ready.values() if isinstance(m, Marginal)]
    for made, given in zip(marginals, parts.values(), strict=True):
        if given.condition is not None:
            made.condition = torch.from_numpy(rounded(given.condition.double().numpy()))
    found = Snapshots(tuple(times), tuple(marginals), origin_of(list(parts)))
    return found.at(order)
