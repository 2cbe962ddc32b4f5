"""The law at the end of the SDE, at scale."""

import pytest
import torch

from multisi.metrics import permutation_test
from tests.closed_forms import gaussian_model, gaussians

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
