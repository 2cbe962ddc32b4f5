"""The coupling of trajectories: rows of all times, and the control points of their curves."""

import copy
import itertools
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from multisi.common.seeds import generator
from multisi.couplings import Coupling
from multisi.trajectories.chain import Chain


class Curved(Coupling):
    """Rows of a chain and the control points of the curves through them.

    Arguments:
        chain: The chain, whose rows are drawn.
        slopes: The slope at each row of each snapshot, shape `(n, d)` each.
        bend: 0 for straight lines from time to time, 1 for curves with these slopes.
        spreads: For each two neighbours a factor of the covariance of the noise in their two
            control points, shape `(k - 1, d, d)`; `None` without.
        noise: Whether there is a noise marginal, which comes first.
    """

    def __init__(
        self,
        chain: Chain,
        slopes: Sequence[Tensor],
        bend: float,
        spreads: Tensor | None = None,
        noise: bool = False,
    ) -> None:
        self.chain, self.slopes, self.bend = chain, list(slopes), bend
        self.spreads, self.noise = spreads, noise

    def bent(self, bend: float, spreads: Tensor | None = None) -> Self:
        """The same with another bend, and with other spreads."""
        made = copy.copy(self)
        made.bend, made.spreads = bend, spreads
        return made

    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """Draw `n` joint samples, shape `(n, k, d)`."""
        source = generator(seed, step, 9)
        return self.complete(self.chain.rows(n, source), source)

    def complete(self, rows: Tensor, source: torch.Generator) -> Tensor:
        """The joint samples of rows `(n, k)` of all snapshots, with noise if there is any."""
        drawn = self.through(rows, source)
        if not self.noise:
            return drawn
        normal = torch.randn(len(rows), 1, drawn.shape[2], generator=source, dtype=torch.float32)
        return torch.cat([normal.to(drawn), drawn], 1)

    def curves(self, n: int, source: torch.Generator) -> Tensor:
        """Draws of rows of all times and control points, shape `(n, k + 2 (k - 1), d)`."""
        return self.through(self.chain.rows(n, source), source)

    def through(self, rows: Tensor, source: torch.Generator) -> Tensor:
        """Rows of all times, and the control points of the curves through them."""
        x = self.chain.take(rows)
        slopes = torch.stack(
            [each[i] for each, i in zip(self.slopes, rows.unbind(1), strict=True)], 1
        ).to(x)
        widths = self.chain.snapshots.places.diff().to(x)[:, None]
        straight = x[:, 1:] - x[:, :-1]
        after, before = (
            torch.lerp(straight, widths * slope, self.bend) / 3
            for slope in (slopes[:, :-1], slopes[:, 1:])
        )
        controls = torch.stack([x[:, :-1] + after, x[:, 1:] - before], 2).flatten(1, 2)
        if self.spreads is None:
            return torch.cat([x, controls], 1)
        normal = torch.randn(controls.shape, generator=source, dtype=torch.float32).to(x)
        each = self.spreads.to(x).repeat_interleave(2, 0)
        return torch.cat([x, controls + torch.einsum("ced,ncd->nce", each, normal)], 1)


def names_of(times: Sequence[float]) -> list[str]:
    """Names of the snapshots and the control points."""
    own = [f"{t:g}" if len({f"{u:g}" for u in times}) == len(times) else repr(t) for t in times]
    controls: list[Any] = []
    for a, b in itertools.pairwise(own):
        controls += [f"after {a}", f"before {b}"]
    return own + controls
