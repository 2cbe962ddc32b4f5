r"""Simplex coordinates along a path, under an interpolant."""

import torch
from torch import Tensor

from multisi.interpolants import Interpolant
from multisi.paths import Path

_ROUNDING = 1e-9


def points_of(path: Path, t: Tensor) -> Tensor:
    """Points of the path at times `t`, float64, with negative rounding errors set to zero."""
    alpha = path(t.to(torch.float64)).to(torch.float64)
    return torch.where((alpha >= 0) | (alpha < -_ROUNDING), alpha, 0.0)


def coordinates(path: Path, interpolant: Interpolant, t: Tensor) -> Tensor:
    r"""Coordinates $w / \sum_k w_k$ of the state at times `t`, shape `(..., [b,] k)`."""
    weights = interpolant.weights(points_of(path, t))
    return weights / weights.sum(-1, keepdim=True)


def edge_weights(interpolant: Interpolant, marginals: int, i: int, j: int, t: Tensor) -> Tensor:
    """Weights of an interpolant along an edge of the simplex."""
    e = torch.eye(marginals, dtype=torch.float64)
    return interpolant.weights(torch.lerp(e[i], e[j], t[..., None]))
