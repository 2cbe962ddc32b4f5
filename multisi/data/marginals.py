"""The marginals: datasets and the standard normal."""

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from multisi.common import checks, frames
from multisi.common.arrays import floats
from multisi.common.features import check_features, places
from multisi.data.labels import label_numbers
from multisi.data.representative import representative
from multisi.data.sources import InMemory, Source, Stream, columns, source_of
from multisi.errors import DataError, ShapeError


class StandardNormal:
    """The standard normal law: the noise marginal, which always has index 0.

    Examples:
        >>> StandardNormal()
        StandardNormal()
    """

    def __repr__(self) -> str:
        return "StandardNormal()"


class Marginal:
    """One dataset: samples, with an optional label, weight and condition for each sample.

    Arguments:
        samples: Array of shape `(n, *event)`: torch, numpy, a DataFrame of pandas, or nested
            lists. Data that do not fit in memory are given as a mapped array
            (`numpy.load(file, mmap_mode="r")`), a map-style torch dataset, or a stream: an
            iterable dataset or a loader, which is read in order.
        labels: An integer or a text for each row, shape `(n,)`, for couplings that match within
            a label.
        weights: One non-negative number per row, shape `(n,)`; rows are drawn in proportion to
            their weights. By default all rows have equal weight.
        condition: An extra input of the network, one vector per row, shape `(n, c)`, such as the
            initial state of a forecast; at most one marginal has a condition. It is standardised
            as data are.
        features: Names of the columns, if samples are vectors; of a DataFrame, the order in which
            its columns are taken, by default their own.

    Raises:
        DataError: `samples`, `weights` or `condition` are not finite numbers, `labels` are
            neither integers nor text, `features` does not fit the columns, weights are negative
            or all zero, there are fewer than two rows, or a stream has labels, weights or a
            condition.
        ShapeError: `labels`, `weights` or `condition` do not have one entry per row.

    Examples:
        >>> Marginal([[0.0, 1.0], [2.0, 3.0]])
        Marginal(n=2, event=(2,))
    """

    def __init__(
        self,
        samples: Any,
        labels: Any = None,
        weights: Any = None,
        condition: Any = None,
        features: Any = None,
    ) -> None:
        self.name = ""
        self._source = source_of(samples)
        if len(self) < 2:
            raise DataError(f"a marginal must have at least 2 rows; got {len(self)}.")
        if 0 in self.event_shape:
            raise DataError(
                f"samples must not be empty; got shape {(len(self), *self.event_shape)}."
            )
        given = {"labels": labels, "weights": weights, "condition": condition}
        if isinstance(self._source, Stream) and any(value is not None for value in given.values()):
            raise DataError(
                f"A stream has no fixed rows, so it cannot have {' or '.join(given)} per row. Use "
                "an array or a map-style dataset."
            )
        for what, value in given.items():
            frames.check_index(value, samples, what)
        self.labels = None if labels is None else self._per_row(label_numbers(labels), "labels")
        self.weights = None if weights is None else self._check_weights(weights)
        self.condition = None if condition is None else self._check_condition(condition)
        self.index = frames.index_of(samples)
        self.condition_features = _names(condition, "condition")
        names = _names(samples, "samples")
        self.features = None if names is None else self._check_features(names)
        if features is not None:
            wanted = self._check_features(features)
            if self.features is not None:  # By name: a table is not renamed.
                self._source = columns(self._source, places(self.features, wanted, "samples"))
            self.features = wanted

    def _per_row(self, values: Tensor, what: str) -> Tensor:
        if values.shape != (len(self),):
            raise ShapeError(
                f"{what} must have one entry per row, shape ({len(self)},); "
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
        values = floats(condition, "condition").to("cpu", torch.float64)
        if values.ndim != 2 or len(values) != len(self) or not values.shape[1]:
            raise ShapeError(
                f"condition must have one vector per row, shape ({len(self)}, c); "
                f"got {tuple(values.shape)}."
            )
        return values

    def _check_features(self, features: Any) -> tuple[str, ...]:
        if len(self.event_shape) != 1:
            raise ShapeError(f"features name the columns of vectors; got {self.event_shape}.")
        return check_features(checks.several(features, "features"), *self.event_shape, "samples")

    def aligned(self, features: Sequence[str]) -> "Marginal":
        """The same marginal with its columns in the order of `features`.

        Raises:
            DataError: it has other features.
        """
        own = self.features or ()
        order = places(own, features, "samples")
        if own == tuple(features):
            return self
        made = copy.copy(self)
        made.features = tuple(features)
        made._source = columns(self._source, order)
        return made

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
        """Whether all samples are in memory."""
        return isinstance(self._source, InMemory)

    @property
    def source(self) -> Source:
        """Where the rows come from."""
        return self._source

    @property
    def samples(self) -> Tensor:
        """All samples, shape `(n, *event)`.

        Raises:
            DataError: the samples are not in memory.
        """
        if not isinstance(self._source, InMemory):
            raise DataError("These samples are not in memory. Read rows of them with take(rows).")
        return self._source.samples

    @functools.cached_property
    def shares(self) -> Tensor:
        """The probability with which each row is drawn, float64, shape `(n,)`."""
        if self.weights is not None:
            return self.weights
        return torch.full((len(self),), 1 / len(self), dtype=torch.float64)

    @functools.cached_property
    def _cumulative(self) -> Tensor:
        return self.shares.cumsum(0)

    def draw(self, n: int, source: torch.Generator) -> Tensor:
        """Indices of `n` rows, drawn with replacement in proportion to their weights.

        Arguments:
            n: Number of rows.
            source: Generator to draw with.

        Returns:
            The indices, int64, shape `(n,)`.
        """
        if self.weights is None:
            return torch.randint(len(self), (n,), generator=source)
        return choose(self._cumulative, n, source)

    def draw_evenly(self, n: int, source: torch.Generator) -> Tensor:
        """As `draw`, but without weights each row is drawn about equally often.

        Arguments:
            n: Number of rows.
            source: Generator to draw with.
        """
        if self.weights is not None:
            return self.draw(n, source)
        shuffles = [torch.randperm(len(self), generator=source) for _ in range(-(-n // len(self)))]
        return torch.cat([*shuffles, torch.empty(0, dtype=torch.int64)])[:n]

    def drawn(self, n: int, source: torch.Generator) -> Tensor:
        """The samples of rows that `draw_evenly` draws, shape `(n, *event)`.

        Arguments:
            n: Number of rows.
            source: Generator to draw with.
        """
        return self.take(self.draw_evenly(n, source))

    def take(self, rows: Tensor) -> Tensor:
        """The samples of some rows, shape `(n, *event)`; a stream advances by `n` rows.

        Arguments:
            rows: Indices of the rows, int64, shape `(n,)`.

        Raises:
            DataError: a row is missing or not finite.
            ShapeError: a row does not have the event shape.
        """
        return self._named(self._source.take, rows)

    def look(self, rows: Tensor) -> Tensor:
        """The same as `take`, but a stream does not advance.

        Arguments:
            rows: Indices of the rows, int64, shape `(n,)`.

        Raises:
            DataError: a row is missing or not finite.
            ShapeError: a row does not have the event shape.
        """
        return self._named(self._source.look, rows)

    def choose_rows(self, count: int, source: torch.Generator) -> Tensor:
        """Indices of at most `count` rows that stand for the marginal, in random order.

        Without weights no row comes twice; with weights each comes as often as its weight asks.

        Arguments:
            count: The largest number of rows.
            source: Generator to draw with.

        Returns:
            The indices, int64, shape `(m,)`.
        """
        return representative(len(self), self.weights, count, source)

    def _named(self, read: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        try:
            return read(rows)
        except (DataError, ShapeError) as error:
            raise type(error)(f"Marginal {self.name!r}: {error}") from error

    def __len__(self) -> int:
        return len(self._source)

    def __repr__(self) -> str:
        return f"Marginal(n={len(self)}, event={self.event_shape})"


def choose(cumulative: Tensor, n: int, source: torch.Generator) -> Tensor:
    """`n` indices, drawn in proportion to weights whose cumulative sums are `cumulative`."""
    point = torch.rand(n, generator=source, dtype=cumulative.dtype) * cumulative[-1]
    return torch.searchsorted(cumulative, point, right=True).clamp_max(len(cumulative) - 1)


def _names(table: Any, what: str) -> tuple[str, ...] | None:
    """The names of the columns of a DataFrame; `None` for anything else."""
    return frames.names(table, what) if frames.is_frame(table) else None


AnyMarginal: TypeAlias = Marginal | StandardNormal
