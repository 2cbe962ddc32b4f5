"""Chains: rows of all snapshots that belong together, by optimal transport from time to time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi.common.seeds import generator
from multisi.errors import ConfigError
from multisi.trajectories.snapshots import Snapshots

_WHOLE, _BLOCK = 5000, 2048
"""Most rows of snapshots whose plan is solved as a whole; rows of a block of larger ones."""


@dataclass(frozen=True)
class Plan:
    """A sparse plan: rows of two snapshots and their masses, sorted by the first.

    Arguments:
        first: Rows of the earlier snapshot, shape `(p,)`.
        second: Rows of the later one.
        mass: The mass of each pair, float64.
    """

    first: Tensor
    second: Tensor
    mass: Tensor

    def follow(self, rows: Tensor, source: torch.Generator) -> Tensor:
        """A row of the later snapshot for each row of the earlier one, by the plan."""
        total = self.mass.cumsum(0)
        every = torch.arange(int(self.first[-1]) + 2)
        starts = torch.searchsorted(self.first, every)
        begin = torch.cat([total.new_zeros(1), total])[starts]
        low, high = begin[rows], begin[rows + 1]
        at = low + torch.rand(len(rows), generator=source, dtype=torch.float64) * (high - low)
        place = torch.searchsorted(total, at, right=True)
        return self.second[place.clamp(starts[rows], starts[rows + 1] - 1)]

    def reversed(self) -> "Plan":
        """The same plan from the later snapshot to the earlier one."""
        order = self.second.argsort(stable=True)
        return Plan(self.second[order], self.first[order], self.mass[order])


@dataclass(frozen=True)
class Chain:
    """Plans between neighbours in time, from which rows of all times are drawn together.

    Arguments:
        snapshots: The snapshots.
        plans: A plan for each two neighbours.
        gains: For each two neighbours what their rows gain up to halfway and back to it, as
            logarithms; `None` without growth. Plans match what is there halfway.
    """

    snapshots: Snapshots
    plans: tuple[Plan, ...]
    gains: list[tuple[Tensor, Tensor]] | None = None

    @classmethod
    def of(
        cls,
        snapshots: Snapshots,
        seed: int = 0,
        gains: list[tuple[Tensor, Tensor]] | None = None,
    ) -> "Chain":
        """The chain of exact plans of least squared distance, in blocks of large snapshots.

        Raises:
            ConfigError: POT is not installed.
        """
        x, shares = snapshots.samples, [m.shares for m in snapshots.marginals]
        plans = []
        for k in range(len(x) - 1):
            ends = shares[k], shares[k + 1]
            if gains is not None:
                ends = _grown(shares[k], gains[k][0]), _grown(shares[k + 1], gains[k][1])
            plans.append(_plan(x[k], x[k + 1], *ends, seed + k))
        return cls(snapshots, tuple(plans), gains)

    def rows(self, n: int, source: torch.Generator) -> Tensor:
        """Rows of all snapshots that belong together, shape `(n, k)`."""
        columns = [self.snapshots.marginals[0].draw_evenly(n, source)]
        for plan in self.plans:
            columns.append(plan.follow(columns[-1], source))
        return torch.stack(columns, 1)

    def take(self, rows: Tensor) -> Tensor:
        """The samples of rows `(n, k)`, shape `(n, k, d)`."""
        taken = [m.take(i) for m, i in zip(self.snapshots.marginals, rows.unbind(1), strict=True)]
        return torch.stack(taken, 1)


def _grown(shares: Tensor, gain: Tensor) -> Tensor:
    return torch.softmax(shares.log() + gain, 0)


def _plan(x: Tensor, y: Tensor, a: Tensor, b: Tensor, seed: int) -> Plan:
    """The plan between two snapshots, in random blocks where they are large."""
    blocks = 1 if max(len(x), len(y)) <= _WHOLE else -(-max(len(x), len(y)) // _BLOCK)
    source = generator(seed, 11)
    of_x, of_y = (torch.randperm(len(z), generator=source).chunk(blocks) for z in (x, y))
    parts = [_solved(x[i], y[j], a[i], b[j], i, j) for i, j in zip(of_x, of_y, strict=False)]
    first, second, mass = (torch.cat(part) for part in zip(*parts, strict=True))
    order = first.argsort(stable=True)
    return Plan(first[order], second[order], mass[order])


def _solved(
    x: Tensor, y: Tensor, a: Tensor, b: Tensor, i: Tensor, j: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The pairs of an exact plan, with their rows in the snapshots."""
    ot = pot()
    cost = torch.cdist(x, y).square().numpy()
    share = float(a.sum())
    found = ot.emd(_total(a), _total(b), cost, numItermax=10**7)
    rows, columns = np.nonzero(found)
    mass = torch.from_numpy(found[rows, columns]) * share
    return i[torch.from_numpy(rows)], j[torch.from_numpy(columns)], mass


def _total(shares: Tensor) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = (shares / shares.sum()).numpy()
    return found


def pot() -> Any:
    """POT, the library of optimal transport.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import ot
    except ImportError:
        raise ConfigError(
            "Trajectories need POT. Try: pip install 'multisi[trajectories]'"
        ) from None
    return ot
