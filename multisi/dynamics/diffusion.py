r"""The diffusion along a path: the flow's laws, with noise."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi import noise as noises
from multisi.common.derivatives import slope
from multisi.dynamics.blocks import Table
from multisi.dynamics.probability_flow import ProbabilityFlow, column, points_of
from multisi.errors import ScoreError
from multisi.field.conditional_means import ConditionalMeans
from multisi.interpolants import Interpolant
from multisi.paths import Path

_GAUSS = tuple(torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(5))


class Diffusion(ProbabilityFlow):
    r"""The SDE $dy = (b + \varepsilon s)\,dt + \sqrt{2 \varepsilon}\,dW$, of the flow's laws.

    $\varepsilon$ is meant in $x$; in $y = x / s$ it becomes $\varepsilon / s^2$. A number stands
    for $\varepsilon = \mathrm{noise} \cdot w_0(t)$: the drift's new part,
    $\varepsilon s = -\mathrm{noise} \cdot g_0$, is then finite everywhere.

    Arguments:
        means: The conditional means; marginal 0 is the noise.
        path: A path on the simplex that leaves the face without noise between its ends.
        interpolant: The interpolant whose weights are taken along the path.
        noise: How much noise: a number, a schedule of `multisi.noise`, or a function of
            `(t, weights)` that gives $\varepsilon$.
        condition: Handed to the network if given.

    Raises:
        ConfigError: `noise` negative or not finite.
        ScoreError: the weight of the noise is zero between the ends of the path.

    References:
        Stochastic interpolants: a unifying framework, arXiv:2303.08797, corollary 2.18.
    """

    stochastic = True

    def __init__(
        self,
        means: ConditionalMeans,
        path: Path,
        interpolant: Interpolant,
        noise: Any,
        condition: Any = None,
    ) -> None:
        super().__init__(means, path, interpolant, condition)
        self.noise = noises.of(noise)
        if not noisy(path, interpolant):
            raise ScoreError(
                "noise > 0 needs the score, which does not exist where the weight of the noise "
                "marginal, w_0, is zero; this path keeps it at zero between its ends. Use "
                "path='bow' or via=<the noise marginal>, interpolant='smoothed', or noise=0."
            )

    def diffusion(self, t: Tensor | float) -> Tensor:
        r"""$\sqrt{2\varepsilon}$ at times `t`, float64, shape `(..., [b])`."""
        t, weights, rate = self._point(t)
        return (2 * self.noise.epsilon(t, weights, rate)).sqrt() / weights.sum(-1)

    def amplitudes(self, y: Tensor, times: Tensor) -> Table:
        r"""$(\int 2\varepsilon\,dt)^{1/2}$ over each step of a grid, and over $\sqrt{12}$.

        Each of shape `(1 or b, 1, ...)`.
        """

        def rows(part: slice) -> tuple[Tensor, ...]:
            start, stop = times[:-1][part], times[1:][part]
            nodes, shares = _GAUSS
            at = torch.lerp(start[:, None], stop[:, None], (nodes + 1) / 2)
            square = self.diffusion(at.flatten()) ** 2
            square = torch.einsum(
                "nq...,q->n...", square.reshape(*at.shape, *square.shape[1:]), shares / 2
            )
            root = (square * column(stop - start, square)).sqrt()
            root = root.reshape(len(root), -1, *(1,) * (y.ndim - 1))
            return root.to(y.device, y.dtype), (root / 12**0.5).to(y.device, y.dtype)

        return Table(rows, self.numbers)

    def regular(self, at: Tensor) -> Tensor:
        r"""Whether the drift exists at times `(n,)`: not where $w_0 = 0 < \varepsilon$."""
        if self.alpha(0.0).ndim > 1:  # A choice that no row makes for the others.
            knots = torch.tensor(self.knots, dtype=torch.float64)
            inside = ((at[:, None] - knots).abs() > 1e-9).all(1)
            return inside | (self.noise.over_weight is not None)
        return torch.isfinite(self.noise.drift(*self._point(at)))

    def pull(self, at: Tensor, alpha: Tensor) -> Tensor:
        r"""$\varepsilon / (s\, w_0)$ in column 0; a `ScoreError` where it does not exist."""
        t, weights, rate = self._point(at)
        drift = self.noise.drift(t, weights, rate)
        if not torch.isfinite(drift).all():
            where = "" if at.ndim else f" (t = {at.item():.4g})"
            raise ScoreError(
                f"noise={self.noise} needs the score where the weight of the noise marginal, w_0, "
                f"is zero{where}. Use noise=<a number>, which stands for ε = number · w_0 and "
                "never divides by w_0, or a path or interpolant that keeps w_0 above zero."
            )
        pull = torch.zeros_like(alpha)
        pull[..., 0] = drift / weights.sum(-1)
        return pull

    def _point(self, t: Tensor | float) -> tuple[Tensor, Tensor, noises.Rate]:
        """Times, weights, and what gives their rates, which few schedules ask for."""
        t = torch.as_tensor(t, dtype=torch.float64)

        def rate() -> Tensor:
            found: Tensor = slope(self.weights, t)[1]
            return found

        return t, self.weights(t), rate


def noisy(path: Path, interpolant: Interpolant) -> bool:
    """Whether the noise marginal has a positive weight halfway along every leg of a path."""
    knots = torch.tensor(path.knots, dtype=torch.float64)
    middles = (knots[1:] + knots[:-1]) / 2
    return bool((interpolant.weights(points_of(path, middles))[..., 0] > 0).all())
