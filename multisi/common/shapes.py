"""Reshaping for events with any number of axes."""

from einops import rearrange
from torch import Tensor


def flat(x: Tensor) -> Tensor:
    """Samples `(b, *event)` as vectors, shape `(b, d)`, also for `b = 0`.

    Examples:
        >>> import torch
        >>> flat(torch.zeros(0, 3, 4)).shape
        torch.Size([0, 12])
    """
    return rearrange(x, "b ... -> b (...)")


def flat_heads(heads: Tensor) -> Tensor:
    """Heads or joint draws `(b, k, *event)` as vectors, shape `(b, k, d)`."""
    return rearrange(heads, "b k ... -> b k (...)")


def leading(values: Tensor, like: Tensor) -> Tensor:
    """Values for the first axes of `like`, with axes of length one for its other axes.

    Examples:
        >>> import torch
        >>> leading(torch.ones(5), torch.ones(5, 3, 8, 8)).shape
        torch.Size([5, 1, 1, 1])
    """
    ones = " 1" * (like.ndim - values.ndim)
    return rearrange(values, f"... -> ...{ones}")
