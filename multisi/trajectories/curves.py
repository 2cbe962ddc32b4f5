r"""Curves through snapshots as paths on a simplex: Bézier curves.

Between two times a cubic curve is a convex combination, with the Bernstein polynomials
$(1 - s)^3,\ 3s(1 - s)^2,\ 3s^2(1 - s),\ s^3$ as weights, of the rows at both times and two control
points. So a smooth curve through rows of all snapshots is a path on the simplex whose corners are
the snapshots and the control points, although its weights on the rows alone may be negative.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from multisi.paths import Path


def slope_weights(times: Sequence[float]) -> Tensor:
    """The weights of the rows of all times in the slopes of a natural cubic spline, `(k, k)`.

    Arguments:
        times: The times of the snapshots.
    """
    t, eye = np.asarray(times, np.float64), np.eye(len(times))
    if len(t) == 2:
        return torch.from_numpy((eye[[1, 1]] - eye[[0, 0]]) / np.diff(t))
    return torch.from_numpy(CubicSpline(t, eye, bc_type="natural").derivative()(t))


def spread_at(share: Tensor) -> Tensor:
    """The variance at a share of the way if both control points have independent noise of one."""
    return 9 * (share * (1 - share)).square() * ((1 - share).square() + share.square())


class Curve(Path):
    """The path through snapshots from one time to another.

    The corners are the snapshots, in order, and then two control points for each two neighbours.

    Arguments:
        times: The times of the snapshots.
        start: The time at which the path begins.
        end: The time at which it ends, which may be the earlier one.
        bow: `None` without a noise marginal; else the largest weight of the noise, which comes
            first, between two snapshots.
    """

    def __init__(
        self, times: Sequence[float], start: float, end: float, bow: float | None = None
    ) -> None:
        self.times, self.start, self.end, self.bow = tuple(times), start, end, bow
        self.needs_noise = bow is not None
        inside = [t for t in times if min(start, end) < t < max(start, end)]
        places = sorted((t - start) / (end - start) for t in inside) if end != start else []
        self.knots = (0.0, *places, 1.0)

    def __call__(self, t: Tensor) -> Tensor:
        """The points at times `t` in [0, 1], shape `(..., k)`."""
        at = self.start + (self.end - self.start) * t
        known = torch.tensor(self.times, dtype=torch.float64)
        k = (torch.searchsorted(known, at.detach().double(), right=True) - 1).clamp(
            0, len(known) - 2
        )
        s = ((at - known[k]) / (known[k + 1] - known[k])).clamp(0, 1)
        size = len(known)
        places = torch.stack([k, size + 2 * k, size + 2 * k + 1, k + 1], -1)
        values = torch.stack([(1 - s) ** 3, 3 * s * (1 - s) ** 2, 3 * s**2 * (1 - s), s**3], -1)
        every = torch.arange(3 * size - 2)
        found = ((places[..., None] == every) * values[..., None]).sum(-2)
        if self.bow is None:
            return found
        noise = self.bow * torch.sin(math.pi * s)[..., None] ** 2
        return torch.cat([noise, (1 - noise) * found], -1)
