"""The linear assignment problem."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

_COOLING = ((0.1, 3), (0.03, 3))
"""Temperatures, as shares of the mean cost, and rounds at each."""
_TINY = 1e-30


def assign(cost: Tensor) -> Tensor:
    r"""The permutation $\sigma$ of least $\sum_i c_{i \sigma(i)}$, exactly, shape `(n,)`.

    With more columns than rows each row has a column of its own, and some columns none.

    Subtracting a constant from a row or column of the costs does not change the solution. Here
    the potentials of a few rounds of Sinkhorn's algorithm are subtracted, which shortens the
    search: it takes half the time or less. More rounds would take longer than they save.

    Arguments:
        cost: The costs, shape `(n, m)` with $m \ge n$, finite.

    Examples:
        >>> assign(torch.tensor([[1.0, 9.0, 5.0], [2.0, 1.0, 9.0], [9.0, 3.0, 1.0]]))
        tensor([0, 1, 2])
    """
    reduced = cost.double().numpy()
    if len(reduced) < reduced.shape[1] or not reduced.size:
        return torch.from_numpy(linear_sum_assignment(reduced)[1])
    reduced = reduced - reduced.min(1, keepdims=True)
    reduced -= reduced.min(0)
    mean = reduced.mean()
    for share, rounds in _COOLING if mean > 0 else ():
        kernel = np.exp((reduced * (-1 / (share * mean))).astype(np.float32))
        b = np.ones(len(kernel), np.float32)
        for _ in range(rounds):
            a = 1 / np.maximum(kernel @ b, _TINY)
            b = 1 / np.maximum(a @ kernel, _TINY)
        reduced -= share * mean * (np.log(a)[:, None] + np.log(b))
    return torch.from_numpy(linear_sum_assignment(reduced)[1])
