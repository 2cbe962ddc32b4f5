import pytest
import torch

import multisi
from multisi import Marginal, StandardNormal
from multisi.analysis import few_calls
from multisi.couplings.rectified import Rectified
from multisi.data.prepare import prepare
from multisi.errors import ConfigError
from tests.closed_forms import mixtures, sample_mixture

X = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
SMALL = {"network_options": {"width": 32, "depth": 2}, "batch_size": 64, "progress": False}


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
    edge = torch.tensor([0.0, 0.5, 0.5]).expand(256, -1)
    draws = [coupling.sample_at(edge, seed=0, step=step)[0] for step in range(12)]
    assert torch.equal(draws[1], coupling.sample_at(edge, seed=0, step=1)[0])
    xs = torch.cat(draws)
    moved = model.transport(xs[:, 1], "a", "b", steps=16)
    assert (moved - xs[:, 2]).abs().median() < 0.02
    for k, x in ((1, data["a"]), (2, data["b"])):
        assert multisi.metrics.energy_distance(xs[:, k], x) < 0.02
        # The hub of each row is one of the two ends, whose rows are data.
        is_data = (xs[:, k, None] == x[None]).all(2).any(1).float().mean()
        assert 0.4 < is_data < 0.6
    anywhere = torch.cat([coupling.sample(256, seed=0, step=step) for step in range(6)])
    assert multisi.metrics.energy_distance(anywhere[:, 0], torch.randn(2000, 2)) < 0.02
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


def test_rounds_continue_from_the_model_and_are_judged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, _ = exact()
    first = multisi.fit(data, coupling="independent", steps=200, **SMALL)
    before = {n: p.clone() for n, p in first.conditional_means.state_dict().items()}
    last = first.rectify(2, held_out=data, coupling_options={"rows": 256}, steps=150)
    rounds = last.card["rounds"]
    assert [list(r["energy_distances"]) for r in rounds] == 3 * [[1, 2, 4, 8, 64]]
    assert rounds[2]["energy_distances"][1] < 0.5 * rounds[0]["energy_distances"][1]
    assert all(torch.equal(before[n], p) for n, p in first.conditional_means.state_dict().items())
    last.save("straight.safetensors")
    again = multisi.load("straight.safetensors")
    assert torch.equal(again.transport(X, "a", "b"), last.transport(X, "a", "b"))
    with pytest.raises(ConfigError, match=r"coupling='rectified', .*network=model"):
        again.rectify()
    options = {"coupling": "rectified", "coupling_options": {"model": again, "rows": 64}}
    more = multisi.fit(data, network=again, **options, steps=1, progress=False)
    assert torch.equal(more.standardiser.scale, again.standardiser.scale)


def test_what_cannot_be_continued():
    data, _ = exact()
    model = multisi.fit(data, steps=1, **SMALL)
    options = {"steps": 1, "progress": False}
    for others, what in (
        ({"a": data["a"], "c": data["b"]}, "marginals"),
        ({"z": StandardNormal(), **data}, "marginals"),
        ({"a": X[:, :1], "b": X[:, 1:]}, "event shape"),
        ({"a": Marginal(data["a"], condition=data["b"]), "b": data["b"]}, "condition"),
    ):
        with pytest.raises(ConfigError, match=f"of the same .*{what}"):
            multisi.fit(others, network=model, **options)
    with pytest.raises(ConfigError, match="the model has its own"):
        multisi.fit(data, network=model, network_options={"width": 8}, **options)
    for rounds in (0, 1.5, "two"):
        with pytest.raises(ConfigError, match="rounds must"):
            model.rectify(rounds)
    with pytest.raises(ConfigError, match="coupling cannot be an option here: rectify sets it"):
        model.rectify(1, coupling="ot")


def test_few_calls_of_an_exact_model():
    data, model = exact()
    found = few_calls(model, data, [1, 3, 64], samples=500)
    assert list(found.energy_distances) == [1, 3, 64]
    assert found.energy_distances[64] < 0.02 < found.energy_distances[1]
    assert found.npe > 0 and str(found).startswith("calls 1: ")
    with pytest.raises(ConfigError, match="calls must"):
        few_calls(model, data, [0])
    with pytest.raises(ConfigError, match="got an empty one"):
        few_calls(model, data, [])
    with pytest.raises(ConfigError, match="model must"):
        few_calls("model", data)


def test_a_model_of_others():
    data, model = exact()
    with pytest.raises(ConfigError, match=r"must have the marginals \['a', 'b'\]; got \('z', 'a'"):
        Rectified(list(prepare(data).values()), model)
    with pytest.raises(ConfigError, match="got None"):
        Rectified([Marginal(X), Marginal(X)], "model")
