"""Forecasts: what is known of the present is a condition, and the future is drawn by an SDE."""

import pytest
import torch

import multisi
from multisi import noise
from multisi.errors import ConfigError, ShapeError
from multisi.interpolants.smoothed import Smoothed
from multisi.metrics import permutation_test

SLOPE, SPREAD = 0.8, 0.6


class Exact(torch.nn.Module):
    """Means of (noise, now, next) given now = c, for next = SLOPE c + SPREAD N(0, I)."""

    def forward(self, x, alpha, condition):
        w = alpha.unbind(1)
        centre = (w[1] + SLOPE * w[2])[:, None] * condition
        variance = (w[0] ** 2 + (SPREAD * w[2]) ** 2)[:, None]
        pull = (x - centre) / variance.clamp_min(1e-30)
        noise = w[0][:, None] * pull
        after = SLOPE * condition + SPREAD**2 * w[2][:, None] * pull
        return torch.stack([noise, condition, after], 1)


MODEL = multisi.Model(Exact(), ("noise", "now", "next"), "noise")


def test_forecasts_from_a_point_mass():
    """Föllmer's process: latent noise √(2a t(1 − t)) and constant ε = a, from one state each."""
    now = torch.randn(3000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    options = dict(interpolant=Smoothed("sqrt", 1.0), condition=now, seed=0)
    after = MODEL.transport(now, "now", "next", noise=noise.constant(0.5), steps=200, **options)
    z = torch.randn(3000, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    residual = (after - SLOPE * now) / SPREAD
    assert permutation_test(residual.float(), z.float(), permutations=499).p_value > 1e-2
    assert torch.corrcoef(torch.stack([residual.flatten(), now.flatten()]))[0, 1].abs() < 0.05
    one = MODEL.transport(
        now[:1].expand(500, 2), "now", "next", noise=noise.constant(0.5), seed=1, steps=200,
        interpolant=Smoothed("sqrt", 1.0), condition=now[0],
    )  # fmt: skip
    assert one.std(0) == pytest.approx([SPREAD] * 2, rel=0.15)


def test_conditions_are_learned_and_sliced():
    source = torch.Generator().manual_seed(0)
    now = torch.randn(4000, 1, generator=source)
    after = 2 * now + 0.1 * torch.randn(4000, 1, generator=source)
    model = multisi.fit(
        {"noise": multisi.StandardNormal(), "next": multisi.Marginal(after, condition=now)},
        steps=600, progress=False, network_options={"width": 64},
    )  # fmt: skip
    z = torch.randn(200, 1, generator=source)
    told = torch.linspace(-1, 1, 200)[:, None]
    drawn = model.transport(z, "noise", "next", condition=told)
    assert (drawn - 2 * told).abs().mean() < 0.35
    parts = model.transport(z, "noise", "next", condition=told, batch_size=64)
    assert torch.allclose(parts, drawn, atol=1e-5)
    likely = model.log_prob(2 * told, "next", condition=told)
    assert (likely > model.log_prob(2 * told + 1.5, "next", condition=told)).all()
    assert model.means(z, {"noise": 0.5, "next": 0.5}, condition=[0.3]).shape == (200, 2, 1)
    with pytest.raises(ShapeError, match="takes a condition of 1 features; got 0"):
        model.transport(z, "noise", "next")
    with pytest.raises(ShapeError, match=r"one for each row, shape \(200, 1\); got \(7, 1\)"):
        model.transport(z, "noise", "next", condition=told[:7])


def test_bad_conditions():
    x = torch.zeros(4, 2)
    with pytest.raises(ShapeError, match=r"condition must have .*shape \(4, c\); got \(3, 1\)"):
        multisi.Marginal(x, condition=torch.zeros(3, 1))
    told = multisi.Marginal(x, condition=x)
    with pytest.raises(ConfigError, match="At most one marginal may have a condition"):
        multisi.fit({"a": told, "b": told}, steps=1, progress=False)
