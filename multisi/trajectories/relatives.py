"""Rows by their masses: shares of a snapshot in what samples become, and equal parts."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from multisi.data.marginals import Marginal
from multisi.trajectories.chain import pot


def shares(
    rows: Tensor, gained: Tensor | None, marginal: Marginal, labels: Sequence[int]
) -> Tensor:
    """The shares of the rows or labels of a snapshot in samples that are matched with it.

    Arguments:
        rows: Samples at the time of the snapshot, float64, shape `(b, d)`.
        gained: Logarithms of their masses, shape `(1, b)`; `None` for equal ones.
        marginal: The snapshot.
        labels: The numbers of the labels that are counted, if it has labels.

    Returns:
        The shares, whose sum is one for each sample, shape `(b, m)`.
    """
    goal = marginal.take(torch.arange(len(marginal))).double()
    plan = torch.zeros(len(rows), len(goal), dtype=torch.float64)
    if len(rows):
        cost = torch.cdist(rows, goal).square().numpy()
        a = np.full(len(rows), 1 / len(rows)) if gained is None else gained[0].softmax(0).numpy()
        plan = torch.from_numpy(pot().emd(a, marginal.shares.numpy(), cost, numItermax=10**7))
        plan = plan / torch.from_numpy(a)[:, None]
    if marginal.labels is None:
        return plan
    return torch.stack([plan[:, marginal.labels == label].sum(1) for label in labels], 1)


def thinned(log_mass: Tensor, n: int, source: torch.Generator) -> Tensor:
    """`n` of some rows, each as often as its mass asks, by one random number.

    Arguments:
        log_mass: The logarithms of the masses, shape `(b,)`.
        n: Number of rows.
        source: Generator to draw with.
    """
    ends = log_mass.softmax(0).cumsum(0)
    at = (torch.arange(n) + torch.rand(1, generator=source)).double() / max(n, 1)
    return torch.searchsorted(ends, at, right=True).clamp_max(len(ends) - 1)
