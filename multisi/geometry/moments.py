r"""Moments of the conditional means: $G_{kl}(\alpha) = E[g_k \cdot g_l]$, in squared data units.

They are a metric on the simplex. A path $\alpha(t)$ has the mean squared speed
$\dot\alpha^\top G\, \dot\alpha$, whatever its direction, so that one table serves all paths.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.interpolate import RectBivariateSpline
from torch import Tensor
from torch.nn import functional

from multisi.common import devices
from multisi.common.derivatives import value_and_rate
from multisi.common.shapes import flat, flat_heads
from multisi.errors import ConfigError
from multisi.field.field import Field
from multisi.geometry.polar import Profile
from multisi.geometry.states import States
from multisi.interpolants import Interpolant
from multisi.paths import Learned, Path

_EDGE = 0.98
"""The largest weight of the third corner in a table; the corner itself has one ratio for all."""
_REFINED = 192
"""Points in each direction to which the spline through a table is refined."""
BLOCKS = 20
"""Blocks of rows, whose differences give the standard error."""


def gram(field: Field, states: States, alpha: Tensor, support: list[int]) -> Tensor:
    """The moments at a point, among the marginals of a face, float64 of shape `(s, s)`."""
    y, condition = states(alpha)
    with torch.no_grad():
        g = field.conditional_means(y, alpha.to(y)[None].expand(len(y), -1), condition)
    g = flat_heads(g)[:, support].double() * scale_of(field, g)
    return torch.einsum("bkd,bld->kl", g, g).cpu() / len(g)


def profile(
    field: Field,
    states: States,
    path: Path,
    interpolant: Interpolant | None = None,
    *,
    blocks: int = 1,
    count: int = 32,
) -> Profile:
    """The moments along a path by Gauss-Legendre quadrature on every leg, for each block of rows.

    Arguments:
        field: The field.
        states: Where states come from.
        path: The path.
        interpolant: The interpolant, whose sum of weights is the scale; `None` for one.
        blocks: Number of blocks of rows, the first axis of the moments.
        count: Number of nodes, shared among the legs.
    """

    def weights(t: Tensor) -> Tensor:
        alpha = path(t)
        w = alpha if interpolant is None else interpolant.weights(alpha)
        return w * path.scale(t)[..., None] if isinstance(path, Learned) else w

    times, shares = nodes(path.knots, count)
    w, w_rate = value_and_rate(weights, times)
    scale, growth = w.sum(-1), w_rate.sum(-1)
    alpha = w / scale[:, None]
    rate = (w_rate - growth[:, None] * alpha) / scale[:, None]
    found = [_at(field, states, a, v, blocks) for a, v in zip(alpha, rate, strict=True)]
    square, drift, speed = (torch.stack(part, -1) for part in zip(*found, strict=True))
    ends = path(torch.tensor([0.0, 1.0], dtype=torch.float64))
    start, stop = (_at(field, states, end, 0 * end, blocks)[0] for end in ends)
    return Profile(times, shares, scale, growth, square, drift, speed, start, stop)


def nodes(knots: tuple[float, ...], count: int = 24) -> tuple[Tensor, Tensor]:
    """Times and weights of the Gauss-Legendre rule on every leg, both of shape `(n,)`."""
    legs = list(itertools.pairwise(knots))
    rule = np.polynomial.legendre.leggauss(max(6, count // len(legs)))
    places, shares = (torch.from_numpy(part) for part in rule)
    times = torch.cat([a + (b - a) * (places + 1) / 2 for a, b in legs])
    return times, torch.cat([(b - a) * shares / 2 for a, b in legs])


def _at(
    field: Field, states: States, alpha: Tensor, rate: Tensor, blocks: int
) -> tuple[Tensor, Tensor, Tensor]:
    y, condition = states(alpha)
    with torch.no_grad():
        g = field.conditional_means(y, alpha.to(y)[None].expand(len(y), -1), condition)
    scale, g = scale_of(field, g), flat_heads(g).double()
    v = torch.einsum("k,bkd->bd", rate.to(g), g) * scale
    y = flat(y).double() * scale
    parts = [(y * y).sum(1), (y * v).sum(1), (v * v).sum(1)]
    return tuple(part.reshape(blocks, -1).mean(1).cpu() for part in parts)  # type: ignore[return-value]


def scale_of(field: Field, like: Tensor) -> Tensor:
    """Data units of each number of a flat sample, shape `(d,)` or `()`."""
    event = like.shape[2:] if like.ndim > 2 else like.shape[1:]
    scale = field.standardiser.scale.to(like.device).double()
    return scale.expand(event).reshape(-1) if scale.ndim else scale


class Table:
    r"""The moments on a face of two marginals and one more corner, by a spline through points.

    Arguments:
        field: The field.
        states: Where states come from.
        corners: The two marginals and the third corner, as indices.
        size: Number of grid points in each direction.

    Raises:
        ConfigError: the states do not fit in the memory of this machine.
    """

    def __init__(
        self, field: Field, states: States, corners: tuple[int, int, int], size: int = 16
    ) -> None:
        self.corners, marginals = corners, len(field.marginals)
        _check_memory(field, size)
        values = torch.zeros(9, size, size, dtype=torch.float64)
        for row, lift in enumerate(torch.linspace(0, _EDGE, size, dtype=torch.float64)):
            for column, place in enumerate(torch.linspace(0, 1, size, dtype=torch.float64)):
                share = torch.sin(torch.pi / 2 * place).square()
                alpha = torch.zeros(marginals, dtype=torch.float64)
                ends = (1 - lift) * (1 - share), (1 - lift) * share
                for k, weight in zip(corners, (*ends, lift), strict=True):
                    alpha[k] = weight
                values[:, row, column] = gram(field, states, alpha, list(corners)).reshape(9)
        self._values = _refined(values)

    def __call__(self, alpha: Tensor) -> Tensor:
        """The moments at points `(n, 3)` of the face, shape `(n, 3, 3)`, differentiable."""
        both = (alpha[:, 0] + alpha[:, 1]).clamp_min(1e-12)
        share = (alpha[:, 1] / both).clamp(1e-9, 1 - 1e-9)
        place = 2 / torch.pi * torch.asin(share.sqrt())
        at = torch.stack([2 * place - 1, 2 * alpha[:, 2] / _EDGE - 1], -1)[None, None]
        found = functional.grid_sample(
            self._values[None], at, mode="bicubic", padding_mode="border", align_corners=True
        )
        return found[0, :, 0].mT.reshape(-1, 3, 3)

    def metric(self, alpha: Tensor, rate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The moments $A$, $B$ and $C$ of a curve on the face."""
        g = self(alpha)
        left, right = (torch.einsum("nkl,nl->nk", g, part) for part in (alpha, rate))
        return (alpha * left).sum(1), (alpha * right).sum(1), (rate * right).sum(1)


