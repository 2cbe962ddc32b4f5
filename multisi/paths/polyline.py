"""Straight and piecewise-straight paths."""

from collections.abc import Sequence

import torch
from torch import Tensor

from multisi.errors import SimplexError
from multisi.paths.base import Path


class Polyline(Path):
    r"""Through the given points, straight in between, at constant speed.

    Arguments:
        points: Two or more points of the simplex, each of shape `(k,)`, or `(b, k)` for a path
            that differs from row to row; then every leg takes the same time.

    Raises:
        SimplexError: fewer than two points.

    Example:
        >>> path = Polyline([torch.eye(3)[0], torch.eye(3)[2], torch.eye(3)[1]])
        >>> path(torch.tensor(0.25))
        tensor([0.5000, 0.0000, 0.5000])
    """

    def __init__(self, points: Sequence[Tensor]) -> None:
        if len(points) < 2:
            raise SimplexError(f"A path joins at least 2 points; got {len(points)}.")
        rows = max(points, key=lambda point: point.ndim)
        self.points = torch.stack([point.expand(rows.shape) for point in points])
        lengths = torch.ones(len(points) - 1, dtype=torch.float64)
        if self.points.ndim == 2:
            lengths = self.points.diff(dim=0).norm(dim=-1).to(torch.float64)
        if not (lengths > 0).all():
            lengths = torch.ones_like(lengths)
        times = torch.cumsum(lengths, 0) / lengths.sum()
        self.knots = (0.0, *times[:-1].tolist(), 1.0)
        self._knots = torch.tensor(self.knots, dtype=torch.float64)

    def locate(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """The leg that each time falls in, and the share of that leg that has passed."""
        knots = self._knots.to(t.dtype)
        leg = torch.searchsorted(knots[1:-1].contiguous(), t.detach().contiguous(), right=True)
        return leg, (t - knots[leg]) / (knots[leg + 1] - knots[leg])

    def __call__(self, t: Tensor) -> Tensor:
        """The point on the leg that `t` falls in, shape `(..., [b,] k)`."""
        return self.point(*self.locate(t))

    def point(self, leg: Tensor, share: Tensor) -> Tensor:
        """The point of a leg at a share of it, shape `(..., [b,] k)`."""
        share = share.reshape(share.shape + (1,) * (self.points.ndim - 1))
        points = self.points.to(share.dtype)
        return torch.lerp(points[leg], points[leg + 1], share)


class Segment(Polyline):
    r"""Straight between two points, at constant speed.

    $\alpha(t) = (1 - t)\, \alpha(0) + t\, \alpha(1)$.

    Arguments:
        points: The two ends, each of shape `(k,)`, or `(b, k)` for a path that differs from row
            to row.

    Raises:
        SimplexError: not exactly two points.

    Example:
        >>> Segment([torch.eye(2)[0], torch.eye(2)[1]])(torch.tensor(0.25))
        tensor([0.7500, 0.2500])
    """

    def __init__(self, points: Sequence[Tensor]) -> None:
        if len(points) != 2:
            raise SimplexError(
                f"A segment joins exactly 2 points; got {len(points)}. Use a polyline for more."
            )
        super().__init__(points)
