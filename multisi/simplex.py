r"""Points of the simplex $\{\alpha \ge 0, \sum_k \alpha_k = 1\}$, whose corners are the marginals.

Points are plain tensors whose last axis runs over the marginals.
"""

from typing import Any

import torch
from torch import Tensor

from multisi.common import arrays, checks
from multisi.errors import DataError, SimplexError

TOLERANCE = 1e-3
_ROUNDING = 1e-6


def corner(index: int, marginals: int, dtype: torch.dtype = torch.float64) -> Tensor:
    r"""The corner $e_i$, which stands for the marginal `index` itself.

    Arguments:
        index: Index of the marginal, from 0.
        marginals: Number of marginals.
        dtype: Type of the point.

    Returns:
        The point, shape `(k,)`.

    Raises:
        ConfigError: `index` is not an integer of at least 0, or `marginals` not a positive one.
        SimplexError: `index` is not below `marginals`.

    Examples:
        >>> corner(1, 3)
        tensor([0., 1., 0.], dtype=torch.float64)
    """
    marginals = checks.integer(marginals, "marginals")
    if checks.integer(index, "index", least=0) >= marginals:
        raise SimplexError(
            f"index must be below {marginals}, the number of marginals; got {index}."
        )
    return torch.eye(marginals, dtype=dtype, device="cpu")[index]


def barycenter(marginals: int, noise: bool = False) -> Tensor:
    r"""The uniform mixture of the marginals.

    Arguments:
        marginals: Number of marginals.
        noise: Whether marginal 0 is the noise, which is then left out.

    Returns:
        The point, shape `(k,)`.

    Raises:
        ConfigError: `marginals` is not an integer, or is below 1, or below 2 with `noise`.

    Examples:
        >>> barycenter(3, noise=True)
        tensor([0.0000, 0.5000, 0.5000], dtype=torch.float64)
    """
    least = 2 if noise else 1
    count = checks.integer(marginals, "marginals", least)
    alpha = torch.ones(count, dtype=torch.float64, device="cpu")
    alpha[0] = 0.0 if noise else 1.0
    return alpha / alpha.sum()


def check(alpha: Any, marginals: int | None, what: str = "alpha") -> Tensor:
    """Check that `alpha` is on the simplex.

    Sums within 1e-3 of one and coordinates above -1e-6 are accepted as rounding and corrected.

    Arguments:
        alpha: Points, shape `(..., k)`.
        marginals: Number of marginals; `None` accepts any number.
        what: Name of the points in error messages.

    Returns:
        The points in float64, shape `(..., k)`.

    Raises:
        SimplexError: `alpha` is not an array of numbers, has a wrong number of coordinates, or
            coordinates that are negative or not finite, or does not sum to one.

    Examples:
        >>> check([1, 0], 2)
        tensor([1., 0.], dtype=torch.float64)
    """
    alpha = _numbers(alpha, what)
    if alpha.ndim == 0 or marginals not in (None, alpha.shape[-1]):
        count = "an axis of" if marginals is None else marginals
        raise SimplexError(
            f"{what} must have {count} coordinates, one per marginal; "
            f"got shape {tuple(alpha.shape)}."
        )
    if not torch.isfinite(alpha).all():
        raise SimplexError(f"{what} must be finite; got {_first_bad(alpha)}.")
    if (alpha < -_ROUNDING).any():
        raise SimplexError(
            f"{what} must not be negative; got {_first_bad(alpha)}. "
            "Points outside the simplex have no marginal law."
        )
    alpha = alpha.clamp_min(0)
    total = alpha.sum(-1, keepdim=True)
    if ((total - 1).abs() > TOLERANCE).any():
        worst = total.flatten()[(total - 1).abs().argmax()].item()
        raise SimplexError(
            f"{what} must sum to 1; got a sum of {worst:.6g}. Divide it by its sum."
        )
    result: Tensor = alpha / total
    return result


def _numbers(alpha: Any, what: str) -> Tensor:
    try:
        return arrays.dense(alpha, what).to(torch.float64)
    except DataError as error:
        raise SimplexError(str(error)) from None


def _first_bad(alpha: Tensor) -> list[float]:
    rows = alpha.reshape(-1, alpha.shape[-1])
    bad = ~torch.isfinite(rows).all(-1) | (rows < -_ROUNDING).any(-1)
    row: list[float] = rows[bad][0].tolist()
    return row
