"""The match of the rows of a minibatch with reference points, at least transport cost."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multisi.common.arrays import floats
from multisi.common.assignment import assign
from multisi.errors import ShapeError


@dataclass
class Side:
    """A minibatch of one marginal: its rows as vectors, with their conditions and labels."""

    x: Tensor
    condition: Tensor | None = None
    labels: Tensor | None = None

    @property
    def of_labels(self) -> Tensor:
        """The labels; rows without any have one in common."""
        return torch.zeros(len(self.x)) if self.labels is None else self.labels

    def __getitem__(self, rows: Tensor) -> "Side":
        condition = None if self.condition is None else self.condition[rows]
        return Side(self.x[rows], condition, None if self.labels is None else self.labels[rows])


@dataclass(frozen=True)
class Matching:
    """How rows are matched.

    Arguments:
        entropy: The regularisation of plans, in units of the mean cost; 0 for exact plans.
        weight: Weight of the distance between conditions relative to that between states.
        fixed: The regularisation in units of the cost instead; 0 without.
    """

    entropy: float
    weight: float
    fixed: float = 0.0

    def __call__(
        self,
        reference: Tensor,
        labels: Tensor | None,
        sides: list[Side],
        k: int,
        source: torch.Generator,
    ) -> Tensor:
        """The row of side `k` for each row of the reference, which has these labels."""
        given = Side(reference, sides[0].condition, labels)
        within = labels is not None and sides[k].labels is not None
        exact = not (self.entropy or self.fixed)
        if within and exact:
            return self._within(given, sides[k])
        cost = self._cost(given, sides[k])
        if exact:
            return assign(cost)
        regularisation = self.fixed or self.entropy * _mean(cost)
        if within:  # Sampled as a whole, so that every row is drawn as often as any other.
            cost = cost + 2 * cost.sum() * (given.of_labels[:, None] != sides[k].of_labels)
        return _sampled(cost / regularisation, source)

    def _within(self, a: Side, b: Side) -> Tensor:
        """A match of rows within their labels, as far as there are; the rest at last."""
        found, mine, others = torch.full((len(a.x),), -1), a.of_labels, b.of_labels
        for label in torch.unique(mine):
            i, j = (mine == label).nonzero()[:, 0], (others == label).nonzero()[:, 0]
            if len(i) > len(j):
                i = i[assign(self._cost(b[j], a[i]))]
                found[i] = j
            else:
                found[i] = j[assign(self._cost(a[i], b[j]))]
        free = torch.ones(len(b.x), dtype=torch.bool)
        free[found[found >= 0]] = False
        i, j = (found < 0).nonzero()[:, 0], free.nonzero()[:, 0]
        found[i] = j[assign(self._cost(a[i], b[j]))]
        return found

    def _cost(self, a: Side, b: Side) -> Tensor:
        cost = torch.cdist(a.x, b.x).square()
        if a.condition is not None and b.condition is not None:
            others = torch.cdist(a.condition, b.condition).square()
            cost = cost + self.weight * _mean(cost) * (others / _mean(others))
        return cost


def embedded(embed: Callable[[Tensor], Any], rows: Tensor) -> Tensor:
    """What a function of rows gives, float64, shape `(n, ...)`.

    Raises:
        DataError: it does not return an array of finite numbers.
        ShapeError: it does not return one vector per row.
    """
    found = floats(embed(rows), "The result of embed").detach().cpu().double()
    if found.ndim < 2 or len(found) != len(rows) or 0 in found.shape[1:]:
        raise ShapeError(
            f"embed must return one vector per row, shape ({len(rows)}, ...); got "
            f"{tuple(found.shape)}."
        )
    return found


def labels_of(sides: list[Side], order: list[Tensor]) -> Tensor | None:
    """The labels of the matched rows, from the first side that has labels: noise has none."""
    for side, i in zip(sides, order, strict=False):
        if side.labels is not None:
            return side.labels[i]
    return None


def _mean(cost: Tensor) -> Tensor:
    """The mean of costs, above zero."""
    return (cost.mean() if cost.numel() else cost.sum()).clamp_min(torch.finfo(cost.dtype).tiny)


def _sampled(cost: Tensor, source: torch.Generator) -> Tensor:
    """A match for each row, drawn from the entropic plan by Sinkhorn's algorithm in logarithms.

    The regularisation is the unit of the cost.
    """
    kernel = -cost
    v = torch.zeros(cost.shape[1], dtype=cost.dtype)
    for _ in range(1000):
        u = -torch.logsumexp(kernel + v, 1)
        change = v + torch.logsumexp(kernel + u[:, None], 0)
        v = v - change
        if change.abs().max() < 1e-3:
            break
    return torch.multinomial(torch.softmax(kernel + v, 1), 1, generator=source)[:, 0]
