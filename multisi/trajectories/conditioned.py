"""The coupling of all conditions: each draw is within one of them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from multisi.common.seeds import generator
from multisi.couplings import Coupling
from multisi.trajectories.coupling import Curved


class Conditioned(Coupling):
    """A coupling for each condition, drawn in proportion to how many rows have it.

    Arguments:
        parts: The coupling of each condition.
        conditions: The conditions, shape `(m, c)`.
        shares: Their shares of the rows, shape `(m,)`.
    """

    def __init__(self, parts: Sequence[Curved], conditions: Tensor, shares: Tensor) -> None:
        self.parts, self._conditions, self._shares = list(parts), conditions, shares

    def _kinds(self, n: int, seed: int, step: int) -> Tensor:
        source = generator(seed, step, 22)
        return torch.multinomial(self._shares, n, replacement=True, generator=source)

    def condition(self, n: int, *, seed: int, step: int) -> Tensor:
        """The conditions of the same draw, shape `(n, c)`."""
        return self._conditions[self._kinds(n, seed, step)]

    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """Draw `n` joint samples, each within its condition, shape `(n, k, d)`."""

        def drawn(part: Curved, here: Tensor, at: int) -> Tensor:
            return part.sample(len(here), seed=seed, step=at)

        return self._within(n, seed, step, drawn)

    def sample_at(self, alpha: Tensor, *, seed: int, step: int) -> tuple[Tensor, Tensor | None]:
        """Joint samples at points of curves, by the masses there if there is growth."""

        def drawn(part: Curved, here: Tensor, at: int) -> Tensor:
            return part.sample_at(alpha[here], seed=seed, step=at)[0]

        n = len(alpha)
        return self._within(n, seed, step, drawn), self.condition(n, seed=seed, step=step)

    def _within(
        self, n: int, seed: int, step: int, drawn: Callable[[Curved, Tensor, int], Tensor]
    ) -> Tensor:
        """Draws within the conditions of a step, in the order of its rows."""
        kinds, parts, order = self._kinds(n, seed, step), [], []
        for kind, part in enumerate(self.parts):
            here = (kinds == kind).nonzero()[:, 0]
            parts.append(drawn(part, here, step * len(self.parts) + kind))
            order.append(here)
        return torch.cat(parts)[torch.cat(order).argsort()]

    def curves(self, n: int, source: torch.Generator) -> Tensor:
        """Draws of rows of all times and control points, shape `(n, k + 2 (k - 1), d)`."""
        counts = (self._shares * n).ceil().long().clamp_min(2).tolist()
        parts = zip(self.parts, counts, strict=True)
        return torch.cat([part.curves(count, source) for part, count in parts])
