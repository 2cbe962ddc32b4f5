"""Couplings that draw rows of the datasets together."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
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
    """A joint draw: the indices of rows of each dataset, each `(n,)`, and noise `(n, *event)`."""

    rows: list[Tensor]
    noise: Tensor


class RowCoupling(Coupling):
    """A coupling that is given by which rows of the datasets are drawn together.

    Arguments:
        marginals: The marginals in order.
    """

    def __init__(self, marginals: Sequence[AnyMarginal]) -> None:
        self.marginals = marginals
        self.data = [m for m in marginals if isinstance(m, Marginal)]

    @abstractmethod
    def joint(self, n: int, *, seed: int, step: int) -> Joint:
        """The rows of one draw, and their noise."""

    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """Draw `n` joint samples, shape `(n, k, *event)`."""
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

    def noise(self, n: int, *seeds: int) -> Tensor:
        """Standard normal rows from some seeds, or `(n, 0)` where there is no noise marginal."""
        if len(self.data) == len(self.marginals):
            return torch.empty(n, 0)
        return torch.randn((n, *self.data[0].event_shape), generator=generator(*seeds))


class RowBlocks:
    """Rows drawn for many steps at once, which costs far less than step by step.

    Arguments:
        draw: Function of a number of rows and a generator that gives the rows of each dataset.
    """

    def __init__(self, draw: Callable[[int, torch.Generator], list[Tensor]]) -> None:
        self._draw = draw
        self._drawn: tuple[tuple[int, int, int], list[Tensor]] | None = None

    def __call__(self, n: int, seed: int, step: int) -> list[Tensor]:
        """The `n` rows of each dataset at a step: a function of `(seed, step)`."""
        block, place = divmod(step, _TOGETHER)
        if self._drawn is None or self._drawn[0] != (n, seed, block):
            self._drawn = (n, seed, block), self._draw(_TOGETHER * n, generator(seed, block))
        return [row[place * n : (place + 1) * n] for row in self._drawn[1]]
