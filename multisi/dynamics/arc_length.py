r"""The arc length of a path: the parameter in which solvers step.

With steps that are even in the arc length of $\alpha$, a solver depends on the curve alone and not
on the speed along it. A curve such as $\sqrt{t}$ is smooth in its arc length.
"""

import functools
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from multisi.common.derivatives import value_and_rate

Curve: TypeAlias = Callable[[Tensor], Tensor]
_FINE = 512
"""Number of chords per leg by which its length is measured."""
_HALVINGS = 34
"""Most iterations in the search for a time on such a chord."""
_INSIDE = 1e-7
"""Distance of the tangents at the ends of a step from these ends, as a share of the step."""


class Arc(ABC):
    r"""A map between the times and the places $\sigma \in [0, 1]$ of a curve.

    Arguments:
        curve: Function of times, shape `(n,)`, that returns coordinates, float64, shape
            `(n, [b,] k)`.
        knots: Times where the curve may have a kink; the first is 0 and the last is 1.
    """

    def __init__(self, curve: Curve, knots: Sequence[float]) -> None:
        self.curve = curve
        self.knots = torch.tensor(knots, dtype=torch.float64)

    @functools.cached_property
    def corners(self) -> Tensor:
        """The places of the knots."""
        return self.place(self.knots)

    @abstractmethod
    def place(self, times: Tensor) -> Tensor:
        """The places at increasing times, shape `(n,)`."""

    @abstractmethod
    def time(self, places: Tensor) -> Tensor:
        """The times at places, shape `(n,)`."""

    @abstractmethod
    def _speed(self, times: Tensor, rate: Tensor) -> Tensor:
        r"""$d\alpha / d\sigma$ from $d\alpha / dt$, shape `(n, [b,] k)`."""

    def tangents(self, start: Tensor, stop: Tensor, shares: Tensor) -> Tensor:
        r"""$d\alpha / d\sigma$ at shares of steps between places, shape `(n, shares, [b,] k)`.

        At the ends of a step, where there may be a kink, it is the limit from inside the step.
        """
        inside = shares.clamp(_INSIDE, 1 - _INSIDE)
        places = torch.lerp(start[:, None], stop[:, None], inside).flatten()
        times = self.time(places).clamp(1e-12, 1 - 1e-12)
        _, rate = value_and_rate(self.curve, times)
        rates = self._speed(times, rate)
        return rates.reshape(len(start), len(shares), *rates.shape[1:])


