r"""The arc length of a path: the parameter in which solvers step.

Steps that are even in the arc length of $\alpha$ make a scheme depend on the curve alone and not
on the speed at which it is passed; and a curve such as $\sqrt{t}$ is smooth in it.
"""

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_FINE = 512
"""Chords a leg by which its length is measured."""
_HALVINGS = 34
"""Halvings of such a chord's time by which a place is found."""
_INSIDE = 1e-7
"""Share of a step by which the tangents at its ends are taken from inside."""


class ArcLength:
    r"""Places $\sigma \in [0, 1]$ on a curve, as shares of its length, and times there and back.

    A curve that differs from row to row has no common arc length. Its place is then the time,
    with every leg a unit; where the curve leaves an end with infinite slope, as $\sqrt{t}$ does,
    a time that is slow at the ends of each leg.

    Arguments:
        curve: Coordinates at times of shape `(n,)`: float64, shape `(n, [b,] k)`.
        knots: Times where the curve may have a kink; the first is 0 and the last is 1.

    Example:
        >>> arc = ArcLength(lambda t: torch.stack([1 - t**2, t**2], -1), (0.0, 1.0))
        >>> arc.time(torch.tensor([0.25], dtype=torch.float64))
        tensor([0.5000], dtype=torch.float64)
    """

    def __init__(self, curve: Callable[[Tensor], Tensor], knots: Sequence[float]) -> None:
        self.curve = curve
        self.knots = torch.tensor(knots, dtype=torch.float64)
        fine = torch.linspace(0, 1, _FINE + 1, dtype=torch.float64)[:-1]
        self._slow = False
        ends = curve(torch.tensor([0.0, 1e-9], dtype=torch.float64))
        self.common = ends.ndim == 2
        if not self.common:
            self._slow = bool((ends.diff(dim=0).abs() > 1e-6).any())
            some = curve(torch.linspace(0, 1, 5, dtype=torch.float64))
            self._still = (some == some[:1]).all(-1).all(0)
            return
        times = self.knots[:-1, None] + self.knots.diff()[:, None] * fine
        self._times = torch.cat([times.flatten(), self.knots[-1:]])
        self._points = curve(self._times)
        self._chords = self._points.diff(dim=0).norm(dim=-1)
        halfway = curve((self._times[1:] + self._times[:-1]) / 2)
        halves = (halfway - self._points[:-1]).norm(dim=-1)
        halves += (self._points[1:] - halfway).norm(dim=-1)
        # A chord is too short by four times what its two halves are: Richardson.
        legs = ((4 * halves - self._chords) / 3).reshape(-1, _FINE)
        self._bent = legs.flatten() / self._chords.clamp_min(1e-300) - 1
        self._still = legs.sum(1) == 0
        # A leg that stays where it is has a length all the same, so that its time can pass.
        legs[self._still] = 1e-3 / _FINE * (1 if (~self._still).any() else 1e3)
        self.length = legs.sum().item()
        self._places = torch.cat([torch.zeros(1, dtype=torch.float64), legs.flatten().cumsum(0)])
        self._places = self._places / self._places[-1].clone()

    @functools.cached_property
    def corners(self) -> Tensor:
        """Places of the knots."""
        return self.place(self.knots)

    def place(self, times: Tensor) -> Tensor:
        """The places at increasing times, shape `(n,)`."""
        if not self.common:
            leg, share = self._leg(times, self.knots)
            share = torch.asin(share.clamp(0, 1).sqrt()) / (torch.pi / 2) if self._slow else share
            return (leg + share) / (len(self.knots) - 1)
        i = self._chord(times, self._times)
        return self._places[i] + self._passed(times, i)

    def time(self, places: Tensor) -> Tensor:
        """The times at places, shape `(n,)`; exact on straight legs, and at knots."""
        places = places.clamp(0, 1)
        if not self.common:
            legs = len(self.knots) - 1
            leg, share = self._leg(places, torch.linspace(0, 1, legs + 1, dtype=torch.float64))
            share = torch.sin(share * (torch.pi / 2)) ** 2 if self._slow else share
            return self.knots[leg] + self.knots.diff()[leg] * share
        i = self._chord(places, self._places)
        low, high = self._times[i], self._times[i + 1]
        below, above = places - self._places[i], self._places[i + 1] - places
        # The Illinois method: a chord between the bounds; a bound that stays twice counts half.
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

    def tangents(self, start: Tensor, stop: Tensor, shares: Tensor) -> Tensor:
        r"""$d\alpha / d\sigma$ at shares of steps between places, shape `(n, shares, [b,] k)`.

        At the ends of a step it is taken from inside, as there may be a kink.
        """
        inside = shares.clamp(_INSIDE, 1 - _INSIDE)
        rates = self._tangent(torch.lerp(start[:, None], stop[:, None], inside).flatten())
        return rates.reshape(len(start), len(shares), *rates.shape[1:])

    def _tangent(self, places: Tensor) -> Tensor:
        times = self.time(places).clamp(1e-12, 1 - 1e-12)
        _, rate, *_ = torch.func.jvp(self.curve, (times,), (torch.ones_like(times),))
        if self.common:
            still = self._still[torch.searchsorted(self.knots[1:-1].contiguous(), times)]
            rate = rate / rate.norm(dim=-1, keepdim=True).clamp_min(1e-300) * self.length
            return torch.where(still[:, None], 0.0, rate)
        rate = torch.where(self._still[:, None], 0.0, rate)
        leg, _ = self._leg(times, self.knots)
        speed = self.knots.diff()[leg] * (len(self.knots) - 1)
        if self._slow:
            _, share = self._leg(times, self.knots)
            speed = speed * torch.pi * (share * (1 - share)).clamp_min(0).sqrt()
        scaled: Tensor = rate * speed[:, None, None]
        return scaled

    def _passed(self, times: Tensor, i: Tensor) -> Tensor:
        """Share of the length from the start of chord `i` to a time on it."""
        distance = (self.curve(times) - self._points[i]).norm(dim=-1)
        share = distance / self._chords[i].clamp_min(1e-300)
        passed = distance * (1 + self._bent[i] * share**2) / self.length
        chord = self._places[i + 1] - self._places[i]
        of_time = (times - self._times[i]) / (self._times[i + 1] - self._times[i])
        return torch.where(self._still[i // _FINE], of_time * chord, torch.minimum(passed, chord))

    @staticmethod
    def _chord(values: Tensor, bounds: Tensor) -> Tensor:
        inner = bounds[1:-1].contiguous()
        return torch.searchsorted(inner, values.contiguous(), right=True)

    def _leg(self, values: Tensor, bounds: Tensor) -> tuple[Tensor, Tensor]:
        leg = self._chord(values, bounds)
        return leg, (values - bounds[leg]) / (bounds[leg + 1] - bounds[leg])


def kinks(
    curve: Callable[[Tensor], Tensor], knots: Sequence[float], levels: Sequence[float]
) -> tuple[float, ...]:
    """The knots, and the times at which a coordinate of the curve crosses a level."""
    times, every = torch.linspace(0, 1, 2 * _FINE + 1, dtype=torch.float64), set(knots)
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


def _crossings(
    curve: Callable[[Tensor], Tensor], level: float, low: Tensor, high: Tensor
) -> set[float]:
    """When the coordinates that cross a level between two times do so, by bisection."""
    start, stop = curve(low).flatten() > level, curve(high).flatten() > level
    which = (start != stop).nonzero()[:, 0]
    lows, highs = low.expand(len(which)), high.expand(len(which))
    for _ in range(_HALVINGS):
        middle = (lows + highs) / 2
        above = curve(middle).flatten(1)[torch.arange(len(which)), which] > level
        passed = above == stop[which]
        lows, highs = torch.where(passed, lows, middle), torch.where(passed, middle, highs)
    return {round(t, 9) for t in highs.tolist()}
