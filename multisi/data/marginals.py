"""The marginals: datasets, the standard normal, and the units that they share."""

import copy
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from multisi.common.arrays import dense, floats
from multisi.data.sources import InMemory, Stream, source_of
from multisi.errors import ConfigError, DataError, ShapeError


class StandardNormal:
    """The standard normal law, independent of all data: the noise marginal, always index 0.

    Example:
        >>> StandardNormal()
        StandardNormal()
    """

    def __repr__(self) -> str:
        return "StandardNormal()"


class Marginal:
    """One dataset: samples, and if you like a label, a weight and a condition for each of them.

    Arguments:
        samples: Array of shape `(n, *event)`: torch, numpy, or nested lists. What does not fit
            in memory: a mapped array (`numpy.load(file, mmap_mode="r")`), a map-style torch
            dataset, or a stream: an iterable dataset or a loader, which is read in order.
        labels: One integer a row, for couplings that match within a label.
        weights: One non-negative number a row, the share in which it is drawn; equal shares
            without.
        condition: What the network is told of a row besides, shape `(n, c)`, such as the state
            that a forecast starts from; at most one marginal has it.

    Raises:
        DataError: samples, weights or condition that are not numbers, not finite, or fewer than
            two rows.
        ShapeError: labels, weights or condition of another length than the samples.

    Example:
        >>> Marginal([[0.0, 1.0], [2.0, 3.0]])
        Marginal(n=2, event=(2,))
    """

    def __init__(
        self, samples: Any, labels: Any = None, weights: Any = None, condition: Any = None
    ) -> None:
        self.name = ""
        self._source = source_of(samples)
        if len(self) < 2:
            raise DataError(f"a marginal needs at least 2 rows; got {len(self)}.")
        if 0 in self.event_shape:
            raise DataError(f"samples are empty: shape {(len(self), *self.event_shape)}.")
        given = {"labels": labels, "weights": weights, "condition": condition}
        if isinstance(self._source, Stream) and any(value is not None for value in given.values()):
            raise DataError(f"A stream has no fixed rows, hence no {' or '.join(given)} a row.")
        self.labels = None if labels is None else self._per_row(_integers(labels), "labels")
        self.weights = None if weights is None else self._check_weights(weights)
        self.condition = None if condition is None else self._check_condition(condition)

    def _per_row(self, values: Tensor, what: str) -> Tensor:
        if values.shape != (len(self),):
            raise ShapeError(
                f"{what} must have one entry a row, shape ({len(self)},); "
                f"got {tuple(values.shape)}."
            )
        return values

    def _check_weights(self, weights: Any) -> Tensor:
        values = self._per_row(floats(weights, "weights").to(torch.float64), "weights")
        if (values < 0).any() or not (values > 0).any():
            raise DataError("weights must not be negative, and not all zero.")
        values = values / values.max()
        return values / values.sum()

    def _check_condition(self, condition: Any) -> Tensor:
        values = floats(condition, "condition").to(torch.float32)
        if values.ndim != 2 or len(values) != len(self):
            raise ShapeError(
                f"condition must have shape ({len(self)}, c), a vector a row; "
                f"got {tuple(values.shape)}."
            )
        return values

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self._source.event_shape

    @property
    def dtype(self) -> torch.dtype:
        """Type of the samples, float32 or float64."""
        return self._source.dtype

    @property
    def in_memory(self) -> bool:
        """Whether all samples are at hand at once."""
        return isinstance(self._source, InMemory)

    @property
    def samples(self) -> Tensor:
        """All samples, shape `(n, *event)`.

        Raises:
            DataError: they are not in memory.
        """
        if not isinstance(self._source, InMemory):
            raise DataError("These samples are not in memory; take rows of them: take(rows).")
        return self._source.samples

    @functools.cached_property
    def shares(self) -> Tensor:
        """The share in which each row is drawn, float64, shape `(n,)`."""
        if self.weights is not None:
            return self.weights
        return torch.full((len(self),), 1 / len(self), dtype=torch.float64)

    @functools.cached_property
    def _ladder(self) -> Tensor:
        return self.shares.cumsum(0)

    def draw(self, n: int, source: torch.Generator) -> Tensor:
        """Numbers of `n` rows, drawn with replacement, by weight where there are weights."""
        if self.weights is None:
            return torch.randint(len(self), (n,), generator=source)
        return choose(self._ladder, n, source)

    def take(self, rows: Tensor) -> Tensor:
        """The samples of these rows, shape `(n, *event)`; a stream moves on by as many.

        Raises:
            DataError: rows that are missing or not finite; with the name of the marginal.
            ShapeError: rows of another shape.
        """
        return self._named(self._source.take, rows)

    def look(self, rows: Tensor) -> Tensor:
        """The same as `take`, without moving a stream on."""
        return self._named(self._source.look, rows)

    def some(self, count: int, source: torch.Generator) -> Tensor:
        """At most `count` rows, each once, in a random order."""
        random = np.random.default_rng(int(torch.randint(2**62, (), generator=source)))
        rows = random.choice(len(self), min(count, len(self)), replace=False)
        return self.look(torch.from_numpy(rows))

    def _named(self, read: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        try:
            return read(rows)
        except (DataError, ShapeError) as error:
            raise type(error)(f"Marginal {self.name!r}: {error}") from error

    def __len__(self) -> int:
        return len(self._source)

    def __repr__(self) -> str:
        return f"Marginal(n={len(self)}, event={self.event_shape})"


def choose(ladder: Tensor, n: int, source: torch.Generator) -> Tensor:
    """`n` places of a ladder, the running sum of shares; each drawn by its share."""
    point = torch.rand(n, generator=source, dtype=ladder.dtype) * ladder[-1]
    return torch.searchsorted(ladder, point, right=True).clamp_max(len(ladder) - 1)


AnyMarginal: TypeAlias = Marginal | StandardNormal


def prepare(marginals: Mapping[str, Any]) -> dict[str, AnyMarginal]:
    """Check the marginals against each other; the standard normal, if there is one, comes first.

    Raises:
        ConfigError: names that are not strings, or more than one standard normal.
        DataError: fewer than two marginals, no data among them, or bad data; with the name.
        ShapeError: samples of different event shapes.
    """
    if not isinstance(marginals, Mapping):
        raise ConfigError(
            f"marginals must be a dict of name to samples; got {type(marginals).__name__}."
        )
    check_names(list(marginals))
    ready = {name: _as_marginal(name, value) for name, value in marginals.items()}
    noise = [name for name, m in ready.items() if isinstance(m, StandardNormal)]
    data = {name: m for name, m in ready.items() if isinstance(m, Marginal)}
    if len(noise) > 1:
        raise ConfigError(f"At most one marginal is a StandardNormal(); got {', '.join(noise)}.")
    if not data:
        raise DataError("At least one marginal must be a dataset; got none.")
    first, *others = data
    for name in others:
        if data[name].event_shape != data[first].event_shape:
            raise ShapeError(
                f"All marginals must have one event shape; {first!r} has "
                f"{data[first].event_shape}, {name!r} has {data[name].event_shape}."
            )
    if len(told := [name for name, m in data.items() if m.condition is not None]) > 1:
        raise ConfigError(f"At most one marginal has a condition; got {', '.join(told)}.")
    return {name: ready[name] for name in noise} | data


def check_names(names: list[Any]) -> None:
    """Names are two or more, non-empty strings, each once; `"a→b"` and the like are welcome.

    Raises:
        ConfigError: names that are not strings, empty, or repeated.
        DataError: fewer than two of them.
    """
    for name in names:
        if not isinstance(name, str) or not name:
            raise ConfigError(f"A marginal's name must be a non-empty string; got {name!r}.")
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"Each marginal needs a name of its own; repeated: {repeated}.")
    if len(names) < 2:
        raise DataError(
            f"At least 2 marginals are needed to move samples between; got {len(names)}. "
            "A StandardNormal() may be one of them."
        )


def _as_marginal(name: str, value: Any) -> AnyMarginal:
    if isinstance(value, StandardNormal):
        return value
    try:
        marginal = copy.copy(value) if isinstance(value, Marginal) else Marginal(value)
    except (DataError, ShapeError) as error:
        raise type(error)(f"Marginal {name!r}: {error}") from None
    marginal.name = name
    return marginal


def _integers(labels: Any) -> Tensor:
    try:
        values = dense(labels, "labels")
        if values.is_floating_point():
            raise DataError(f"labels must be integers; got {values.dtype}.")
    except DataError as error:
        raise DataError(
            f"{error} Number them: np.unique(labels, return_inverse=True)[1], over all marginals "
            "together."
        ) from None
    return values.to("cpu", torch.int64, copy=True)