class ArcLength(Arc):
    r"""The arc length of a curve: places are shares of its length.

    Arguments:
        curve: Function of times, shape `(n,)`, that returns coordinates, float64, shape `(n, k)`.
        knots: Times where the curve may have a kink; the first is 0 and the last is 1.

    Examples:
        >>> arc = ArcLength(lambda t: torch.stack([1 - t**2, t**2], -1), (0.0, 1.0))
        >>> arc.time(torch.tensor([0.25], dtype=torch.float64))
        tensor([0.5000], dtype=torch.float64)
    """

    def __init__(self, curve: Curve, knots: Sequence[float]) -> None:
        super().__init__(curve, knots)
        fine = torch.linspace(0, 1, _FINE + 1, dtype=torch.float64)[:-1]
        times = self.knots[:-1, None] + self.knots.diff()[:, None] * fine
        self._times = torch.cat([times.flatten(), self.knots[-1:]])
        self._points = curve(self._times)
        self._chords = self._points.diff(dim=0).norm(dim=-1)
        halfway = curve((self._times[1:] + self._times[:-1]) / 2)
        halves = (halfway - self._points[:-1]).norm(dim=-1)
        halves += (self._points[1:] - halfway).norm(dim=-1)
        # Richardson extrapolation: the error of a chord is four times that of its two halves.
        legs = ((4 * halves - self._chords) / 3).reshape(-1, _FINE)
        self._bent = legs.flatten() / self._chords.clamp_min(1e-300) - 1
        self._still = legs.sum(1) == 0
        # A leg of length zero gets a small length, so that its times have places.
        legs[self._still] = 1e-3 / _FINE * (1 if (~self._still).any() else 1e3)
        self.length = legs.sum().item()
        self._places = torch.cat([torch.zeros(1, dtype=torch.float64), legs.flatten().cumsum(0)])
        self._places = self._places / self._places[-1].clone()

    def place(self, times: Tensor) -> Tensor:
        """The places at increasing times, shape `(n,)`."""
        i = _part(times, self._times)
        return self._places[i] + self._passed(times, i)

    def time(self, places: Tensor) -> Tensor:
        """The times at places, shape `(n,)`; exact on straight legs and at knots."""
        places = places.clamp(0, 1)
        i = _part(places, self._places)
        low, high = self._times[i], self._times[i + 1]
        below, above = places - self._places[i], self._places[i + 1] - places
        # The Illinois method: regula falsi, with half the value at a bound that stays twice.
        before: Tensor | None = None
        for _ in range(_HALVINGS):
            times = torch.lerp(low, high, below / (below + above).clamp_min(1e-300))
            gap = places - self._places[i] - self._passed(times, i)
            if (gap.abs() <= 1e-12).all():
                break
            short = gap > 0
            again = torch.zeros_like(short) if before is None else short == before
            idle = torch.where(again, 0.5, 1.0)
            low, high = torch.where(short, times, low), torch.where(short, high, times)
            below, above = (
                torch.where(short, gap, below * idle),
                torch.where(short, above * idle, -gap),
            )
            before = short
        return times.clamp(0, 1)

    def _speed(self, times: Tensor, rate: Tensor) -> Tensor:
        still = self._still[_part(times, self.knots)]
        rate = rate / rate.norm(dim=-1, keepdim=True).clamp_min(1e-300) * self.length
        return torch.where(still[:, None], 0.0, rate)

    def _passed(self, times: Tensor, i: Tensor) -> Tensor:
        """Share of the length from the start of chord `i` to a time on it."""
        distance = (self.curve(times) - self._points[i]).norm(dim=-1)
        share = distance / self._chords[i].clamp_min(1e-300)
        passed = distance * (1 + self._bent[i] * share**2) / self.length
        chord = self._places[i + 1] - self._places[i]
        of_time = (times - self._times[i]) / (self._times[i + 1] - self._times[i])
        return torch.where(self._still[i // _FINE], of_time * chord, torch.minimum(passed, chord))


class RowTime(Arc):
    """Places for curves that differ from row to row and have no common arc length: the time.

    All legs take equal shares. Places must not depend on the rows: otherwise the result of a row
    would depend on the other rows of its batch.

    Arguments:
        curve: As for `Arc`.
        knots: As for `Arc`.
        slow: Whether to be slow at the ends of each leg, so that curves with an infinite slope
            there, such as square roots, become smooth.
    """

    def __init__(self, curve: Curve, knots: Sequence[float], slow: bool) -> None:
        super().__init__(curve, knots)
        self._slow = slow
        some = curve(torch.linspace(0, 1, 5, dtype=torch.float64))
        self._still = (some == some[:1]).all(-1).all(0)

    def place(self, times: Tensor) -> Tensor:
        """The places at times, shape `(n,)`."""
        leg, share = _share(times, self.knots)
        share = torch.asin(share.clamp(0, 1).sqrt()) / (torch.pi / 2) if self._slow else share
        return (leg + share) / (len(self.knots) - 1)

    def time(self, places: Tensor) -> Tensor:
        """The times at places, shape `(n,)`."""
        legs = len(self.knots) - 1
        even = torch.linspace(0, 1, legs + 1, dtype=torch.float64)
        leg, share = _share(places.clamp(0, 1), even)
        share = torch.sin(share * (torch.pi / 2)) ** 2 if self._slow else share
        return self.knots[leg] + self.knots.diff()[leg] * share

    def _speed(self, times: Tensor, rate: Tensor) -> Tensor:
        leg, share = _share(times, self.knots)
        speed = self.knots.diff()[leg] * (len(self.knots) - 1)
        if self._slow:
            speed = speed * torch.pi * (share * (1 - share)).clamp_min(0).sqrt()
        return torch.where(self._still[:, None], 0.0, rate) * speed[:, None, None]


def _part(values: Tensor, bounds: Tensor) -> Tensor:
    """The index of the interval between increasing bounds in which each value lies."""
    return torch.searchsorted(bounds[1:-1].contiguous(), values.contiguous(), right=True)


def _share(values: Tensor, bounds: Tensor) -> tuple[Tensor, Tensor]:
    """The index of the interval in which each value lies, and the share of it already passed."""
    leg = _part(values, bounds)
    return leg, (values - bounds[leg]) / (bounds[leg + 1] - bounds[leg])


def is_steep(curve: Curve, knots: Sequence[float]) -> bool:
    """Whether a curve has an infinite slope on either side of a knot."""
    at = torch.tensor(knots, dtype=torch.float64)
    near = torch.stack([(at - 1e-9).clamp_min(0), (at + 1e-9).clamp_max(1)])
    return any(bool(((curve(side) - curve(at)).abs() > 1e-6).any()) for side in near)


def kink_times(curve: Curve, knots: Sequence[float], levels: Sequence[float]) -> tuple[float, ...]:
    """The knots, and the times at which a coordinate of the curve crosses a level.

    Where curves differ from row to row, the times are those of straight legs between corners.
    """
    times, every = torch.linspace(0, 1, 2 * _FINE + 1, dtype=torch.float64), set(knots)
    if levels and curve(times[:1]).ndim > 2:
        shares = {share for level in levels for share in (level, 1 - level)}
        every |= {a + (b - a) * share for a, b in itertools.pairwise(knots) for share in shares}
        levels = ()
    for level in levels:
        above = curve(times) > level
        crossed = (above[1:] != above[:-1]).flatten(1).any(1).nonzero()[:, 0]
        for i in crossed.tolist():
            every |= _crossings(curve, level, times[i], times[i + 1])
    found: list[float] = []
    for knot in sorted(every):
        if not found or knot - found[-1] > 1e-9:
            found.append(knot)
    return (*found[:-1], 1.0)


def _crossings(curve: Curve, level: float, low: Tensor, high: Tensor) -> set[float]:
    """The times at which coordinates cross a level between two times, by bisection."""
    start, stop = curve(low).flatten() > level, curve(high).flatten() > level
    which = (start != stop).nonzero()[:, 0]
    lows, highs = low.expand(len(which)), high.expand(len(which))
    for _ in range(_HALVINGS):
        middle = (lows + highs) / 2
        above = curve(middle).flatten(1)[torch.arange(len(which)), which] > level
        passed = above == stop[which]
        lows, highs = torch.where(passed, lows, middle), torch.where(passed, middle, highs)
    return {round(t, 9) for t in highs.tolist()}
