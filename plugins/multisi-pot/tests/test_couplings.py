import numpy as np
import pytest
import torch

import multisi
from multisi.errors import ConfigError
from multisi.testing import check_coupling


def make(name, marginals, **options):
    return multisi.registry.create("coupling", name, multisi.Coupling, marginals, **options)


@pytest.mark.parametrize("options", [{}, {"epsilon": 0.5}, {"batch": 64}])
def test_entropic_contract(options):
    check_coupling("pot-entropic", **options)


@pytest.mark.parametrize("name", ["pot-unbalanced", "pot-partial"])
def test_contract_but_for_the_laws_which_are_changed_on_purpose(name):
    check_coupling(name, skip=("laws",))


def two_sets(n=400, outliers=0):
    source = torch.Generator().manual_seed(0)
    a = torch.randn(n, 2, generator=source)
    b = torch.randn(n, 2, generator=source) + 3
    b[:outliers] += 100
    return [multisi.Marginal(a), multisi.Marginal(b)]


def mean_cost(coupling):
    xs = coupling.sample(256, seed=0, step=0)
    return (xs[:, 0] - xs[:, 1]).square().sum(1).mean().item()


def test_less_regularisation_is_nearer():
    costs = [mean_cost(make("pot-entropic", two_sets(), epsilon=e)) for e in (0.01, 0.1, 10)]
    assert costs[0] < costs[1] < costs[2]
    assert costs[2] == pytest.approx(mean_cost(make("independent", two_sets())), rel=0.2)


@pytest.mark.parametrize("name", ["pot-unbalanced", "pot-partial"])
def test_outliers_are_left_out(name):
    data = two_sets(outliers=20)

    def share(coupling):
        draws = [coupling.sample(200, seed=0, step=step)[:, 1] for step in range(9)]
        return np.mean([(draw > 50).any(1).float().mean() for draw in draws])

    drawn = {other: share(make(other, data)) for other in ("independent", name)}
    assert drawn["independent"] > 0.03 and drawn[name] < 0.005


def test_many_marginals_and_one():
    data = [multisi.StandardNormal(), *two_sets(), *two_sets()]
    assert make("pot-entropic", data).sample(32, seed=0, step=1).shape == (32, 5, 2)
    alone = [multisi.StandardNormal(), two_sets()[0]]
    assert make("pot-partial", alone).sample(7, seed=0, step=1).shape == (7, 2, 2)


def test_bad_options():
    for options in ({"epsilon": 0}, {"batch": 1}):
        with pytest.raises(ConfigError, match="must be"):
            make("pot-entropic", two_sets(), **options)
    with pytest.raises(ConfigError, match="mass must be above 0 and at most 1; got 2"):
        make("pot-partial", two_sets(), mass=2)


def test_in_a_fit(tmp_path):
    a, b = (m.samples for m in two_sets())
    model = multisi.fit({"a": a, "b": b}, coupling="pot-entropic", steps=20, progress=False)
    model.save(tmp_path / "m.safetensors")
    moved = multisi.load(tmp_path / "m.safetensors").transport(a[:5], "a", "b")
    assert torch.equal(moved, model.transport(a[:5], "a", "b"))
