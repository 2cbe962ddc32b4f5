import pytest
import torch

import multisi
from multisi import Marginal, StandardNormal
from multisi.couplings.rectified import Rectified
from multisi.data.prepare import prepare
from multisi.errors import ConfigError
from tests.closed_forms import mixtures, sample_mixture

X = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))


def exact():
    parts = mixtures(d=2)
    data = {
        n: sample_mixture(*(p[k] for p in parts), 2000, k).float() for k, n in ((1, "a"), (2, "b"))
    }
    model = multisi.Model(multisi.GaussianMixtureMeans(*parts), ["z", "a", "b"], noise="z")
    return data, model


def test_a_model_makes_its_own_coupling():
    data, model = exact()
    ready = list(prepare({"z": StandardNormal(), **data}).values())
    coupling = Rectified(ready, model, rows=256, reuse=1, pool=6, steps=16)
    xs = torch.cat([coupling.sample(256, seed=0, step=step) for step in range(12)])
    assert torch.equal(xs[256:512], coupling.sample(256, seed=0, step=1))
    moved = model.transport(xs[:, 1], "a", "b", steps=16)
    assert (moved - xs[:, 2]).abs().median() < 0.02
    for k, x in ((0, torch.randn(2000, 2)), (1, data["a"]), (2, data["b"])):
        assert multisi.metrics.energy_distance(xs[:, k], x) < 0.02
    assert not coupling.noise_independent


def test_rectified_models_need_fewer_steps():
    data, _ = exact()
    exactly = multisi.GaussianMixtureMeans(*(p[1:] for p in mixtures(d=2)))
    first = multisi.Model(exactly, ["a", "b"])
    options = {"model": first, "steps": 16}
    second = multisi.fit(
        data, coupling="rectified", coupling_options=options, steps=400, progress=False
    )

    def bend(model):
        ends = [model.transport(data["a"], "a", "b", steps=n, solver="euler") for n in (32, 1)]
        return (ends[0] - ends[1]).square().mean()

    assert bend(second) < 0.3 * bend(first)


def test_a_model_of_others():
    data, model = exact()
    with pytest.raises(ConfigError, match=r"must have the marginals \['a', 'b'\]; got \('z', 'a'"):
        Rectified(list(prepare(data).values()), model)
    with pytest.raises(ConfigError, match="got None"):
        Rectified([Marginal(X), Marginal(X)], "model")
