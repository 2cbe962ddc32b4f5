"""Whether the maps of all pairs agree."""

import math

import pytest
import torch

import multisi
from tests.closed_forms import gaussian_model, gaussians


def samples(means, covariances, names, n=500):
    roots = [torch.linalg.cholesky(c) for c in covariances]
    source = torch.Generator().manual_seed(0)
    drawn = [
        m + torch.randn(n, len(m), generator=source, dtype=m.dtype) @ root.mT
        for m, root in zip(means, roots, strict=True)
    ]
    return dict(zip(names, drawn, strict=True))


def commuting():
    """Three Gaussians whose covariances commute: every map is optimal, and all agree."""
    diagonals = [(1.0, 4.0), (4.0, 1.0), (2.0, 2.0)]
    covariances = [torch.diag(torch.tensor(d, dtype=torch.float64)) for d in diagonals]
    means = [torch.tensor([float(k), -float(k)], dtype=torch.float64) for k in range(3)]
    return torch.stack(means), torch.stack(covariances)


def test_maps_of_commuting_gaussians_agree():
    means, covariances = commuting()
    model = gaussian_model(means, covariances, names=["a", "b", "c"])
    report = model.evaluate(samples(means, covariances, "abc"), steps=64)
    assert report.mean("composition") < 1e-8
    assert report.mean("holonomy") < 1e-8
    assert "composition defect" in str(report)


def test_maps_of_others_do_not_and_those_through_a_hub_do():
    means, covariances = gaussians(seed=1)
    model = gaussian_model(means, covariances, names=["a", "b", "c"])
    held_out = samples(means, covariances, "abc")
    straight = model.evaluate(held_out, steps=64, units="data")
    through = model.evaluate(held_out, steps=128, via=model.barycenter)
    assert straight.mean("composition") > 1e-3
    assert straight.mean("holonomy") > 1e-3
    assert through.mean("composition") < 1e-5
    assert through.mean("holonomy") < 1e-5
    exact = []
    for i, j, k in (("a", "b", "c"), ("b", "c", "a")):
        x = held_out[i]
        direct = model.transport(x, i, j, steps=64)
        far = model.transport(model.transport(x, i, k, steps=64), k, j, steps=64)
        exact.append(((far - direct).square().mean() / direct.var(0).mean()).item())
    found = {(pair.source, pair.target): pair.composition for pair in straight.pairs}
    assert found["a", "b"] == pytest.approx(exact[0], rel=0.01)
    assert found["b", "c"] == pytest.approx(exact[1], rel=0.01)


def test_without_a_third_marginal_or_with_noise_there_is_none():
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    data = {"a": x, "b": x + 1, "c": 2 * x}
    model = multisi.fit({"z": multisi.StandardNormal(), **data}, steps=2, progress=False)
    for report in (
        model.evaluate({"a": x, "b": x + 1}, steps=4),
        model.evaluate(data, noise=0.5, steps=4),
    ):
        assert math.isnan(report.mean("composition")) and math.isnan(report.mean("holonomy"))
        assert report.to_dict()["pairs"][0]["composition"] is None
        assert "composition defect" not in str(report)
    assert not math.isnan(model.evaluate(data, steps=4).mean("holonomy"))