def _refined(values: Tensor) -> Tensor:
    """A table on a grid so fine that convolutions between its points are exact enough."""
    places, fine = (np.linspace(0, 1, size) for size in (values.shape[1], _REFINED))
    splines = [RectBivariateSpline(places, places, part.numpy()) for part in values]
    return torch.from_numpy(np.stack([spline(fine, fine) for spline in splines]))


def of_draws(
    field: Field, xs: Tensor, condition: Tensor | None, used: list[int]
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
    """The moments of a curve from joint draws, differentiable through the field.

    Arguments:
        field: The field.
        xs: Joint draws in standardised units, shape `(b, k, *event)`.
        condition: Their conditions, shape `(b, c)`; `None` without any.
        used: Indices of the marginals on the curve.
    """

    def metric(alpha: Tensor, rate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        points = torch.zeros(len(alpha), xs.shape[1], dtype=alpha.dtype)
        points = points.index_copy(1, torch.tensor(used), alpha).to(xs)
        y = torch.einsum("nk,bk...->nb...", points, xs).flatten(0, 1)
        told = None if condition is None else condition.repeat(len(points), 1)
        g = field.conditional_means(y, points.repeat_interleave(len(xs), 0), told)
        scale, shape = scale_of(field, g), (len(points), len(xs))
        g = flat_heads(g)[:, used].double()
        v = (
            torch.einsum("nk,nbkd->nbd", rate.to(g.device), g.reshape(*shape, len(used), -1))
            * scale
        )
        y = flat(y).double().reshape(*shape, -1) * scale
        square, drift, speed = (part.sum(2).mean(1).cpu() for part in (y * y, y * v, v * v))
        return square, drift, speed

    return metric


def _check_memory(field: Field, size: int) -> None:
    """Refuse a table that is too large, before anything is computed for it."""
    needed, memory = 9 * 8 * size**2, devices.memory()
    if memory is not None and needed > memory // 2:
        raise ConfigError(
            f"A table of {size} x {size} points needs {needed / 2**30:.1f} GiB; this machine has "
            f"{memory / 2**30:.1f} GiB. Use a smaller grid, at most "
            f"{math.isqrt(memory // 2 // 72)}."
        )
