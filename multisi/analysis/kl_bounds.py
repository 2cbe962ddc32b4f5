r"""Bounds on the KL divergence of a target from the end of a transport, and the best noise.

With $\Delta L_b = \int E |\hat b - b|^2 dt$ and $\Delta L_s = \int E |\hat s - s|^2 dt$, the law
$\hat\rho_1$ at the end of the SDE with constant $\varepsilon$ satisfies

$$KL(\rho_1 | \hat\rho_1) \le \frac{\Delta L_b}{2 \varepsilon}
+ \frac{\varepsilon\, \Delta L_s}{2},$$

with its minimum at $\varepsilon^* = \sqrt{\Delta L_b / \Delta L_s}$. The losses alone do not bound
the divergence of the flow, which also needs the Fisher term $F$:

$$KL(\rho_1 | \hat\rho_1) \le \sqrt{\Delta L_b} \sqrt{F}, \qquad
F = \int E |\nabla \log \hat\rho_t - \nabla \log \rho_t|^2 dt .$$

References:
    Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows and
    diffusions (2023), arXiv:2303.08797, sections 2.4 and 2.6.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multisi import registry
from multisi.analysis.likelihood import log_density
from multisi.analysis.path_states import PathStates, nodes
from multisi.common import checks
from multisi.common.estimate import Estimate
from multisi.common.shapes import flat_heads
from multisi.dynamics import Dynamics, ProbabilityFlow
from multisi.dynamics.route import dynamics_along
from multisi.errors import ConfigError
from multisi.field import named_points
from multisi.field.field import Field
from multisi.interpolants import Interpolant
from multisi.paths import Path
from multisi.sampling.grid import time_grid
from multisi.solvers import Solver

_STEP = 1e-4
"""Step of the finite differences of a log-density."""


@dataclass(frozen=True)
class Bounds:
    r"""Losses of a model along a path, and the KL bounds that they imply, in nats.

    Arguments:
        velocity: The loss of the velocity, $\Delta L_b = \int E |\hat b - b|^2 dt$.
        score: The loss of the score, $\Delta L_s = \int E |\hat s - s|^2 dt$.
        diffusion: The bound for the diffusion with the requested noise; `None` without one.
        flow: The bound for the flow, $\sqrt{\Delta L_b} \sqrt{F}$; `None` unless requested.
        fisher: The Fisher term $F$; `None` unless requested.
        exact: Whether the losses are against the truth. If not, they are estimated from two
            models that were trained independently, and miss the error that both share.

    References:
        Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows
        and diffusions (2023), arXiv:2303.08797, sections 2.4 and 2.6.
    """

    velocity: Estimate
    score: Estimate
    diffusion: Estimate | None
    flow: float | None
    fisher: Estimate | None
    exact: bool

    @property
    def epsilon(self) -> float:
        r"""The constant noise with the lowest bound, $\sqrt{\Delta L_b / \Delta L_s}$."""
        return math.sqrt(self.velocity.value / self.score.value) if self.score.value else math.inf

    @property
    def best(self) -> float:
        r"""The bound with that noise, $\sqrt{\Delta L_b\, \Delta L_s}$."""
        return math.sqrt(self.velocity.value * self.score.value)


def bounds(
    model: Field,
    other: Field,
    samples: Mapping[str, Any],
    source: str,
    target: str,
    *,
    exact: bool,
    noise: Any = None,
    fisher: bool = False,
    path: str | Path = "bow",
    interpolant: str | Interpolant = "barycentric",
    count: int = 1000,
    steps: int = 64,
    seed: int = 0,
) -> Bounds:
    r"""Bounds on the KL divergence of the target from the end of a model's transport.

    $$KL(\rho_1 | \hat\rho_1) \le \frac{\Delta L_b}{2 \varepsilon}
    + \frac{\varepsilon\, \Delta L_s}{2}$$

    Arguments:
        model: The model whose error is bounded.
        other: The truth, such as a model of `GaussianMixtureMeans`; or a twin: a model that was
            fitted with another seed, whose squared difference is twice the variance of either.
        samples: Name to samples of the data marginals on the path, each of shape `(n, *event)`;
            weights and a condition of a `Marginal` count.
        source: Name of the marginal where samples come from.
        target: Name of the marginal where they go.
        exact: Whether `other` is the truth.
        noise: The noise of the diffusion to bound, as for `transport`.
        fisher: Bound the flow as well; `exact` must be true and `source` the noise marginal,
            whose density is known.
        path: A path or its name; the noise must have a positive weight inside it.
        interpolant: An interpolant or its name.
        count: Joint samples at each time.
        steps: Solver steps of the flow, for the Fisher term.
        seed: Seed of the samples.

    Returns:
        The losses and the bounds.

    Raises:
        ScoreError: the model has no score, or the path has none.
        ConfigError: a name is unknown, an option is out of range, the marginals, features or
            units of the models differ, or `fisher` is true without the truth or the density of
            the source.
        DataError: samples of a marginal on the path are missing, empty or not finite.
        ShapeError: samples have different event shapes.

    References:
        Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows
        and diffusions (2023), arXiv:2303.08797, sections 2.4 and 2.6.
    """
    check_models(model, other)
    samples, steps = checks.options(samples, "samples"), checks.integer(steps, "steps")
    model.check_score("A bound")
    if fisher and not (exact and source == model.noise):
        raise ConfigError(
            "The Fisher term needs exact=True and the noise marginal as the source; got "
            f"exact={exact!r} and source={source!r}."
        )
    ends = [
        named_points.resolve(name, model.marginals, None, what)
        for what, name in (("source", source), ("target", target))
    ]
    along = functools.partial(dynamics_along, route=ends, path=path, interpolant=interpolant)
    reference = along(other.conditional_means)
    judged = along(model.conditional_means, noise=1.0 if noise is None else noise)
    states = PathStates(model, samples, reference, checks.integer(count, "count", 2), seed)
    half = 1.0 if exact else 0.5  # The difference of two models has twice the variance of one.
    with torch.inference_mode(False), torch.no_grad():
        share = torch.stack(
            [
                weight * half * _errors(judged, reference, t, states)
                for t, weight in nodes(reference)
            ]
        ).sum(0)
        fishers = _fisher(judged, reference, states, steps) if fisher else None
    velocity, score = Estimate.of(share[0]), Estimate.of(share[1])
    flow = math.sqrt(velocity.value * fishers.value) if fishers is not None else None
    diffusion = Estimate.of(share[2]) if noise is not None else None
    return Bounds(velocity, score, diffusion, flow, fishers, exact)


def check_models(model: Any, other: Any) -> None:
    """Check that the states of two models mean the same.

    Raises:
        ConfigError: one of them is not a model, or their marginals, features, shapes or units
            differ.
    """
    one = checks.instance(model, Field, "The model")
    two = checks.instance(other, Field, "The other model, a twin or the truth,")
    for what, own, others in (
        ("marginals", one.marginals, two.marginals),
        ("features in the same order", one.features, two.features),
        ("event shape", one.event_shape or two.event_shape, two.event_shape or one.event_shape),
    ):
        if own != others:
            raise ConfigError(f"Both models must have the same {what}; got {own} and {others}.")
    units = [(one.standardiser, two.standardiser)]
    if one.conditions is not None and two.conditions is not None:
        units.append((one.conditions.standardiser, two.conditions.standardiser))
    told = [of and (of.size, of.features) for of in (one.conditions, two.conditions)]
    if told[0] != told[1] or not all(own.agrees(others) for own, others in units):
        raise ConfigError(
            "Both models must have the same units and conditions. Fit the twin on the same "
            "samples, or create the truth with Model(..., standardiser=model.standardiser, "
            "conditions=model.conditions)."
        )


def _errors(judged: Dynamics, reference: Dynamics, t: Tensor, states: PathStates) -> Tensor:
    """Squared errors of velocity and score, and the integrand of the diffusion's bound.

    Shape `(3, count)`.
    """
    alpha, rate = reference.alpha_and_rate(t)
    y, told = states(alpha)
    error = judged.given(told).means(y, alpha) - reference.given(told).means(y, alpha)
    error = error.cpu().double()
    error = flat_heads(error)
    scale = reference.weights(t).sum().item()
    velocity = torch.einsum("k,bkd->bd", rate, error)
    drift = velocity - judged.score_coefficients(t, alpha)[0] * error[:, 0]
    epsilon = judged.diffusion(t) ** 2 / 2
    return torch.stack(
        [
            scale**2 * velocity.square().sum(1),
            (error[:, 0] / (alpha[0] * scale)).square().sum(1),
            drift.square().sum(1) / (4 * epsilon),
        ]
    )


def _fisher(judged: Dynamics, reference: Dynamics, states: PathStates, steps: int) -> Estimate:
    """The Fisher term; the score of the flow's law is a finite difference of its log-density."""
    total: Any = 0.0
    for t, weight in nodes(reference):
        alpha = reference.alpha(t)
        y, told = states(alpha)
        truth = -reference.given(told).means(y, alpha)[:, 0] / alpha[0].item()
        score = torch.zeros_like(y)
        for i in range(y[0].numel()):
            step = torch.zeros_like(y[0])
            step.view(-1)[i] = _STEP
            up, down = (
                _log_density(judged.given(told), y + sign * step, t, steps) for sign in (1, -1)
            )
            score.view(len(y), -1)[:, i] = (up - down) / (2 * _STEP)
        square = (score - truth).flatten(1).square().sum(1)
        total = total + weight * square / reference.weights(t).sum().item() ** 2
    return Estimate.of(total)


class _Back(Path):
    """The part of a path up to time `t`, in reverse."""

    def __init__(self, path: Path, t: Tensor) -> None:
        self.path, self.t = path, t
        inner = (1 - knot / t.item() for knot in path.knots if 0 < knot < t.item())
        self.knots = (0.0, *sorted(inner), 1.0)

    def __call__(self, t: Tensor) -> Tensor:
        return self.path(self.t * (1 - t))


def _log_density(judged: Dynamics, y: Tensor, t: Tensor, steps: int) -> Tensor:
    """Log-density of the flow's law at time `t`, starting from the noise, shape `(b,)`."""
    back = ProbabilityFlow(
        judged.conditional_means, _Back(judged.path, t), judged.interpolant, judged.condition
    )
    solver = registry.create("solver", "adams", Solver)
    return log_density(back, y, time_grid(back, steps, solver.spread), solver)
