"""The independent coupling, and what all couplings of rows share."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from multisi.common.seeds import generator
from multisi.couplings.base import Coupling
from multisi.data.marginals import AnyMarginal, Marginal

_TOGETHER = 64
"""Steps whose rows are drawn together."""


@dataclass(frozen=True)
class Joint:
    """A joint draw: which rows of each dataset, each `(n,)`, and the noise, `(n, *event)`."""

    rows: list[Tensor]
    noise: Tensor


class Independent(Coupling):
    r"""Every marginal is drawn on its own.

    $\rho(x_1, \dots, x_K) = \prod_k \rho_k(x_k)$.

    Rows are drawn with replacement, by weight where a marginal has weights.

    Arguments:
        marginals: The marginals in order.

    Example:
        >>> from multisi import Marginal, StandardNormal
        >>> coupling = Independent([StandardNormal(), Marginal(torch.rand(9, 2))])
        >>> coupling.sample(4, seed=0, step=0).shape
        torch.Size([4, 2, 2])
    """

    def __init__(self, marginals: Sequence[AnyMarginal]) -> None:
        self.marginals = marginals
        self.data = [m for m in marginals if isinstance(m, Marginal)]
        self._drawn: tuple[tuple[int, int, int], list[Tensor]] | None = None

    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """`n` rows, shape `(n, k, *event)`."""
        joint = self.joint(n, seed=seed, step=step)
        rows = iter(joint.rows)
        columns = [
            marginal.take(next(rows)) if isinstance(marginal, Marginal) else joint.noise
            for marginal in self.marginals
        ]
        return torch.stack(columns, 1)

    def condition(self, n: int, *, seed: int, step: int) -> Tensor | None:
        """The conditions of the rows of that draw, if a dataset has any, shape `(n, c)`."""
        if all(marginal.condition is None for marginal in self.data):
            return None
        rows = self.joint(n, seed=seed, step=step).rows
        return next(
            m.condition[i] for m, i in zip(self.data, rows, strict=True) if m.condition is not None
        )

    def joint(self, n: int, *, seed: int, step: int) -> Joint:
        """Which rows are drawn together, and with what noise."""
        block, place = divmod(step, _TOGETHER)
        if self._drawn is None or self._drawn[0] != (n, seed, block):
            self._drawn = (n, seed, block), self._rows(_TOGETHER * n, generator(seed, block))
        rows = [row[place * n : (place + 1) * n] for row in self._drawn[1]]
        return Joint(rows, self._noise(n, seed, step))

    def _rows(self, n: int, source: torch.Generator) -> list[Tensor]:
        """Indices of the rows to take from each dataset."""
        return [marginal.draw(n, source) for marginal in self.data]

    def _noise(self, n: int, seed: int, step: int, *which: int) -> Tensor:
        """Standard normal rows, none where there is no noise marginal."""
        if len(self.data) == len(self.marginals):
            return torch.empty(n, 0)
        source = generator(seed, step, *(which or (1,)))
        return torch.randn((n, *self.data[0].event_shape), generator=source)
