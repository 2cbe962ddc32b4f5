import pytest
import torch

import multisi
from multisi import training
from multisi.field.conditional_means import ConditionalMeans
from tests.closed_forms import mixtures, sample_mixture


def joint(n=40_000):
    parts = mixtures()
    xs = [sample_mixture(*(p[k] for p in parts), n, k) for k in range(3)]
    law = training.SimplexLaw().draw(n, "abc", True, torch.Generator().manual_seed(0))
    return parts, torch.stack(xs, 1), *(part.double() for part in law)


def test_the_loss_is_the_error_of_the_projected_velocity():
    _, xs, alpha, v = joint(500)
    means = ConditionalMeans(lambda x, a: torch.stack([x.sin() * (k + 1) for k in range(3)], 1))
    x = torch.einsum("bk,bkd->bd", alpha, xs)
    error = torch.einsum("bk,bkd->bd", v, means(x, alpha) - xs)
    found = training.loss(means, training.Batch.of(xs, alpha, v))
    assert found == pytest.approx(error.square().mean().item(), rel=1e-6)


def test_the_loss_is_least_at_the_truth():
    parts, xs, alpha, v = joint()
    exact = multisi.GaussianMixtureMeans(*parts)
    batch = training.Batch.of(xs, alpha, v)
    best = training.loss(exact, batch)
    for scale in (0.9, 1.1):
        other = ConditionalMeans(lambda x, a, s=scale: exact.network(x, a) * s + 0.1 * (s - 1))
        assert training.loss(other, batch) > best


def test_images_scalars_and_parts():
    for event in ((), (3,), (2, 4, 4)):
        xs, alpha = torch.randn(10, 3, *event), torch.full((10, 3), 1 / 3)
        v = torch.tensor([-1.0, 1, 0]).expand(10, -1)
        batch = training.Batch.of(xs, alpha, v, torch.randn(10, 2))
        assert batch.x.shape == batch.target.shape == (10, *event)
        assert torch.allclose(batch.x, xs.mean(1), atol=1e-6)
        parts = batch.split(3)
        assert [len(part) for part in parts] == [3, 3, 4]
        assert torch.equal(torch.cat([part.target for part in parts]), batch.target)
        assert torch.equal(torch.cat([part.condition for part in parts]), batch.condition)
