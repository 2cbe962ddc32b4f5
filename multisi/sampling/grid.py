"""The grid of times for a solver."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi.dynamics import Dynamics
from multisi.errors import ConfigError

MOST_STEPS = 10**6
"""The most steps allowed; tables for more of them would fill the memory."""


def time_grid(dynamics: Dynamics, steps: int, spread: float = 0.0) -> Tensor:
    r"""`steps + 1` times from 0 to 1, evenly spaced in the arc length of the coordinates.

    The knots are among them, and the legs have steps in proportion to their lengths. With a
    `spread` $c$ the steps are concentrated at the ends of each leg, at
    $u - c \sin(2 \pi u) / 2\pi$ for even $u$.

    Raises:
        ConfigError: there are fewer steps than legs, or more than `MOST_STEPS`.
    """
    knots, corners = torch.tensor(dynamics.knots, dtype=torch.float64), dynamics.arc.corners
    legs = len(knots) - 1
    if steps < legs:
        raise ConfigError(f"A path of {legs} legs needs at least {legs} steps; got {steps}.")
    if steps > MOST_STEPS:
        raise ConfigError(f"steps must be at most {MOST_STEPS:,}; got {steps:,}.")
    counts = _share_out(steps, corners.diff())
    places = [corners[:1]]
    for leg, count in enumerate(counts):
        u = torch.linspace(0, 1, count + 1, dtype=torch.float64)[1:]
        u = u - spread * torch.sin(2 * torch.pi * u) / (2 * torch.pi)
        places.append(torch.lerp(corners[leg], corners[leg + 1], u))
    times = dynamics.arc.time(torch.cat(places))
    times[[0, *torch.tensor(counts).cumsum(0).tolist()]] = knots
    return times


def checked_grid(grid: Any) -> Tensor:
    """The times of a user's grid, float64.

    Raises:
        ConfigError: the times are not finite, do not increase, or do not go from 0 to 1.
    """
    try:
        given = grid if isinstance(grid, Tensor) else np.array(grid, np.float64)
        times = torch.as_tensor(given, dtype=torch.float64).cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"grid must be a list of times: {error}.") from None
    if times.ndim != 1 or len(times) < 2:
        raise ConfigError(
            f"grid must be a list of at least 2 times; got shape {tuple(times.shape)}."
        )
    if not torch.isfinite(times).all():
        raise ConfigError("grid must be finite; it has NaN or infinity.")
    if not (times.diff() > 0).all():
        place = int((times.diff() <= 0).nonzero()[0])
        raise ConfigError(
            f"grid must increase from time to time; got {times[place].item():.6g} before "
            f"{times[place + 1].item():.6g}."
        )
    if times[0] != 0 or times[-1] != 1:
        raise ConfigError(
            f"grid must go from 0, the source, to 1, the target; got {times[0].item():.6g} to "
            f"{times[-1].item():.6g}."
        )
    return times


def with_knots(times: Tensor, knots: Sequence[float]) -> tuple[Tensor, Tensor]:
    """A grid with the knots of the path added, and the indices of the given times in it."""
    times = times.clone()
    for knot in knots:
        nearest = int((times - knot).abs().argmin())
        if abs(times[nearest].item() - knot) < 1e-9:
            times[nearest] = knot
    every = torch.tensor(sorted({*times.tolist(), *knots}), dtype=times.dtype)
    return every, torch.searchsorted(every, times)


def _share_out(steps: int, lengths: Tensor) -> list[int]:
    """Integers of at least one with sum `steps`, nearly proportional to `lengths`."""
    wanted = lengths / lengths.sum() * steps
    counts = wanted.floor().clamp_min(1).to(torch.int64)
    while (rest := steps - int(counts.sum())) != 0:
        gap = wanted - counts
        if rest > 0:
            counts[gap.argmax()] += 1
        else:
            gap[counts <= 1] = torch.inf
            counts[gap.argmin()] -= 1
    return [int(count) for count in counts]
