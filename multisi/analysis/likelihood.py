r"""The density of a marginal, from its flow or its diffusion into the noise.

Along the flow, $\tfrac{d}{dt} \log \rho_t(y_t) = -\nabla \cdot b$. The state is therefore extended
by a feature $\ell$ with rate $\nabla \cdot b$. The conditional means of this feature are
$h_k = \nabla \cdot g_k - d + \ell$. Like all conditional means they satisfy
$\sum_k \alpha_k h_k = \ell$, so every solver of the flow integrates them without changes.

References:
    Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows and
    diffusions (2023), arXiv:2303.08797, section 2.5.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor

from multisi import noise as noises
from multisi import registry
from multisi.common import arrays, checks, seeds
from multisi.common.shapes import flat, flat_heads
from multisi.dynamics import Dynamics, ProbabilityFlow
from multisi.dynamics.route import dynamics_along
from multisi.errors import ConfigError, ScoreError
from multisi.field import named_points
from multisi.field.conditional_means import ConditionalMeans, check_finite
from multisi.field.field import Field
from multisi.interpolants import Interpolant
from multisi.paths import Path
from multisi.sampling.grid import time_grid
from multisi.sampling.integrate import integrate
from multisi.solvers import Solver

_NUMBERS = 2**16
"""Default size of a batch of states, in numbers."""
EXACT_UP_TO = 32
"""Largest number of features with an exact divergence by default."""


class Divergences:
    r"""The divergences $\nabla \cdot g_k$, exact or estimated by Hutchinson's method.

    Arguments:
        dynamics: Dynamics along a path; marginals that are not on it get a divergence of zero.
        probes: Random sign vectors, shape `(p, b, d)`; `None` for the exact divergence.
    """

    def __init__(self, dynamics: Dynamics, probes: Tensor | None = None) -> None:
        self.dynamics, self.probes = dynamics, probes

    def __call__(self, y: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """Means `(b, k, d)` and their divergences `(b, k)`, for `y` of shape `(b, *event)`."""
        with torch.enable_grad():
            x = y.detach().requires_grad_()
            g = flat_heads(self.dynamics.means(x, alpha))
            d, found = g.shape[-1], torch.zeros_like(g[..., 0])
            support = self.dynamics.support
            if len(support) == 2:
                # α_i ∇·g_i + α_j ∇·g_j = d leaves one divergence to compute, that of g_i − g_j.
                i, j = support
                u = self._divergence(g[:, i] - g[:, j], x)
                found[:, i] = d + alpha[..., j] * u
                found[:, j] = d - alpha[..., i] * u
            else:
                for k in support:
                    found[:, k] = self._divergence(g[:, k], x)
        return g.detach(), found.detach()

    def _divergence(self, field: Tensor, x: Tensor) -> Tensor:
        """The divergence of a field `(b, d)` at `x`, shape `(b,)`."""

        def row(total: Tensor) -> Tensor:
            grad = torch.autograd.grad(total, x, retain_graph=True, allow_unused=True)[0]
            return torch.zeros_like(field) if grad is None else grad.reshape(field.shape)

        if not field.requires_grad:
            return torch.zeros_like(field[:, 0])
        if self.probes is None:
            columns = [row(field[:, i].sum())[:, i] for i in range(field.shape[1])]
            return torch.stack(columns).sum(0)
        each = [(row((field * probe).sum()) * probe).sum(1) for probe in self.probes]
        return torch.stack(each).mean(0)


def with_density(divergences: Divergences, event: tuple[int, ...]) -> ConditionalMeans:
    """Conditional means of states that carry their log-density, shape `(b, d + 1)`."""

    def network(y: Tensor, alpha: Tensor) -> Tensor:
        x, ell = y[:, :-1].reshape(len(y), *event), y[:, -1:]
        g, found = divergences(x, alpha)
        return torch.cat([g, (found - g.shape[-1] + ell)[..., None]], -1)

    return ConditionalMeans(network)


def log_prob(
    field: Field,
    x: Any,
    marginal: str,
    *,
    path: str | Path | None = None,
    interpolant: str | Interpolant = "barycentric",
    solver: str | Solver = "adams",
    steps: int = 64,
    probes: int | None = None,
    noise: Any = 0.0,
    samples: int = 16,
    seed: int = 0,
    condition: Any = None,
    batch_size: int | None = None,
) -> Tensor:
    """Log-density of data in data units, float64, shape `(b,)`; arguments as `Model.log_prob`.

    Raises:
        ScoreError: the field has no noise marginal, or `noise` is used where there is no score.
        ConfigError: a name is unknown, or an option is out of range.
        DataError: `x` is not finite, or too far from the data.
        ShapeError: `x` or `condition` has the wrong shape.
        SimplexError: `path` does not lead from the marginal to the noise.
        SolverError: a state or a log-density is not finite.
    """
    if field.noise is None:
        raise ScoreError(
            f"A likelihood needs a standard-normal marginal to end in; {field} has none. Fit "
            'with one: {"noise": multisi.StandardNormal(), ...}.'
        )
    rows = (users := field.given(x)).rows
    condition = field.given_condition(condition, users.indexed)
    start = named_points.resolve(marginal, field.marginals, None, "marginal")
    end = named_points.resolve(field.noise, field.marginals, None, "noise")
    if stochastic := not noises.is_zero(noise):
        field.check_score("noise > 0")
    options = _Options(
        solver=registry.create("solver", solver, Solver),
        steps=checks.integer(steps, "steps"),
        probes=None if probes is None else checks.integer(probes, "probes"),
        samples=checks.integer(samples, "samples"),
        generator=seeds.generator(seeds.check(seed), device=field.device),
    )
    with torch.inference_mode(False), torch.no_grad():
        along = dynamics_along(
            field.conditional_means,
            [start, end],
            path="polyline" if path is None else path,
            interpolant=interpolant,
            noise=noise if stochastic else None,
        )
        y, volume = field.standardise(rows, start), field.log_volume(rows, start)
        copies = options.samples if stochastic else 1
        size = max(1, _NUMBERS // max(1, y[:1].numel() * copies))
        if batch_size is not None:
            size = checks.integer(batch_size, "batch_size")
        found = [y.new_zeros(0)]
        for first in range(0, len(y), size):
            part = slice(first, first + size)
            given = along.given(arrays.rows_of(condition, part))
            estimate = options.by_diffusion if stochastic else options.by_flow
            found.append(estimate(given, y[part], first))
    return torch.cat(found).cpu().double() - volume


def posterior(
    field: Field, x: Any, prior: Mapping[str, float] | None = None, **options: Any
) -> dict[str, Tensor]:
    """Name to the probability that each row comes from a dataset, as `Model.classify`.

    Raises:
        ConfigError: `prior` is empty, names an unknown dataset, or has a share that is not
            positive; or an option of `log_prob` is invalid.
    """
    data = field.marginals[0 if field.noise is None else 1 :]
    shares = dict.fromkeys(data, 1.0) if prior is None else checks.options(prior, "prior")
    if not shares:
        raise ConfigError(f"prior must name at least one of {', '.join(data)}; got none.")
    for name, share in shares.items():
        named_points.index_of(name, data, "prior")
        checks.number(share, f"prior of {name!r}", positive=True)
    logs = [log_prob(field, x, name, **options) + math.log(s) for name, s in shares.items()]
    return dict(zip(shares, torch.softmax(torch.stack(logs, 1), 1).unbind(1), strict=True))


@dataclass(frozen=True, kw_only=True)
class _Options:
    """The options of a likelihood, applied to batches of standardised states."""

    solver: Solver
    steps: int
    probes: int | None
    samples: int
    generator: torch.Generator

    def by_flow(self, flow: Dynamics, y: Tensor, first: int) -> Tensor:
        """The log-densities by the flow, shape `(b,)`; `first` is the index of the first row."""
        times = time_grid(flow, self.steps, self.solver.spread)
        return log_density(flow, y, times, self.solver, self._divergences(flow, y), first)

    def by_diffusion(self, diffusion: Dynamics, y: Tensor, first: int) -> Tensor:
        r"""$\log E \exp(\int \nabla \cdot b_F)\, \rho_0(Y)$ over `samples` of $Y$ for each row.

        $Y$ follows the backward SDE with drift $b - \varepsilon s$ and noise
        $\sqrt{2 \varepsilon}$, integrated by Heun's method; $b_F$ is the forward drift.
        """
        y, condition = repeat(y, "b ... -> (s b) ...", s=self.samples), diffusion.condition
        if isinstance(condition, Tensor):
            condition = repeat(condition, "b ... -> (s b) ...", s=self.samples)
        diffusion = diffusion.given(condition)
        divergences = self._divergences(diffusion, y)
        times = time_grid(diffusion, self.steps)
        scales, ell = diffusion.noise_scales(y, times), y.new_zeros(len(y))
        for i, (t, u) in enumerate(itertools.pairwise(times)):
            kick = scales[i][0] * noises.standard_normal(y, self.generator)
            slope, rate = _backward(diffusion, divergences, y, t, u, at=t)
            later, later_rate = _backward(diffusion, divergences, y + slope + kick, t, u, at=u)
            y = y + (slope + later) / 2 + kick
            ell = ell + (rate + later_rate) / 2
        value = rearrange(_log_normal(flat(y)) + ell, "(s b) -> s b", s=self.samples)
        value = torch.logsumexp(value, 0) - math.log(self.samples)
        return check_finite(value, "The log-densities")

    def _divergences(self, dynamics: Dynamics, y: Tensor) -> Divergences:
        d, signs = y[:1].numel(), None
        count = self.probes or (1 if d > EXACT_UP_TO else None)
        if count is not None:
            shape = (count, len(y), d)
            signs = torch.randint(2, shape, generator=self.generator, device=y.device)
            signs = (2 * signs - 1).to(y.dtype)
        return Divergences(dynamics, signs)


def log_density(
    flow: Dynamics,
    y: Tensor,
    times: Tensor,
    solver: Solver,
    divergences: Divergences | None = None,
    first: int = 0,
) -> Tensor:
    """Log-density of states at the start of a flow whose end is standard normal, shape `(b,)`."""
    means = with_density(divergences or Divergences(flow), tuple(y.shape[1:]))
    carried = ProbabilityFlow(means, flow.path, flow.interpolant)
    state = torch.cat([flat(y), y.new_zeros(len(y), 1)], 1)
    end = integrate(carried, state, times, solver, torch.Generator(y.device), first)
    return _log_normal(end[:, :-1]) + end[:, -1]


def _backward(
    diffusion: Dynamics, divergences: Divergences, y: Tensor, t: Tensor, u: Tensor, at: Tensor
) -> tuple[Tensor, Tensor]:
    r"""The increments of the state, by $b - \varepsilon s$, and of its divergence over a step."""
    if not diffusion.drift_exists(at[None]).item():
        at = (t + u) / 2
    alpha = diffusion.alpha(at)
    v = diffusion.alpha(u) - diffusion.alpha(t)
    v = v + (u - t) * diffusion.score_coefficients(at, alpha)
    alpha, v = (part.to(y.device, y.dtype).expand(len(y), -1) for part in (alpha, v))
    g, found = divergences(y, alpha)
    added = torch.einsum("bk,bkd->bd", v, g).reshape(y.shape)
    return added, (v * found).sum(1)


def _log_normal(z: Tensor) -> Tensor:
    square: Tensor = z.square().sum(1)
    return -(square + z.shape[1] * math.log(2 * math.pi)) / 2
