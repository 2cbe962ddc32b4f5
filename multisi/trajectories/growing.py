"""The coupling of trajectories with growth: pairs whose masses change from time to time."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from multisi.common.seeds import generator
from multisi.trajectories.chain import Chain, Plan
from multisi.trajectories.coupling import Curved

_LEVELS = 32
"""Times between two snapshots at which the masses of pairs are held."""


class Growing(Curved):
    r"""Curves whose masses change: pairs are drawn by their masses at the time of the point.

    A pair with mass $p$ halfway has $p\,e^{-(1 - s)^2 a - s^2 b}$ at share $s$ of the way, where
    $a$ and $b$ are the gains of its rows: its rate goes from that of one row to that of the other,
    and rows of both snapshots keep their shares.

    Arguments:
        chain: The chain, with gains.
        slopes: The slope at each row of each snapshot, shape `(n, d)` each.
        bend: 0 for straight lines, 1 for curves.
        options: Further options of `Curved`.
    """

    def __init__(
        self, chain: Chain, slopes: Sequence[Tensor], bend: float, **options: Any
    ) -> None:
        super().__init__(chain, slopes, bend, **options)
        gains = chain.gains or []
        self._levels = [_cumulative(p, *g) for p, g in zip(chain.plans, gains, strict=True)]

    def sample_at(self, alpha: Tensor, *, seed: int, step: int) -> tuple[Tensor, Tensor | None]:
        """Joint samples by the masses at points of curves, shape `(n, k, d)`; no condition."""
        source = generator(seed, step, 9)
        rows = self.chain.rows(len(alpha), source)
        interval, share = self._places(alpha.double())
        level = (share * _LEVELS).floor()
        up = (
            torch.rand(len(alpha), generator=source, dtype=torch.float64) < share * _LEVELS - level
        )
        level = (level + up).clamp_max(_LEVELS)
        at = level + torch.rand(len(alpha), generator=source, dtype=torch.float64)
        for k, (plan, known) in enumerate(zip(self.chain.plans, self._levels, strict=True)):
            here = (interval == k).nonzero()[:, 0]
            found = torch.searchsorted(known, at[here], right=True) - level[here].long() * len(
                plan.mass
            )
            pair = found.clamp(0, len(plan.mass) - 1)
            rows[here, k], rows[here, k + 1] = plan.first[pair], plan.second[pair]
        return self.complete(rows, source), None

    def _places(self, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """The interval and the share of the way of points of curves, from the weights."""
        size, weights = len(self.chain.snapshots.times), alpha[:, int(self.noise) :]
        middle = weights[:, size:].reshape(len(alpha), -1, 2).sum(2)
        ends = weights[:, : size - 1] + weights[:, 1:size]
        interval = (middle + 1e-6 * ends).argmax(1)
        first, last = (
            weights.gather(1, interval[:, None] + i)[:, 0].clamp_min(0) ** (1 / 3) for i in (0, 1)
        )
        return interval, (last / (first + last).clamp_min(1e-12)).clamp(0, 1)


def _cumulative(plan: Plan, ahead: Tensor, back: Tensor) -> Tensor:
    """Cumulative masses of the pairs at all levels, one after the other, each of total one."""
    s = torch.linspace(0, 1, _LEVELS + 1, dtype=torch.float64)[:, None]
    gained = (1 - s).square() * ahead[plan.first] + s.square() * back[plan.second]
    masses = torch.softmax(plan.mass.log() - gained, 1).cumsum(1)
    found: Tensor = (masses / masses[:, -1:] + s * _LEVELS).flatten()
    return found
