import numpy as np
import pytest
import torch

import multisi
from multisi.data.standardiser import Standardiser
from multisi.errors import ConfigError, DataError, ScoreError, SimplexError, SolverError
from multisi.paths.polyline import Polyline
from tests.closed_forms import sample_mixture

NAMES = ("noise", "a", "b")
E = torch.eye(3, dtype=torch.float64)


def eight(seed=0):
    """A standard normal and two mixtures of eight components in the plane."""
    source = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    parts = [[torch.ones(1).double()], [torch.zeros(1, 2).double()], [E[None, :2, :2]]]
    for _ in range(2):
        roots = 0.4 * draw(8, 2, 2)
        covariances = roots @ roots.mT + 0.1 * E[:2, :2]
        for part, value in zip(
            parts, (torch.softmax(draw(8), 0), 2 * draw(8, 2), covariances), strict=True
        ):
            part.append(value)
    return parts


PARTS = eight()
MODEL = multisi.Model(multisi.GaussianMixtureMeans(*PARTS), NAMES, "noise")


def exact(x, k):
    weights, means, covariances = (part[k] for part in PARTS)
    each = torch.distributions.MultivariateNormal(means, covariances).log_prob(x[:, None])
    return torch.logsumexp(weights.log() + each, 1)


def samples(k, n=300, seed=3):
    return sample_mixture(*(part[k] for part in PARTS), n, seed)


@pytest.mark.parametrize("k", [1, 2])
def test_log_prob_is_the_density(k):
    x = samples(k, 150)
    for options, bound in (
        (dict(), 1e-3),
        (dict(solver="midpoint", steps=32), 0.02),
        (dict(solver="rk4", steps=16), 0.02),
        (dict(interpolant="smoothed"), 0.02),
        (dict(path=Polyline([E[k], 0.5 * E[0] + 0.5 * E[3 - k], E[0]]), steps=128), 0.02),
    ):
        error = MODEL.log_prob(x, NAMES[k], **options) - exact(x, k)
        assert error.abs().mean() <= bound


def test_noise_is_its_own_density():
    z = torch.randn(5, 2, dtype=torch.float64)
    expected = torch.distributions.Normal(0, 1).log_prob(z).sum(1)
    assert torch.allclose(MODEL.log_prob(z, "noise"), expected)


def test_units_are_those_of_the_data():
    shift, scale = torch.tensor([1.0, -2.0]).double(), torch.tensor([3.0, 0.5]).double()
    scaled = multisi.Model(
        MODEL.conditional_means, NAMES, "noise", standardiser=Standardiser(shift, scale, True)
    )
    x = samples(1, 20)
    assert torch.allclose(
        scaled.log_prob(x * scale + shift, "a"), MODEL.log_prob(x, "a") - scale.log().sum()
    )
    # The noise is raw.
    assert torch.allclose(scaled.log_prob(x, "noise"), MODEL.log_prob(x, "noise"))


def test_probes_are_unbiased():
    x = samples(1, 4)
    each = MODEL.log_prob(x.repeat(60, 1), "a", probes=4, steps=32).reshape(60, 4)
    assert (each.std(0) > 1e-2).all()  # Each row has probes of its own.
    error = each.mean(0) - exact(x, 1)
    assert (error.abs() < 4 * each.std(0) / 60**0.5 + 1e-3).all()
    assert torch.equal(MODEL.log_prob(x, "a", probes=2), MODEL.log_prob(x, "a", probes=2))


def test_the_diffusion_has_the_same_density():
    x = samples(2, 6)
    value = MODEL.log_prob(x, "b", noise=0.3, samples=1000, steps=32, seed=1)
    assert (value - exact(x, 2)).abs().max() < 0.15


