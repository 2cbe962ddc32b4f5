"""Couplings that draw rows of the datasets together."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multisi.common.seeds import generator
from multisi.couplings.base import Coupling
from multisi.data.marginals import AnyMarginal, Marginal

_TOGETHER = 64
"""Number of steps whose rows are drawn at once."""


@dataclass(frozen=True)
class Joint:
    """A joint draw: row indices of each dataset, shape `(n,)`, and noise, shape `(n, *event)`."""

    rows: list[Tensor]
    noise: Tensor


class RowCoupling(Coupling):
    """A coupling defined by the rows of the datasets that are drawn together.

    Arguments:
        marginals: The marginals in order.
    """

    def __init__(self, marginals: Sequence[AnyMarginal]) -> None:
        self.marginals = marginals
        self.data = [m for m in marginals if isinstance(m, Marginal)]

    @abstractmethod
    def joint(self, n: int, *, seed: int, step: int, alpha: Tensor | None = None) -> Joint:
        """The rows and the noise of one draw, for points of shape `(n, k)` if they are given."""

    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """Draw `n` joint samples, shape `(n, k, *event)`."""
        return self._samples(self.joint(n, seed=seed, step=step))

    def condition(self, n: int, *, seed: int, step: int) -> Tensor | None:
        """The conditions of the rows of the same draw, shape `(n, c)`; `None` without any."""
        if all(marginal.condition is None for marginal in self.data):
            return None
        return self._condition(self.joint(n, seed=seed, step=step))

    def sample_at(self, alpha: Tensor, *, seed: int, step: int) -> tuple[Tensor, Tensor | None]:
        """Joint samples for given points of the simplex, and their condition."""
        joint = self.joint(len(alpha), seed=seed, step=step, alpha=alpha)
        return self._samples(joint), self._condition(joint)

    def _samples(self, joint: Joint) -> Tensor:
        rows = iter(joint.rows)
        columns = [
            marginal.take(next(rows)) if isinstance(marginal, Marginal) else joint.noise
            for marginal in self.marginals
        ]
        return torch.stack(columns, 1)

    def _condition(self, joint: Joint) -> Tensor | None:
        told = zip(self.data, joint.rows, strict=True)
        return next((m.condition[i] for m, i in told if m.condition is not None), None)

    def noise(self, n: int, *seeds: int) -> Tensor:
        """Standard-normal rows, a function of `seeds`; shape `(n, 0)` without a noise marginal."""
        if len(self.data) == len(self.marginals):
            return torch.empty(n, 0, dtype=torch.float32)
        shape = (n, *self.data[0].event_shape)
        return torch.randn(shape, generator=generator(*seeds), dtype=torch.float32)


class RowBlocks:
    """Rows drawn for many steps at once, which costs far less than drawing them step by step.

    Arguments:
        draw: Function of a number of rows and a generator that returns the row indices of each
            dataset.
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

    def __getstate__(self) -> dict[str, Any]:
        return {"_draw": self._draw, "_drawn": None}
