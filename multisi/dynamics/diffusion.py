r"""The diffusion along a path: the SDE."""

from typing import Any

import torch
from torch import Tensor

from multisi import noise as noises
from multisi.common.derivatives import value_and_rate
from multisi.dynamics.base import Dynamics
from multisi.dynamics.coordinates import points_of
from multisi.errors import ScoreError
from multisi.field.conditional_means import ConditionalMeans
from multisi.interpolants import Interpolant
from multisi.paths import Path


class Diffusion(Dynamics):
    r"""The SDE $dx = (b + \varepsilon s)\,dt + \sqrt{2 \varepsilon}\,dW$, with the flow's laws.

    The velocity is $b$ and the score is $s$. In $y = x / \sum_k w_k$, the state of solvers,
    $\varepsilon$ becomes $\varepsilon / (\sum_k w_k)^2$. A number as `noise` means
    $\varepsilon = \mathrm{noise} \cdot w_0(t)$: the score term of the drift,
    $\varepsilon s = -\mathrm{noise} \cdot g_0$, is then finite everywhere.

    Arguments:
        conditional_means: The conditional means; marginal 0 is the noise.
        path: A path on the simplex; the weight of the noise must be positive between its knots.
        interpolant: The interpolant whose weights are taken along the path.
        noise: How much noise: a number, a schedule of `multisi.noise`, or a function of
            `(t, weights)` that gives $\varepsilon$.
        condition: An extra input of the network, one vector per row; `None` without one.

    Raises:
        ConfigError: `noise` is negative or not finite.
        ScoreError: the weight of the noise is zero between the knots of the path.

    References:
        Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows
        and diffusions (2023), arXiv:2303.08797, corollary 2.18.

    Examples:
        >>> import multisi
        >>> means = multisi.ConditionalMeans(lambda x, alpha: x.new_zeros(len(x), 3, 2))
        >>> path = multisi.paths.Bow([torch.eye(3)[1], torch.eye(3)[2]])
        >>> sde = Diffusion(means, path, multisi.interpolants.Barycentric(), noise=0.5)
        >>> sde.diffusion(0.5)
        tensor(0.7071, dtype=torch.float64)
    """

    stochastic = True

    def __init__(
        self,
        conditional_means: ConditionalMeans,
        path: Path,
        interpolant: Interpolant,
        noise: Any,
        condition: Any = None,
    ) -> None:
        super().__init__(conditional_means, path, interpolant, condition)
        self.noise = noises.of(noise)
        if not has_noise_inside(path, interpolant):
            raise ScoreError(
                "noise > 0 needs the score, which does not exist where the weight of the noise "
                "marginal, w_0, is zero; this path keeps it at zero between its ends. Use "
                "path='bow' or via=<the noise marginal>, interpolant='smoothed', or noise=0."
            )

    def diffusion(self, t: Tensor | float) -> Tensor:
        r"""$\sqrt{2\varepsilon}$ at times `t`, float64, shape `(..., [b])`."""
        t, weights, rate = self._point(t)
        return (2 * self.noise.epsilon(t, weights, rate)).sqrt() / weights.sum(-1)

    def score_coefficients(self, t: Tensor, alpha: Tensor) -> Tensor:
        r"""$\varepsilon / (s\, w_0)$ in column 0, shape of `alpha`.

        Raises:
            ScoreError: the score does not exist at one of the times.
        """
        t, weights, rate = self._point(t)
        drift = self.noise.drift(t, weights, rate)
        if not torch.isfinite(drift).all():
            where = "" if t.ndim else f" (t = {t.item():.4g})"
            raise ScoreError(
                f"noise={self.noise} needs the score where the weight of the noise marginal, w_0, "
                f"is zero{where}. Use noise=<a number>, which stands for ε = number · w_0 and "
                "never divides by w_0, or a path or interpolant that keeps w_0 above zero."
            )
        coefficients = torch.zeros_like(alpha)
        coefficients[..., 0] = drift / weights.sum(-1)
        return coefficients

    def drift_exists(self, t: Tensor) -> Tensor:
        r"""Whether $\varepsilon / w_0$ is finite at times `(n,)`."""
        if self.alpha(0.0).ndim > 1:
            # The result must not depend on the other rows of the batch, so only knots may fail.
            knots = torch.tensor(self.knots, dtype=torch.float64)
            inside = ((t[:, None] - knots).abs() > 1e-9).all(1)
            return inside | (self.noise.over_weight is not None)
        return torch.isfinite(self.noise.drift(*self._point(t)))

    def _point(self, t: Tensor | float) -> tuple[Tensor, Tensor, noises.Rate]:
        """Times, weights, and a function that returns their rates, which few schedules need."""
        t = torch.as_tensor(t, dtype=torch.float64)

        def rate() -> Tensor:
            found: Tensor = value_and_rate(self.weights, t)[1]
            return found

        return t, self.weights(t), rate


def has_noise_inside(path: Path, interpolant: Interpolant) -> bool:
    """Whether the noise marginal has a positive weight halfway along every leg of a path."""
    knots = torch.tensor(path.knots, dtype=torch.float64)
    middles = (knots[1:] + knots[:-1]) / 2
    return bool((interpolant.weights(points_of(path, middles))[..., 0] > 0).all())
