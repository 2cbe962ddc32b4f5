"""Straight and piecewise-straight paths."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi import simplex
from multisi.common import checks
from multisi.errors import ShapeError, SimplexError
from multisi.paths.base import Path


class Polyline(Path):
    r"""A path through the given points, straight between them, at constant speed.

    Arguments:
        points: Two or more points of the simplex, each of shape `(k,)`, or `(b, k)` for a path
            that differs from row to row; then every leg takes the same time.

    Raises:
        ConfigError: `points` is not a list.
        SimplexError: there are fewer than two points, or a point is not on the simplex.
        ShapeError: the points differ in their number of coordinates or of rows.

    Examples:
        >>> path = Polyline([torch.eye(3)[0], torch.eye(3)[2], torch.eye(3)[1]])
        >>> path(torch.tensor(0.25))
        tensor([0.5000, 0.0000, 0.5000])
    """

    def __init__(self, points: Any) -> None:
        stacked = isinstance(points, Tensor | np.ndarray) and points.ndim > 1
        given = list(points) if stacked else checks.several(points, "points")
        if len(given) < 2:
            raise SimplexError(f"A path needs at least 2 points; got {len(given)}.")
        on = [simplex.check(p, None, f"points[{i}]") for i, p in enumerate(given)]
        rows = max(on, key=lambda point: point.ndim)
        if rows.ndim > 2 or any(p.shape not in (rows.shape, rows.shape[-1:]) for p in on):
            raise ShapeError(
                "Points of a path must have shape (k,), or (b, k) for b rows, with the same k and "
                f"b; got {[tuple(point.shape) for point in on]}."
            )
        self.points = torch.stack([point.expand(rows.shape) for point in on])
        lengths = torch.ones(len(given) - 1, dtype=torch.float64, device="cpu")
        if self.points.ndim == 2:
            lengths = self.points.diff(dim=0).norm(dim=-1).to(torch.float64)
        if not (lengths > 0).all():
            lengths = torch.ones_like(lengths)
        times = torch.cumsum(lengths, 0) / lengths.sum()
        self.knots = (0.0, *times[:-1].tolist(), 1.0)
        self._knots = torch.tensor(self.knots, dtype=torch.float64, device="cpu")

    def locate(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The leg in which each time lies, and the share of that leg already passed."""
        knots = self._knots.to(t.dtype)
        leg = torch.searchsorted(knots[1:-1].contiguous(), t.detach().contiguous(), right=True)
        return leg, (t - knots[leg]) / (knots[leg + 1] - knots[leg])

    def __call__(self, t: Tensor) -> Tensor:
        """The points at times `t`, shape `(..., [b,] k)`."""
        return self.point(*self.locate(t))

    def point(self, leg: Tensor, share: Tensor) -> Tensor:
        """The points at the given shares of legs, shape `(..., [b,] k)`."""
        share = share.reshape(share.shape + (1,) * (self.points.ndim - 1))
        points = self.points.to(share.dtype)
        return torch.lerp(points[leg], points[leg + 1], share)


class Segment(Polyline):
    r"""The straight path between two points, at constant speed.

    $\alpha(t) = (1 - t)\, \alpha(0) + t\, \alpha(1)$.

    Arguments:
        points: The two ends, each of shape `(k,)`, or `(b, k)` for a path that differs from row
            to row.

    Raises:
        ConfigError: `points` is not a list.
        SimplexError: there are not exactly two points, or a point is not on the simplex.
        ShapeError: the points differ in their number of coordinates or of rows.

    Examples:
        >>> Segment([torch.eye(2)[0], torch.eye(2)[1]])(torch.tensor(0.25))
        tensor([0.7500, 0.2500])
    """

    def __init__(self, points: Any) -> None:
        super().__init__(points)
        if len(self.points) != 2:
            raise SimplexError(
                f"A segment joins exactly 2 points; got {len(self.points)}. "
                "Use a polyline for more."
            )
