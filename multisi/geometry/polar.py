r"""The best scale of a path, in closed form.

A state $x = s\,y$ with $y$ on the simplex and a scale $s(t)$ has the mean squared speed

$$E|\dot x|^2 = \dot s^2 A + 2 \dot s s B + s^2 C, \qquad
A = E|y|^2, \quad B = E[y \cdot \dot y], \quad C = E|\dot y|^2 .$$

With the radius $r = s \sqrt A$ and the angle $\dot\theta^2 = C / A - B^2 / A^2$ this is
$\dot r^2 + r^2 \dot\theta^2$, since $\dot A = 2 B$: a curve in the plane in polar coordinates. The
scale is free between the ends, so the best one is the straight line between them, and the least
cost its squared length,

$$r_0^2 + r_1^2 - 2 r_0 r_1 \cos \min(\Theta, \pi), \qquad \Theta = \int \dot\theta\, dt .$$
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Profile(NamedTuple):
    r"""The moments of a path at quadrature nodes, and at its ends.

    Arguments:
        times: The nodes, shape `(n,)`.
        shares: Their quadrature weights, shape `(n,)`.
        scale: $s$ at the nodes, shape `(n,)`.
        growth: $\dot s$.
        square: $A$ at the nodes, shape `(..., n)`, in squared data units.
        drift: $B$.
        speed: $C$.
        start: $A$ at the start, shape `(...)`.
        stop: $A$ at the end.
    """

    times: Tensor
    shares: Tensor
    scale: Tensor
    growth: Tensor
    square: Tensor
    drift: Tensor
    speed: Tensor
    start: Tensor
    stop: Tensor

    def over(self, blocks: Tensor | slice = slice(None)) -> "Profile":
        """The means over some blocks of rows, by default all."""
        means = [part[blocks].mean(0) for part in self[4:]]
        return Profile(*self[:4], *means)

    def rate(self) -> Tensor:
        r"""$E|\dot x|^2$ at the nodes, shape `(..., n)`."""
        s, grown = self.scale, self.growth
        return grown**2 * self.square + 2 * s * grown * self.drift + s**2 * self.speed

    def energy(self) -> Tensor:
        r"""$\int E|\dot x|^2\, dt$, the cost at the speed and the scale of the path."""
        return (self.rate() * self.shares).sum(-1)

    def length(self) -> Tensor:
        r"""$\int \sqrt{E|\dot x|^2}\, dt$, the root of the cost at constant speed."""
        return (self.rate().clamp_min(0).sqrt() * self.shares).sum(-1)

    def angle(self) -> Tensor:
        r"""$\Theta = \int \dot\theta\, dt$."""
        return (angular(self.square, self.drift, self.speed) * self.shares).sum(-1)

    def least(self) -> Tensor:
        """The cost with the best scale at constant speed."""
        angle = self.angle().clamp(max=torch.pi)
        cross = 2 * (self.start * self.stop).sqrt() * angle.cos()
        return self.start + self.stop - cross


def angular(square: Tensor, drift: Tensor, speed: Tensor) -> Tensor:
    r"""$\dot\theta = \sqrt{C / A - B^2 / A^2}$, shape of the arguments."""
    square = square.clamp_min(1e-24)  # A single point at the mean of the data has no angle.
    rate = speed / square - (drift / square).square()
    return rate.clamp_min(1e-24).sqrt()


def scales(start: Tensor, stop: Tensor, angle: Tensor) -> Tensor:
    r"""The radius $r(\theta)$ of the straight line, at angles from 0 to $\Theta$, shape `(n,)`."""
    first, last, whole = start.sqrt(), stop.sqrt(), angle[-1].clamp(max=torch.pi - 1e-6)
    at = angle * (whole / angle[-1].clamp_min(1e-12))
    return first * last * whole.sin() / (last * (whole - at).sin() + first * at.sin())
