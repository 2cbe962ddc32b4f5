"""Whether maps agree: the way through a third marginal, and the way round a triangle."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from multisi.common.seeds import generator

FEW = 500
"""Most rows of each marginal that are moved again."""
_THIRDS = 2
"""Most third marginals of each pair, drawn at random where there are more."""


def correspondence(
    move: Callable[[Tensor, str, str, str], Tensor],
    starts: Mapping[str, Tensor],
    ends: Mapping[tuple[str, str], Tensor],
    measured: Callable[[Tensor], Tensor],
) -> dict[tuple[str, str], tuple[float, float]]:
    r"""The composition defect and the holonomy of every ordered pair.

    For a pair $(i, j)$ and a third marginal $k$, these are the means of
    $|T_{kj} T_{ik} x - T_{ij} x|^2$, over the variance of the target, and of
    $|T_{ki} T_{jk} T_{ij} x - x|^2$, over that of the source.

    Arguments:
        move: Function of rows, where they are, where they go, and whose conditions they have.
        starts: Name to rows, shape `(n, *event)`.
        ends: Ordered pair to the same rows, moved.
        measured: Function that gives rows in the units of the figures, shape `(n, d)`.

    Returns:
        Ordered pair to both; NaN without a third marginal.
    """
    found = {}

    @functools.cache
    def through(i: str, j: str, k: str) -> Tensor:
        """The rows of one marginal at a third, by way of another."""
        return move(ends[i, j], j, k, i)

    for (i, j), direct in ends.items():
        defects, turns = [], []
        for k in _thirds([name for name in starts if name not in (i, j)], i, j, list(starts)):
            back = move(through(i, j, k), k, i, i)
            defects.append(_gap(measured(through(i, k, j)), measured(direct)))
            turns.append(_gap(measured(back), measured(starts[i])))
        found[i, j] = _mean(defects), _mean(turns)
    return found


def _thirds(names: list[str], i: str, j: str, order: list[str]) -> list[str]:
    if len(names) <= _THIRDS:
        return names
    source = generator(0, order.index(i) * len(order) + order.index(j), 6)
    return [names[n] for n in torch.randperm(len(names), generator=source)[:_THIRDS]]


def _gap(x: Tensor, y: Tensor) -> float:
    """The mean squared difference, as a share of the variance of `y`."""
    return ((x - y).square().mean() / (y.var(0).mean().item() or 1.0)).item()


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
