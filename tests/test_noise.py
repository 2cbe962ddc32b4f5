import pytest
import torch

import multisi
from multisi import Diffusion, noise
from multisi.errors import ConfigError, ScoreError
from multisi.interpolants.barycentric import Barycentric
from multisi.interpolants.smoothed import Smoothed
from multisi.paths.bow import Bow
from multisi.paths.polyline import Segment
from tests.closed_forms import mixtures

E = torch.eye(3, dtype=torch.float64)
EXACT = multisi.GaussianMixtureMeans(*mixtures())
Y = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(4, 2)
SCHEDULES = [
    0.7,
    noise.constant(0.7),
    noise.sine(0.7),
    noise.kl_optimal(),
    lambda t, weights: 0.3 + weights[..., 0] ** 2,
]
IDS = ["number", "constant", "sine", "kl-optimal", "function"]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=IDS)
@pytest.mark.parametrize("interpolant", [Barycentric(), Smoothed("sine")], ids=repr)
def test_drift_has_the_score_of_every_schedule(schedule, interpolant):
    path = Bow([E[1], E[2]])
    diffusion = Diffusion(EXACT, path, interpolant, schedule)
    for t in (0.2, 0.5, 0.9):
        alpha = diffusion.alpha(t)
        score = -diffusion.means(Y, alpha)[:, 0] / alpha[0]
        epsilon = diffusion.diffusion(t) ** 2 / 2
        expected = diffusion.velocity(Y, t) + epsilon * score
        assert torch.allclose(diffusion.drift(Y, t), expected)


def test_values():
    path, t = Segment([E[0], E[2]]), torch.tensor([0.25, 0.5, 0.8], dtype=torch.float64)

    def epsilon(schedule):
        return Diffusion(EXACT, path, Barycentric(), schedule).diffusion(t) ** 2 / 2

    assert torch.allclose(epsilon(2), 2 * (1 - t))
    assert torch.allclose(epsilon(noise.constant(2)), torch.full_like(t, 2))
    assert torch.allclose(epsilon(noise.sine(2)), 2 * torch.sin(torch.pi * t) ** 2)
    assert torch.allclose(epsilon(lambda t, weights: t), t)
    # From noise to data, |σ̇σ − α̇σ²/α| with σ = 1 − t and α = t (SiT, half of their w).
    best = (1 - t) + (1 - t) ** 2 / t
    assert torch.allclose(epsilon(noise.kl_optimal(damping=1e-9)), best)
    bounded = epsilon(noise.kl_optimal(damping=0.25))
    assert torch.allclose(bounded, best / (1 + 0.25 * best**2)) and (bounded <= 1).all()


def test_the_optimum_is_that_of_independent_errors():
    """ε* minimises E|δb + ε δs|² / ε for independent errors of the heads, projected."""
    source = torch.Generator().manual_seed(0)
    w = torch.tensor([0.3, 0.5, 0.4], dtype=torch.float64)
    rate = torch.tensor([-0.7, 0.2, 1.1], dtype=torch.float64)
    error = torch.randn(400_000, 3, generator=source, dtype=torch.float64)
    error = error - (error @ w)[:, None] * w / (w @ w)
    velocity, score = error @ rate, -error[:, 0] / w[0]
    empirical = (velocity.square().mean() / score.square().mean()).sqrt()
    point = (torch.tensor(0.5).double(), w, lambda: rate)
    assert noise.kl_optimal(damping=1e-9).epsilon(*point) == pytest.approx(
        empirical.item(), rel=0.01
    )


def test_ends_without_weight():
    path = Bow([E[1], E[2]])
    for schedule in (0.5, noise.kl_optimal()):
        assert torch.isfinite(Diffusion(EXACT, path, Barycentric(), schedule).drift(Y, 0.0)).all()
    constant = Diffusion(EXACT, path, Barycentric(), noise.constant(1))
    assert constant.drift_exists(torch.tensor([0.0, 0.3, 1.0]).double()).tolist() == [
        False,
        True,
        False,
    ]
    with pytest.raises(ScoreError, match=r"w_0, is zero \(t = 0\).*ε = number"):
        constant.drift(Y, 0.0)
    model = multisi.Model(EXACT, ("noise", "a", "b"), "noise")
    for solver in ("euler", "heun", "midpoint", "milstein", "srk"):
        moved = model.transport(
            Y, "a", "b", noise=noise.constant(0.5), solver=solver, steps=4, seed=0
        )
        assert torch.isfinite(moved).all()


def test_bad_schedules():
    def run(schedule, **options):
        model = multisi.Model(EXACT, ("noise", "a", "b"), "noise")
        model.transport(Y, "a", "b", noise=schedule, steps=4, **options)

    for bad in (-1, float("nan"), "much", True, None, Diffusion):
        with pytest.raises(ConfigError, match="noise must be a finite number of at least 0"):
            run(bad)
    for value in (-0.5, float("nan")):
        with pytest.raises(ConfigError, match="must give finite ε of at least 0"):
            run(lambda t, weights, value=value: value + 0 * t)
    for value in (None, "x", torch.ones(3)):
        with pytest.raises(ConfigError, match="must give one ε for each of"):
            run(lambda t, weights, value=value: value)
    with pytest.raises(ScoreError, match="interpolant='smoothed'"):
        run(noise.constant(1), path="segment")
    with pytest.raises(ConfigError, match="integrates the flow only; use solver='midpoint'"):
        run(0.5, solver="rk4")
    assert repr(noise.constant(0.5)) == "constant(0.5)"
