"""Means, variances and ranges of samples, and which of them share one unit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from multisi.common.seeds import generator
from multisi.common.shapes import leading
from multisi.data.marginals import Marginal
from multisi.data.sources import Stream
from multisi.errors import ConfigError

UNITS = ("auto", "features", "channels", "whole")
_PART, _LEAST, _NUMBERS = 2**24, 256, 2**24
"""Most numbers per chunk; for samples out of memory, fewest rows and most numbers read."""
_SMALL = 0.25
"""A channel has its own unit if its standard deviation is this share of that of the whole."""
_MANY, _SPREAD = 16, 0.5
"""Vectors may have one unit from so many features on, if half of these have this share of the
largest range."""
_ULPS = 4
"""A feature varies in a dataset if its range exceeds so many rounding errors of its values."""


@dataclass(frozen=True)
class Moments:
    """Moments of each feature under the mixture of some datasets, float64, shape `(*event)`."""

    mean: Tensor
    variance: Tensor
    varies: Tensor
    """Whether a feature varies by more than rounding, within a dataset or between them.

    That is assumed of samples of which only some are read, or which differ when read again.
    """
    least: Tensor
    """The lowest value."""
    span: Tensor
    """The highest value less the lowest."""
    idle: Tensor
    """The share of samples with the lowest or the highest value, whichever is more frequent."""

    @classmethod
    def of(cls, data: Sequence[Marginal]) -> "Moments":
        """The moments of the mixture in which all datasets have equal shares."""
        read = [_rows(marginal) for marginal in data]
        each = [_moments(rows, weights) for rows, weights, _ in read]
        means, variances, lows, highs = (torch.stack(part) for part in zip(*each, strict=True))
        mean, low, high = means.mean(0), lows.amin(0), highs.amax(0)
        variance = (variances + (means - mean) ** 2).mean(0)
        ulps = torch.tensor(
            [torch.finfo(marginal.dtype).eps for marginal in data], dtype=torch.float64
        )
        sizes = torch.maximum(lows.abs(), highs.abs())
        within = (highs - lows > _ULPS * leading(ulps, sizes) * sizes).any(0)
        seen = within | ~_one_value(lows)
        varies = seen | (not all(whole for _, _, whole in read))
        mean, variance = torch.where(seen, mean, low), torch.where(seen, variance, 0.0)
        ends = [_at_ends(rows, weights, low, high) for rows, weights, _ in read]
        idle = torch.stack(ends).mean(0).amax(0)
        return cls(mean, variance, varies, low, high - low, idle)

    @property
    def constant(self) -> Tensor | None:
        """The values of the features that do not vary, NaN for others; `None` if all vary."""
        if self.varies.all():
            return None
        return torch.where(self.varies, torch.nan, self.least)

    @property
    def pictures(self) -> bool:
        """Whether vectors are like flattened pictures.

        Features are of one kind, and a tenth has one value mostly, as pixels at the border have.
        """
        idle = self.idle[self.varies] > 0.5
        return self.mean.ndim == 1 and _alike(self) and bool(10 * idle.sum() >= len(idle))

    def over(self, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Mean and variance over axes of the event that have length one in `shape`."""
        mean = self._mean_over(self.mean, shape)
        return mean, self._mean_over(self.variance + (self.mean - mean) ** 2, shape)

    def varies_in(self, shape: Sequence[int]) -> Tensor:
        """Whether any feature varies, over axes of the event that have length one in `shape`."""
        return self._mean_over(self.varies.double(), shape) > 0

    def _mean_over(self, values: Tensor, shape: Sequence[int]) -> Tensor:
        if not len(shape):
            return values.mean()
        axes = [i for i, size in enumerate(shape) if size == 1]
        return values.mean(axes, keepdim=True) if axes else values


def _one_value(values: Tensor) -> Tensor:
    """Where the values of all datasets agree, if those that were float32 are compared as such."""
    short = values.float().double()
    was_short = (short == values).any(0)
    return (values == values[0]).all(0) | (was_short & (short == short[0]).all(0))


