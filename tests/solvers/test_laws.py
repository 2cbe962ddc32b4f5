"""The laws along the flow and the SDE, by permutation tests at level 1e-3."""

import itertools

import pytest
import torch

import multisi
from multisi import noise as noises
from multisi.interpolants.smoothed import Smoothed
from multisi.metrics import permutation_test
from multisi.paths.bow import Bow
from multisi.paths.polyline import Segment
from tests.closed_forms import gaussian_model, gaussians, mixtures, sample_mixture

N = 20_000


def p_value(noise, i, j):
    """Three Gaussians, the first the noise; d = 4; 256 steps; against fresh target samples."""
    means, covariances = gaussians(0, noise=True)
    model = gaussian_model(means, covariances, noise="noise")
    source = torch.Generator().manual_seed(0)
    roots = torch.linalg.cholesky(covariances)
    z = torch.randn(2, N, 4, generator=source, dtype=torch.float64)
    x, fresh = means[i] + z[0] @ roots[i].T, means[j] + z[1] @ roots[j].T
    names = model.marginals
    moved = model.transport(x, names[i], names[j], noise=noise, steps=256, seed=0)
    return permutation_test(moved.float(), fresh.float(), permutations=999).p_value


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "i", "j"), [(0.5, 1, 2), (2.0, 2, 1), (2.0, 0, 2)])
def test_indistinguishable_from_fresh_samples(noise, i, j):
    """At level 1e-3; `tests.benchmarks laws` runs all pairs."""
    assert p_value(noise, i, j) > 1e-3


INTERPOLANTS = ("barycentric", "trigonometric", "variance-preserving", "encoding-decoding")
LATENT = tuple(Smoothed(form) for form in ("sqrt", "quadratic", "sine", "sigmoid"))
SCHEDULES = (
    0.0,
    1.0,
    noises.constant(0.5),
    noises.sine(1.0),
    noises.kl_optimal(0.5),
    lambda t, weights: weights[..., 0] ** 2,
)
ALONG, FEW = (0.25, 0.5, 0.75, 1.0), 1500


def along(interpolant, schedule, seed=0):
    """p-values at four times from mixture `a` to mixture `b`, against fresh sums of samples."""
    parts = mixtures()
    model = multisi.Model(multisi.GaussianMixtureMeans(*parts), ("noise", "a", "b"), "noise")
    corners = torch.eye(3, dtype=torch.float64)
    needs = schedule != 0.0 and interpolant in INTERPOLANTS[:3]
    path = (Bow if needs else Segment)([corners[1], corners[2]])
    # Even in the square of the sine, so that latent noise of infinite slope is stepped well.
    grid = torch.sin(torch.linspace(0, torch.pi / 2, 193, dtype=torch.float64)) ** 2
    grid = torch.unique(torch.cat([grid, torch.tensor(ALONG, dtype=torch.float64)]))
    x = sample_mixture(*(part[1] for part in parts), FEW, seed)
    options = dict(noise=schedule, seed=seed, path=path, interpolant=interpolant, grid=grid)
    states = model.transport(x, "a", "b", return_path=True, **options)
    weights = multisi.registry.create("interpolant", interpolant, multisi.Interpolant)
    for i, t in enumerate(ALONG):
        w = weights.weights(path(torch.tensor(t, dtype=torch.float64)))
        fresh = sum(
            w[k] * sample_mixture(*(part[k] for part in parts), FEW, 10 * seed + 4 * i + k + 1)
            for k in range(3)
        )
        at = torch.searchsorted(grid, t)
        yield t, permutation_test(states[at].float(), fresh.float(), permutations=1999).p_value


@pytest.mark.slow
@pytest.mark.parametrize("interpolant", [*INTERPOLANTS, *LATENT], ids=str)
def test_laws_along_every_interpolant_and_noise(interpolant):
    for schedule, (t, p) in itertools.chain.from_iterable(
        zip([schedule] * 4, along(interpolant, schedule), strict=True) for schedule in SCHEDULES
    ):
        assert p > 1e-3, (schedule, t)


class Mirror(multisi.Path):
    """Weights (γ, 0, 1) with γ = √(t(1 − t)), brought to the simplex."""

    def __call__(self, t):
        gamma = (t * (1 - t)).clamp_min(0).sqrt()
        return torch.stack([gamma, 0 * t, 0 * t + 1], -1) / (1 + gamma[..., None])


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_the_mirror_has_its_law_and_returns(noise):
    parts = mixtures()
    model = multisi.Model(multisi.GaussianMixtureMeans(*parts), ("noise", "a", "b"), "noise")
    x, fresh = (sample_mixture(*(part[2] for part in parts), FEW, seed) for seed in (0, 1))
    states = model.transport(
        x, "b", "b", path=Mirror(), noise=noise, seed=0, steps=120, return_path=True
    )
    z = torch.randn(FEW, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for state, law in ((states[60], (fresh + z / 2) / 1.5), (states[-1], fresh)):
        assert permutation_test(state.float(), law.float(), permutations=499).p_value > 1e-2
    moved = (states[-1] - x).square().mean() / x.var()
    assert moved < 1e-4 if noise == 0 else moved > 1e-2


@pytest.mark.parametrize("interpolant", ["barycentric", "trigonometric", "variance-preserving"])
def test_one_sided_laws(interpolant):
    """From the noise to a dataset, halfway: x = w_0 z + w_2 x_2."""
    parts = mixtures()
    model = multisi.Model(multisi.GaussianMixtureMeans(*parts), ("noise", "a", "b"), "noise")
    z, other = (
        torch.randn(FEW, 2, generator=torch.Generator().manual_seed(s), dtype=torch.float64)
        for s in (0, 1)
    )
    states = model.transport(z, "noise", "b", interpolant=interpolant, steps=120, return_path=True)
    chosen = multisi.registry.create("interpolant", interpolant, multisi.Interpolant)
    w = chosen.weights(torch.tensor([0.5, 0.0, 0.5], dtype=torch.float64))
    law = w[0] * other + w[2] * sample_mixture(*(part[2] for part in parts), FEW, 5)
    assert permutation_test(states[60].float(), law.float(), permutations=499).p_value > 1e-2
