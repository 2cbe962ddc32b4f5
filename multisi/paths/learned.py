r"""Curves whose log-ratios are free: the paths that can be learned."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi import simplex
from multisi.errors import ConfigError, ShapeError
from multisi.paths.base import Path
from multisi.paths.timed import Cubic, checked_clock

FORMS = ("fourier", "spline", "piecewise")
"""Names of the functions that log-ratios are sums of."""


class Learned(Path):
    r"""A curve between two points of the simplex with free log-ratios.

    $$\alpha_k(\tau) \propto \Big(\beta_k(\tau) + \tau (1 - \tau)\,1_{\beta_k = 0}\Big)\,
    e^{u_k(\tau)}, \qquad u_k = \sum_n c_{kn}\, \varphi_n(\tau),$$

    where $\beta$ is the segment. The ends are exact for all coefficients, all coordinates are
    positive inside, and no choice of coefficients is stationary by construction. The curve is
    passed by a clock $\tau(t)$, and at a scale $s(t)$: states on the way are
    $x = s \sum_k \alpha_k x_k$ in units of which the data have mean zero. Neither changes where
    samples end, and both lower the cost.

    Arguments:
        points: The two ends, each of shape `(k,)`.
        corners: Indices of the marginals that the curve may use, beside those of its ends.
        coefficients: $c$, shape `(len(used), n)`, with `used` in the order of the marginals.
        form: `"fourier"` for $\cos n\pi\tau$, `"spline"` for cubic B-splines, `"piecewise"` for
            hat functions.
        clock: Times $t$, and the values of $\tau$ and $s$ at them, shape `(3, n)`; `None` for
            $\tau = t$ and $s = 1$.

    Raises:
        ConfigError: the form or a corner is unknown, times or places of `clock` do not increase
            from 0 to 1, or its scales are not positive, or not 1 at the ends.
        SimplexError: a point is not on the simplex.
        ShapeError: `coefficients` has another shape.

    Examples:
        >>> ends = torch.eye(3)[1], torch.eye(3)[2]
        >>> path = Learned(ends, [0], torch.zeros(3, 4))
        >>> path(torch.tensor([0.0, 0.5, 1.0]))
        tensor([[0.0000, 1.0000, 0.0000],
                [0.2000, 0.4000, 0.4000],
                [0.0000, 0.0000, 1.0000]])
    """

    def __init__(
        self,
        points: Any,
        corners: Sequence[int],
        coefficients: Any,
        form: str = "fourier",
        clock: Any = None,
    ) -> None:
        if form not in FORMS:
            raise ConfigError(f"form must be one of {', '.join(FORMS)}; got {form!r}.")
        ends = [simplex.check(p, None, f"points[{i}]") for i, p in enumerate(points)]
        self.points = torch.stack([end.to("cpu", torch.float64) for end in ends])
        inside = self.points.amax(0) > 0
        if not set(corners) <= set(range(len(inside))):
            raise ConfigError(
                f"corners must be indices of the {len(inside)} marginals; got {list(corners)}."
            )
        inside[list(corners)] = True
        self.corners = tuple(sorted(int(k) for k in corners))
        self.used = inside.nonzero()[:, 0]
        self.coefficients = torch.as_tensor(coefficients, dtype=torch.float64)
        if self.coefficients.ndim != 2 or len(self.coefficients) != len(self.used):
            raise ShapeError(
                f"coefficients must have a row for each of the {len(self.used)} marginals on the "
                f"curve, shape ({len(self.used)}, n); got {tuple(self.coefficients.shape)}."
            )
        self.form = form
        self.free = (self.points.amax(0) <= 0)[self.used]
        # Beside a corner one coordinate is left, whatever it is; elsewhere ratios must not move.
        self._inner = ((self.points > 0).sum(1) > 1).tolist()
        self.clock = None if clock is None else checked_clock(clock, 3)
        self._place = self._scale = None
        if self.clock is not None:
            self._place, self._scale = (Cubic(self.clock[0], row) for row in self.clock[1:])
        self.knots = self._kinks()

    def __call__(self, t: Tensor) -> Tensor:
        """The points at times `t`, shape `(..., k)`."""
        base, of_coefficients = self.parts(self.place(t)[..., None])
        u = of_coefficients @ self.coefficients.mT.to(t)
        r = base * torch.exp(u - u.amax(-1, keepdim=True).detach())
        alpha = torch.zeros(*t.shape, self.points.shape[1], dtype=t.dtype, device=t.device)
        return alpha.index_copy(-1, self.used.to(t.device), r / r.sum(-1, keepdim=True))

    def parts(self, tau: Tensor) -> tuple[Tensor, Tensor]:
        r"""What does not depend on the coefficients, at places `(..., 1)`.

        Returns:
            The factor before $e^{u_k}$, shape `(..., len(used))`, and $\varphi_n$, `(..., n)`.
        """
        ends = self.points[:, self.used].to(tau)
        base = torch.lerp(ends[0], ends[1], tau) + tau * (1 - tau) * self.free.to(tau)
        found = basis(self.form, self.coefficients.shape[1], tau)
        for inner, gone in zip(self._inner, (tau, 1 - tau), strict=True):
            found = found * (1 - (1 - gone) ** 4) if inner else found
        return base, found

    def place(self, t: Tensor) -> Tensor:
        r"""The place $\tau$ on the curve at times `t`, shape `(...)`."""
        return t if self._place is None else self._place(t)

    def scale(self, t: Tensor) -> Tensor:
        """The scale at times `t`, shape `(...)`."""
        return torch.ones_like(t) if self._scale is None else self._scale(t)

    def reverse(self) -> "Learned":
        """The curve from its end to its start."""
        n = self.coefficients.shape[1]
        flipped = self.coefficients.flip(1)
        if self.form == "fourier":
            flipped = self.coefficients * (-1.0) ** torch.arange(n)
        clock = None
        if self.clock is not None:
            times, places, scales = self.clock.flip(1)
            clock = torch.stack([1 - times, 1 - places, scales])
        return Learned(self.points.flip(0), self.corners, flipped, self.form, clock)

    def to_dict(self) -> dict[str, Any]:
        """The arguments as plain numbers, for a file."""
        return {
            "points": self.points.tolist(),
            "corners": list(self.corners),
            "coefficients": self.coefficients.tolist(),
            "form": self.form,
            "clock": None if self.clock is None else self.clock.tolist(),
        }

    def _kinks(self) -> tuple[float, ...]:
        """Times of the kinks: those of hat functions, by the clock."""
        n = self.coefficients.shape[1]
        if self.form != "piecewise" or n < 3:
            return 0.0, 1.0
        places = np.arange(1, n - 1) / (n - 1)
        times = np.linspace(0, 1, 4097)
        at = self.place(torch.from_numpy(times)).numpy()
        return 0.0, *np.interp(places, at, times).tolist(), 1.0


def basis(form: str, count: int, tau: Tensor) -> Tensor:
    r"""$\varphi_n(\tau)$ for all `count` functions of a form.

    Arguments:
        form: One of `FORMS`.
        count: Number of functions.
        tau: Places, shape `(..., 1)`.

    Returns:
        The values, shape `(..., count)`.
    """
    n = torch.arange(count, dtype=tau.dtype, device=tau.device)
    if form == "fourier":
        return torch.cos(torch.pi * n * tau)
    if form == "piecewise":
        return torch.relu(1 - (tau * max(1, count - 1) - n).abs())
    x = tau * max(1, count - 3) - n + 3
    powers = [(-1) ** j * w * torch.relu(x - j) ** 3 for j, w in enumerate((1, 4, 6, 4, 1))]
    return torch.stack(powers).sum(0) / 6