def test_many_features_and_images_are_probed():
    means = multisi.ConditionalMeans(lambda x, alpha: x[:, None].expand(-1, 2, *x.shape[1:]))
    model = multisi.Model(means, ("noise", "a"), "noise")
    x = torch.randn(3, 1, 6, 7)
    # All means are the state itself: nothing moves, and the density is normal.
    expected = torch.distributions.Normal(0, 1).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(model.log_prob(x, "a"), expected, atol=1e-4)


def test_cross_entropy_and_classes():
    x = samples(1)
    found = MODEL.cross_entropy(x, "a")
    assert float(found) == pytest.approx(-exact(x, 1).mean().item(), abs=1e-3)
    assert found.standard_error == pytest.approx(exact(x, 1).std().item() / 300**0.5, rel=1e-2)
    prior = {"a": 0.9, "b": 0.1}
    classes = MODEL.classify(x.numpy(), prior)
    assert isinstance(classes["a"], np.ndarray)
    joint = torch.stack([exact(x, 1) + np.log(0.9), exact(x, 2) + np.log(0.1)], 1)
    assert np.allclose(classes["a"], torch.softmax(joint, 1)[:, 0], atol=1e-3)
    assert np.allclose(classes["a"] + classes["b"], 1)


def test_arrays_and_empty_batches():
    x = samples(1, 5)
    assert MODEL.log_prob(x.float(), "a").dtype == torch.float32
    assert isinstance(MODEL.log_prob(x.tolist(), "a"), np.ndarray)
    assert MODEL.log_prob(x[:0], "a").shape == (0,)
    whole = MODEL.log_prob(x, "a")
    assert torch.allclose(MODEL.log_prob(x, "a", batch_size=2), whole, atol=1e-9)


def test_bad_input():
    x = samples(1, 5)
    bare = multisi.Model(multisi.GaussianMixtureMeans(*(part[1:] for part in PARTS)), ("a", "b"))
    with pytest.raises(ScoreError, match="needs a standard-normal marginal to end in"):
        bare.log_prob(x, "a")
    with pytest.raises(ConfigError, match="no marginal is named 'c'"):
        MODEL.log_prob(x, "c")
    with pytest.raises(SimplexError, match="at the target expected"):
        MODEL.log_prob(x, "a", path=Polyline([E[1], E[2]]))
    with pytest.raises(ConfigError, match="probes must be an integer"):
        MODEL.log_prob(x, "a", probes=0)
    with pytest.raises(ConfigError, match="no marginal is named 'noise'"):
        MODEL.classify(x, {"noise": 1.0})
    with pytest.raises(ConfigError, match="prior must name at least one of a, b"):
        MODEL.classify(x, {})
    with pytest.raises(ConfigError, match="prior of 'a' must be a finite number above 0"):
        MODEL.classify(x, {"a": 0.0, "b": 1.0})
    with pytest.raises(ConfigError, match="prior must be a dict"):
        MODEL.classify(x, 3)
    with pytest.raises(ConfigError, match="path must be an instance of Path"):
        MODEL.log_prob(x, "a", path=3)
    with pytest.raises(DataError, match="at least 1 row"):
        MODEL.cross_entropy(x[:0], "a")


def test_likelihoods_inside_inference_mode():
    x = samples(1, 5)
    outside = MODEL.log_prob(x, "a"), MODEL.log_prob(x, "a", noise=0.5)
    with torch.inference_mode():
        inside = MODEL.log_prob(x, "a"), MODEL.log_prob(x, "a", noise=0.5)
    assert torch.equal(outside[0], inside[0]) and torch.equal(outside[1], inside[1])


def test_likelihoods_that_are_not_finite_are_refused():
    bad = multisi.Model(
        lambda x, a: x[:, None] * torch.where(a[..., None] > 0.5, torch.nan, 1.0), NAMES, "noise"
    )
    for noise, message in ((0.0, "step 1 of 64.* 5 of 5 rows"), (0.5, "densities.* 5 of 5 rows")):
        with pytest.raises(SolverError, match=message):
            bad.log_prob(samples(1, 5).float(), "a", noise=noise)
