"""The choice of rows that stand for a weighted dataset."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def representative(
    rows: int, weights: Tensor | None, count: int, source: torch.Generator
) -> Tensor:
    r"""Indices of at most `count` rows, in random order.

    Without weights these are different rows. With weights $w_i$ that sum to one, row i is among
    the m chosen ones $m w_i$ times, rounded up or down at random: each chosen row has the law of
    the dataset, and rows come twice only if their weights demand it. There are at most
    $1 / \sum_i w_i^2$ of them, the number of rows that the weights are worth.

    Arguments:
        rows: The number of rows.
        weights: Their weights, float64, shape `(rows,)`; `None` for equal ones.
        count: The largest number of rows to choose.
        source: Generator to draw with.

    Examples:
        >>> weights = torch.tensor([0.5, 0.0, 0.25, 0.25])
        >>> representative(4, weights, 100, torch.Generator().manual_seed(0)).sort().values
        tensor([0, 3])
    """
    seed = torch.randint(2**62, (), generator=source, dtype=torch.int64, device=source.device)
    random = np.random.default_rng(int(seed))
    if weights is None:
        return torch.from_numpy(random.choice(rows, min(count, rows), replace=False))
    possible = random.permutation(weights.nonzero()[:, 0].cpu().numpy())
    shares = weights.cpu().numpy()[possible]
    worth = int((1 + 1e-9) / np.square(shares).sum())
    return torch.from_numpy(possible[_systematic(shares, min(count, worth), random)])


def _systematic(
    shares: "np.ndarray[Any, Any]", count: int, random: np.random.Generator
) -> "np.ndarray[Any, Any]":
    """Places of `count` points at equal distances on the line where each row has its share."""
    ends = shares.cumsum()
    points = (np.arange(count) + random.random()) / count * ends[-1]
    found: np.ndarray[Any, Any] = ends.searchsorted(points, side="right")
    return found.clip(max=len(shares) - 1)
