"""Paths with another clock."""

from typing import Any

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from multisi.common import checks
from multisi.errors import ConfigError
from multisi.paths.base import Path


class Timed(Path):
    r"""A path at another speed: $\alpha(\tau(t))$.

    The flow ends where it would; what changes are the times on the way, and the cost.

    Arguments:
        path: The path.
        clock: Times $t$ and values of $\tau$ at them, both increasing from 0 to 1, shape `(2, n)`;
            monotone and cubic between.

    Raises:
        ConfigError: `path` is not a `Path`, or `clock` does not increase from 0 to 1.

    Examples:
        >>> from multisi.paths import Segment
        >>> times = torch.linspace(0, 1, 101)
        >>> late = Timed(Segment(torch.eye(2)), torch.stack([times, times**2]))
        >>> late(torch.tensor(0.5))
        tensor([0.7500, 0.2500])
    """

    def __init__(self, path: Path, clock: Any) -> None:
        self.path = checks.instance(path, Path, "path")
        self.needs_noise = path.needs_noise
        self.clock = checked_clock(clock, 2)
        self._place = Cubic(*self.clock)
        times = np.linspace(0, 1, 4097)
        places = self._place(torch.from_numpy(times)).numpy()
        inner = np.interp(path.knots[1:-1], places, times).tolist()
        self.knots = (0.0, *inner, 1.0)

    def __call__(self, t: Tensor) -> Tensor:
        """The points at times `t`, shape `(..., [b,] k)`."""
        return self.path(self._place(t))


def checked_clock(clock: Any, rows: int) -> Tensor:
    """The rows of a clock, float64: times, places, and perhaps scales.

    Raises:
        ConfigError: times or places do not increase from 0 to 1, or scales are not positive or
            not 1 at the ends.
    """
    given = torch.as_tensor(clock, dtype=torch.float64, device="cpu").clone()
    ends = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)[:rows]
    good = given.ndim == 2 and len(given) == rows and given.shape[1] > 1
    good = good and bool((given[:2].diff() > 0).all()) and bool((given[2:] > 0).all())
    if not good or not bool(((given[:, [0, -1]] - ends).abs() < 1e-6).all()):
        what = ("times", "places", "scales")[:rows]
        raise ConfigError(
            f"A clock must have rows of {' and '.join(what)} of two columns or more: times and "
            "places increase from 0 to 1, scales are positive, and 1 at both ends; got shape "
            f"{tuple(given.shape)}."
        )
    given[:, [0, -1]] = ends
    return given


class Cubic:
    """The cubic through values at given times that is monotone wherever they are.

    Arguments:
        times: Times that increase from 0 to 1, shape `(n,)`.
        values: Values at these times, shape `(n,)`.
    """

    def __init__(self, times: Tensor, values: Tensor) -> None:
        slopes = PchipInterpolator(times.numpy(), values.numpy()).derivative()(times.numpy())
        self.times, self.values, self.slopes = times, values, torch.as_tensor(slopes)

    def __call__(self, t: Tensor) -> Tensor:
        """The values at times `t`, shape `(...)`."""
        at = t.detach().to("cpu", torch.float64).contiguous()
        cell = torch.searchsorted(self.times[1:-1].contiguous(), at, right=True)
        times, values, slopes = (x.to(t) for x in (self.times, self.values, self.slopes))
        cell = cell.to(t.device)
        width = times[cell + 1] - times[cell]
        s, start, rise = (t - times[cell]) / width, values[cell], values[cell + 1] - values[cell]
        first, last = slopes[cell] * width, slopes[cell + 1] * width
        bend = 3 * rise - 2 * first - last
        return start + s * (first + s * (bend + s * (first + last - 2 * rise)))