def scale_shape(units: str, moments: Moments) -> tuple[int, ...]:
    """The shape of the standardiser's scale, which broadcasts to an event.

    Channels are the first axis of an event, or the last if that is shorter; an event with two axes
    has channels if one axis is at least four times as long as the other.

    Raises:
        ConfigError: `units` is not one of `UNITS`, or samples have no channels.
    """
    event = tuple(moments.mean.shape)
    if units not in UNITS:
        raise ConfigError(f"units must be one of {', '.join(UNITS)}; got {units!r}.")
    if units == "auto" and len(event) == 1:
        return () if _alike(moments) else event
    if units == "features":
        return event
    channels = _channels(event)
    if units == "channels":
        if channels is None:
            raise ConfigError(f"units='channels' needs samples with channels; got shape {event}.")
        return channels
    if units == "auto" and channels is not None:
        own, whole = moments.over(channels)[1], moments.over(())[1]
        own = own[moments.varies_in(channels)]
        if (own < _SMALL**2 * whole).any():
            return channels
    return ()


def _alike(moments: Moments) -> bool:
    """Whether the features of vectors are of one kind, as the pixels of a picture are.

    Half of them have about the largest range, and one of small variance has one value mostly: it
    varies little because it rarely varies, and not because its unit is another.
    """
    varies = moments.varies
    if int(varies.sum()) < _MANY:
        return False
    span, variance = moments.span[varies], moments.variance[varies]
    small = variance < _SMALL**2 * variance.mean()
    ranges = bool(span.median() >= _SPREAD * span.max())
    return ranges and bool((moments.idle[varies][small] > 0.5).all())


def _channels(event: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of one number per channel; `None` without channels."""
    if len(event) < 2:
        return None
    first, last = event[0], event[-1]
    if len(event) == 2 and max(first, last) < 4 * min(first, last):
        return None
    ones = (1,) * (len(event) - 1)
    return (first, *ones) if first <= last else (*ones, last)


def _rows(marginal: Marginal) -> tuple[Tensor, Tensor, bool]:
    """Rows that stand for a dataset, their weights, and whether these are all of its rows.

    Of samples that are not in memory some rows are drawn, unless they are few.
    """
    weights = marginal.shares
    if marginal.in_memory:
        rows, whole = marginal.samples, True
    else:
        most = max(_LEAST, _NUMBERS // max(1, math.prod(marginal.event_shape)))
        whole = len(marginal) <= most and not isinstance(marginal.source, Stream)
        count = min(most, len(marginal))
        chosen = torch.arange(count) if whole else marginal.draw(count, generator(0))
        rows = marginal.look(chosen)
        weights = weights if whole else torch.full((count,), 1 / count, dtype=torch.float64)
        whole = whole and torch.equal(rows[:_LEAST], marginal.look(chosen[:_LEAST]))
    used = weights > 0
    return (rows, weights, whole) if used.all() else (rows[used], weights[used], whole)


def _at_ends(rows: Tensor, weights: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The shares of rows at the lowest and at the highest value, shape `(2, *event)`."""
    length = max(1, _PART // max(1, math.prod(rows.shape[1:])))
    parts = zip(torch.split(rows, length), torch.split(weights, length), strict=True)
    shares = [
        torch.stack([torch.tensordot(w, (x.cpu() == end).double(), 1) for end in (low, high)])
        for x, w in parts
    ]
    return torch.stack(shares).sum(0)


def _moments(rows: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, variance, least and largest value of each feature, shape `(*event)`; float64."""
    length = max(1, _PART // max(1, math.prod(rows.shape[1:])))
    parts = list(zip(torch.split(rows, length), torch.split(weights, length), strict=True))
    mean = sum(torch.tensordot(w, x.cpu().double(), 1) for x, w in parts)
    mean = torch.as_tensor(mean)
    square = sum(torch.tensordot(w, (x.cpu().double() - mean) ** 2, 1) for x, w in parts)
    low = torch.stack([x.amin(0) for x, _ in parts]).amin(0).cpu().double()
    high = torch.stack([x.amax(0) for x, _ in parts]).amax(0).cpu().double()
    return mean, torch.as_tensor(square), low, high
