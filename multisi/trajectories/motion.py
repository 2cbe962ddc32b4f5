"""Motion: states along the curves of a model, and what their masses gain."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi import noise as noises
from multisi.common import checks
from multisi.errors import ScoreError
from multisi.model import Model
from multisi.trajectories.curves import Curve
from multisi.trajectories.growth import Growth

BOW, NOISE = 0.5, "noise"
"""The largest weight of the noise on the paths of SDEs, and the name of its marginal."""
_ROUNDING = 1e-6
"""What a number of steps may be above an integer by rounding."""


def states_at(
    model: Model,
    known: Sequence[float],
    x: Tensor,
    begin: float,
    wanted: Sequence[float],
    growth: Growth | None,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """The states of samples at times on both sides of theirs.

    Arguments:
        model: The field.
        known: The times of the snapshots.
        x: Samples, shape `(b, d)`.
        begin: Their time.
        wanted: The times, in any order.
        growth: The rate of growth; `None` without.
        options: As for `moved`.

    Returns:
        States, shape `(n, b, d)`, and the logarithms of what masses gain, shape `(n, b)`.
    """
    states = x.expand(len(wanted), *x.shape).clone()
    gained = torch.zeros(len(wanted), len(x), dtype=torch.float64)
    for sign in (1, -1):
        later = sorted({t for t in wanted if sign * (t - begin) > 0}, key=lambda t: sign * t)
        if not later:
            continue
        way, at = moved(model, known, x, [begin, *later], **options)
        chosen = [i for i, t in enumerate(wanted) if t in later]
        places = [int((at - wanted[i]).abs().argmin()) for i in chosen]
        states[chosen] = way[places]
        if growth is not None:
            gained[chosen] = gains_along(growth, way, at.tolist())[places]
    return states, gained


def moved(
    model: Model,
    known: Sequence[float],
    x: Tensor,
    times: Sequence[float],
    *,
    noise: Any,
    steps: int,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """The way of samples through times on one side of the first.

    Arguments:
        model: The field.
        known: The times of the snapshots.
        x: Samples at the first time, shape `(b, d)`.
        times: The first time and others, in the order in which they are met.
        noise: As for `Model.transport`.
        steps: Solver steps between two snapshots.
        options: Further options of `Model.transport`.

    Returns:
        States, shape `(n, b, d)`, and their times, shape `(n,)`.

    Raises:
        ScoreError: there is noise, and the score was not learned.
        MultisiError: as for `Model.transport`.
    """
    noisy = not noises.is_zero(noise)
    if noisy and model.noise is None:
        raise ScoreError("noise > 0 needs the score: fit the trajectory with score=True.")
    start, end = times[0], times[-1]
    path = curve(model, known, start, end, noisy)
    inside = sorted({*((t - start) / (end - start) for t in times[1:]), *path.knots})
    usual = np.diff(known).min() / abs(end - start)
    grid = _grid(inside, usual / checks.integer(steps, "steps"), steps)
    points = path(torch.tensor([0.0, 1.0], dtype=torch.float64))
    states = model.transport(
        x, *points, path=path, grid=grid, noise=noise, return_path=True, **options
    )
    return states, start + (end - start) * grid


def _grid(inside: Sequence[float], step: float, most: int) -> Tensor:
    """Times from 0 to 1 through those inside, with steps that are at most so long."""
    parts = []
    for a, b in itertools.pairwise(inside):
        count = math.ceil(min(float(most), (b - a) / step) - _ROUNDING)
        parts.append(torch.linspace(a, b, 1 + max(2, count), dtype=torch.float64)[:-1])
    return torch.cat([*parts, torch.ones(1, dtype=torch.float64)])


def curve(
    model: Model, known: Sequence[float], start: float, end: float, noisy: bool = False
) -> Curve:
    """The path of a model from time to time."""
    if model.noise is None:
        return Curve(known, start, end)
    return Curve(known, start, end, BOW if noisy else 0.0)


def gains_along(growth: Growth, way: Tensor, times: Sequence[float]) -> Tensor:
    """The logarithm of the factor by which masses grow up to each time of a way, `(n, b)`."""
    rates = torch.stack([growth.shape(x.cpu(), t) for x, t in zip(way, times, strict=True)])
    widths = torch.tensor(times, dtype=torch.float64).diff()[:, None]
    parts = (rates[1:] + rates[:-1]) / 2 * widths
    base = torch.tensor([growth.between(times[0], t) for t in times], dtype=torch.float64)
    return torch.cat([torch.zeros_like(rates[:1]), parts.cumsum(0)]) + base[:, None]


def sides(known: Sequence[float], at: float) -> list[tuple[int, float]]:
    """The places of the snapshots around a time, with shares by how near they are."""
    k = min(int(np.searchsorted(known, at, side="right")) - 1, len(known) - 2)
    share = (at - known[k]) / (known[k + 1] - known[k])
    return [(place, part) for place, part in ((k, 1 - share), (k + 1, share)) if part]
