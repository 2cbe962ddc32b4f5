"""Couplings whose rows are made: of other data, or by a model."""

import pytest
import torch

import multisi
from multisi import Marginal, StandardNormal, registry
from multisi.couplings import Coupling
from multisi.couplings.data_dependent import DataDependent
from multisi.couplings.rectified import Rectified
from multisi.data.marginals import prepare
from multisi.errors import ConfigError, ShapeError
from tests.closed_forms import mixtures, sample_mixture

X = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
DATA = {"noise": StandardNormal(), "low": X * 0.5, "high": X, "other": X + 9}


def masked(x, source):
    return x * (torch.rand(x.shape, generator=source) < 0.5)


def test_rows_are_made_anew_at_every_step():
    data = list(prepare(DATA).values())
    coupling = DataDependent(data, "low", "high", masked, sigma=0.1)
    xs = coupling.sample(4000, seed=0, step=0)
    assert torch.equal(xs, coupling.sample(4000, seed=0, step=0))
    rest = xs[:, 1] - xs[:, 2]
    dropped = xs[:, 2].abs() > 1
    kept = (rest.abs() < 0.5)[dropped].double().mean()
    assert 0.45 < kept < 0.55
    assert rest[dropped & (rest.abs() < 0.5)].std() == pytest.approx(0.1, rel=0.3)
    assert abs(torch.corrcoef(torch.stack([xs[:, 2, 0], xs[:, 3, 0]]))[0, 1]) < 0.06


def test_restoration():
    """From what is left of x, to x: by name, through fit."""
    options = {"made": "low", "of": "high", "corrupt": lambda x, source: x / 2, "sigma": 0.05}
    data = {"low": X / 2, "high": X}
    model = multisi.fit(
        data, coupling="data-dependent", coupling_options=options, steps=300, progress=False
    )
    restored = model.transport(X / 2, "low", "high")
    assert (restored - X).square().mean() < 0.05


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(made="low", of="low"), ConfigError, "two of .*'low', 'high', 'other'.*got 'low'"),
        (dict(made="noise", of="high"), ConfigError, "got 'noise', 'high'"),
        (dict(made="low", of="high", corrupt=3), ConfigError, "corrupt must be a function"),
        (dict(made="low", of="high", sigma=-1), ConfigError, "sigma must be"),
        (dict(made="low", of="high", corrupt=lambda x, s: x[:, :1]), ShapeError, "keep shape"),
    ],
)
def test_bad_making(options, error, message):
    with pytest.raises(error, match=message):
        DataDependent(list(prepare(DATA).values()), **{"corrupt": masked, **options}).sample(
            5, seed=0, step=0
        )


def test_options_that_are_missing_are_named():
    for name in ("data-dependent", "rectified"):
        with pytest.raises(ConfigError, match=f"coupling '{name}'.*missing"):
            registry.create("coupling", name, Coupling, list(prepare(DATA).values()))


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
