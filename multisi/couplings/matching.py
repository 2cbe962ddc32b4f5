"""The match of the rows of a minibatch with reference points, at least transport cost."""

from dataclasses import dataclass

import torch
from torch import Tensor

from multisi.common.assignment import assign


@dataclass
class Side:
    """A minibatch of one marginal: its rows as vectors, with their conditions and labels."""

    x: Tensor
    condition: Tensor | None = None
    labels: Tensor | None = None


@dataclass(frozen=True)
class Matching:
    """How rows are matched: the regularisation of plans, and the weight of conditions."""

    entropy: float
    weight: float

    def __call__(
        self,
        reference: Tensor,
        labels: Tensor | None,
        sides: list[Side],
        k: int,
        source: torch.Generator,
    ) -> Tensor:
        """The row of side `k` for each row of the reference, which has these labels."""
        first, side = sides[0], sides[k]
        cost = _distances(reference, side.x)
        if first.condition is not None and side.condition is not None:
            cost = cost + self.weight * _distances(first.condition, side.condition)
        if labels is not None and side.labels is not None:
            cost = cost + 2 * cost.sum() * (labels[:, None] != side.labels)
        if self.entropy:
            return _sampled(cost, self.entropy, source)
        return assign(cost)


def labels_of(sides: list[Side], order: list[Tensor]) -> Tensor | None:
    """The labels of the matched rows, from the first side that has labels: noise has none."""
    for side, i in zip(sides, order, strict=False):
        if side.labels is not None:
            return side.labels[i]
    return None


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances, divided by their mean."""
    cost = torch.cdist(a, b).square()
    return cost / cost.mean().clamp_min(torch.finfo(cost.dtype).tiny)


def _sampled(cost: Tensor, entropy: float, source: torch.Generator) -> Tensor:
    """A match for each row, drawn from the entropic plan by Sinkhorn's algorithm in logarithms."""
    kernel = -cost / (entropy * cost.mean().clamp_min(torch.finfo(cost.dtype).tiny))
    v = torch.zeros(cost.shape[1], dtype=cost.dtype)
    for _ in range(1000):
        u = -torch.logsumexp(kernel + v, 1)
        change = v + torch.logsumexp(kernel + u[:, None], 0)
        v = v - change
        if change.abs().max() < 1e-3:
            break
    return torch.multinomial(torch.softmax(kernel + v, 1), 1, generator=source)[:, 0]
