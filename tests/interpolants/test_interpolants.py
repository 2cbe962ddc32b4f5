import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import multisi
from multisi import registry
from multisi.common.derivatives import jvp
from multisi.dynamics import ProbabilityFlow
from multisi.errors import ConfigError
from multisi.interpolants.barycentric import Barycentric
from multisi.interpolants.encoding_decoding import EncodingDecoding
from multisi.interpolants.smoothed import FORMS, Smoothed
from multisi.interpolants.trigonometric import Trigonometric
from multisi.interpolants.variance_preserving import VariancePreserving
from multisi.paths.polyline import Segment

INTERPOLANTS = [
    Barycentric(),
    Trigonometric(),
    VariancePreserving(),
    EncodingDecoding(),
    *(Smoothed(form, a) for form in FORMS for a in (1.0, 0.3)),
]
E4 = torch.eye(4, dtype=torch.float64)
points = st.lists(st.floats(0.001, 1), min_size=4, max_size=4).map(
    lambda w: torch.tensor(w, dtype=torch.float64) / sum(w)
)


@pytest.mark.parametrize("interpolant", INTERPOLANTS, ids=repr)
@given(alpha=points)
def test_in_the_cone_and_smooth_inside(interpolant, alpha):
    weights = interpolant.weights(alpha)
    assert (weights >= 0).all() and weights.sum() > 0.4
    tangent = E4[1] - E4[2]
    if any(abs(alpha - kink).min() < 1e-2 for kink in interpolant.kinks):
        return
    _, rate = jvp(interpolant.weights, alpha, tangent)
    h = 1e-6
    ahead, behind = (interpolant.weights(alpha + sign * h * tangent) for sign in (1, -1))
    assert torch.allclose(rate, (ahead - behind) / (2 * h), atol=1e-5)


@pytest.mark.parametrize("interpolant", INTERPOLANTS, ids=repr)
def test_corners_are_the_marginals(interpolant):
    assert torch.allclose(interpolant.weights(E4), E4, atol=1e-12)
    near = interpolant.weights(0.999999 * E4 + 0.000001 * E4.roll(1, 0))
    assert torch.allclose(near, E4, atol=2e-3)


def edge(interpolant, t):
    """Weights at a time of the edge from data 1 to data 2, with the noise first."""
    alpha = torch.zeros(3, dtype=torch.float64)
    alpha[1], alpha[2] = 1 - t, t
    return interpolant.weights(alpha).tolist()


def sigma_hat(t, f=10.0):
    def s(x):
        return 1 / (1 + math.exp(-x))

    return s(f * (t - 0.5) + 1) - s(f * (t - 0.5) - 1) - s(-f / 2 + 1) + s(-f / 2 - 1)


ROWS = {
    "linear": (Barycentric(), lambda t: (0, 1 - t, t)),
    "trigonometric": (
        Trigonometric(),
        lambda t: (0, math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)),
    ),
    "linear, latent sqrt": (Smoothed("sqrt", 2.0), lambda t: ((2 * t * (1 - t)) ** 0.5, 1 - t, t)),
    "linear, latent quadratic": (Smoothed("quadratic"), lambda t: (t * (1 - t), 1 - t, t)),
    "linear, latent sine": (Smoothed("sine"), lambda t: (math.sin(math.pi * t) ** 2, 1 - t, t)),
    "linear, latent sigmoid": (Smoothed("sigmoid"), lambda t: (sigma_hat(t), 1 - t, t)),
    "encoding-decoding": (
        EncodingDecoding(),
        lambda t: (
            math.sin(math.pi * t) ** 2,
            math.cos(math.pi * t) ** 2 * (t < 0.5),
            math.cos(math.pi * t) ** 2 * (t > 0.5),
        ),
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_rows_of_the_unifying_paper(row):
    interpolant, expected = ROWS[row]
    for t in (0.0, 0.1, 0.3, 0.5, 0.77, 1.0):
        assert edge(interpolant, t) == pytest.approx(expected(t), abs=1e-9)


def test_latent_noise_and_the_noise_marginal_add_their_variances():
    alpha = torch.tensor([0.4, 0.6, 0.0], dtype=torch.float64)
    w = Smoothed("quadratic").weights(alpha)
    assert w[0].item() == pytest.approx(math.hypot(0.4, 0.24))


@pytest.mark.parametrize("interpolant", [Trigonometric(), VariancePreserving()])
def test_the_same_curve_at_another_speed(interpolant):
    """On matched grids, the flow is the straight edge's up to rounding."""
    one = torch.ones(1, dtype=torch.float64)
    roots = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    covariances = list((roots @ roots.mT + 0.1 * E4)[:, None])
    exact = multisi.GaussianMixtureMeans(
        [one] * 3, list(torch.randn(3, 1, 4).double()), covariances
    )
    model = multisi.Model(exact, ("a", "b", "c"))
    x = torch.randn(5, 4, dtype=torch.float64)
    for solver in ("adams", "midpoint", "rk4"):
        straight = model.transport(x, "a", "b", solver=solver, steps=16)
        curved = model.transport(x, "a", "b", solver=solver, steps=16, interpolant=interpolant)
        assert torch.allclose(straight, curved, atol=1e-10, rtol=1e-10)


def test_kinks_are_found():
    path = Segment([E4[1], E4[2]])
    flow = ProbabilityFlow(multisi.ConditionalMeans(lambda x, a: x), path, EncodingDecoding())
    assert flow.knots == pytest.approx((0, 0.5, 1))


def test_names_and_bad_options():
    names = ("barycentric", "trigonometric", "variance-preserving", "smoothed")
    for name in (*names, "encoding-decoding"):
        assert registry.create("interpolant", name, multisi.Interpolant).weights(E4).shape == (
            4,
            4,
        )
    with pytest.raises(ConfigError, match="form must be one of sqrt, quadratic"):
        Smoothed("cubic")
    with pytest.raises(ConfigError, match="a must be a finite number above 0; got 0"):
        Smoothed(a=0)
