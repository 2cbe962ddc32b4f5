"""Paths that bow towards the noise corner."""

from typing import Any

import torch
from torch import Tensor

from multisi.common import checks
from multisi.errors import ConfigError
from multisi.paths.polyline import Polyline


class Bow(Polyline):
    r"""A polyline, lifted towards the noise corner between its knots.

    $$\alpha(t) = \beta(t) + h(t)\,(e_0 - \beta(t)), \qquad h = d \sin^2(\pi u),$$

    where $\beta$ is the polyline, $u \in [0, 1]$ is the share of the current leg already passed
    and $d$ is the `depth`. The lift and its derivative vanish at the knots, so that $w_0 > 0$
    between them and $\sqrt{w_0}$ is smooth, as an SDE between data marginals requires.

    Arguments:
        points: Two or more points of the simplex, each of shape `(k,)`, or `(b, k)` for a path
            that differs from row to row; marginal 0 is the noise.
        depth: How far each leg is lifted halfway, as a share of the way to the noise corner, in
            (0, 1).

    Raises:
        ConfigError: `depth` is not a number in (0, 1), or `points` is not a list.
        SimplexError: there are fewer than two points, or a point is not on the simplex.
        ShapeError: the points differ in their number of coordinates or of rows.

    Examples:
        >>> Bow([torch.eye(3)[1], torch.eye(3)[2]])(torch.tensor(0.5))
        tensor([0.5000, 0.2500, 0.2500])
    """

    needs_noise = True

    def __init__(self, points: Any, depth: float = 0.5) -> None:
        self.depth = checks.number(depth, "depth", positive=True)
        if self.depth >= 1:
            raise ConfigError(f"depth must lie strictly between 0 and 1; got {depth}.")
        super().__init__(points)

    def __call__(self, t: Tensor) -> Tensor:
        """The lifted points at times `t`, shape `(..., [b,] k)`."""
        leg, share = self.locate(t)
        alpha = self.point(leg, share)
        lift = self.depth * torch.sin(torch.pi * share) ** 2
        lift = lift.reshape(lift.shape + (1,) * (alpha.ndim - lift.ndim))
        noise = torch.zeros_like(alpha)
        noise[..., 0] = 1.0
        return alpha + lift * (noise - alpha)
