"""The clock and the scale at which a path costs least, in closed form."""

import torch
from torch import Tensor

from multisi.geometry.polar import Profile, angular, scales
from multisi.paths import Learned, Path, Timed

_TURN = 0.05
"""An angle that is added to that of a path, by the root of squares. Where a path hardly turns, its
angle is that of sampling errors, and must not decide where it is fast."""


def straightened(path: Learned, profile: Profile, scaled: bool = True) -> Learned:
    """The same curve at constant speed, and at the best scale.

    Arguments:
        path: A curve.
        profile: Its moments, with its own clock.
        scaled: Whether the scale is the best one, or 1.
    """
    if scaled:
        rate = angular(profile.square, profile.drift, profile.speed)
        theta = _passed(profile, (rate.square() + _TURN**2).sqrt())
        radius = scales(profile.start, profile.stop, theta)
        at = torch.stack([radius * theta.cos(), radius * theta.sin()], 1)
        square = torch.cat([profile.start[None], profile.square, profile.stop[None]])
        clock = _clock(profile, (at - at[0]).norm(dim=1), radius / square.clamp_min(1e-24).sqrt())
    else:
        clock = _clock(profile, _speed(profile))
    clock[1] = path.place(clock[1])
    return Learned(path.points, path.corners, path.coefficients, path.form, clock)


def even(path: Learned) -> Learned:
    r"""The same curve, at constant speed of $\alpha$ itself: where it jumps there are nodes.

    Arguments:
        path: A curve with the clock $t$.
    """
    fine = torch.linspace(0, torch.pi, 4097, dtype=torch.float64)
    tau = (1 - fine.cos()) / 2
    way = torch.cat([torch.zeros(1), torch.cumsum(path(tau).diff(dim=0).norm(dim=1), 0)]).double()
    way = (way / way[-1] + 0.05 * tau) / 1.05
    kept = torch.searchsorted(way, torch.linspace(0, 1, 513, dtype=torch.float64))
    kept = torch.unique(kept.clamp(max=len(tau) - 1))
    clock = torch.stack([way[kept], tau[kept], torch.ones(len(kept), dtype=torch.float64)])
    return Learned(path.points, path.corners, path.coefficients, path.form, clock)


def constant_speed(path: Path, profile: Profile) -> Timed:
    """The same path at constant speed.

    Arguments:
        path: The path.
        profile: Its moments.
    """
    return Timed(path, _clock(profile, _speed(profile))[:2])


def _speed(profile: Profile) -> Tensor:
    """The length up to the start, each node and the end."""
    return _passed(profile, profile.rate().clamp_min(0).sqrt())


def _passed(profile: Profile, rate: Tensor) -> Tensor:
    """The integral of a rate up to the start, each node and the end, shape `(n + 2,)`."""
    each = rate * profile.shares
    whole = each.sum()[None]
    return torch.cat([0 * whole, torch.cumsum(each, 0) - each / 2, whole])


def _clock(profile: Profile, way: Tensor, scale: Tensor | None = None) -> Tensor:
    """Times, places and scales at the nodes: times are shares of the way, which increase."""
    places = torch.cat([torch.zeros(1), profile.times, torch.ones(1)]).double()
    way = torch.cummax(way / way[-1].clamp_min(1e-12), 0).values + 1e-9 * places
    times = (way - way[0]) / (way[-1] - way[0])
    scale = torch.ones_like(times) if scale is None else scale
    scale = torch.cat([torch.ones(1), scale[1:-1], torch.ones(1)]).double()
    return torch.stack([times, places, scale])
