import pytest
import torch

import multisi
from multisi import Marginal, StandardNormal
from multisi.couplings.data_dependent import DataDependent
from multisi.data.prepare import prepare
from multisi.errors import ConfigError, ShapeError

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
        (
            dict(made="low", of="low"),
            ConfigError,
            "different names of .*'low', 'high', 'other'.*got 'low'",
        ),
        (dict(made="noise", of="high"), ConfigError, "got 'noise' and 'high'"),
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


def test_several_are_made_of_one():
    maps = [lambda x, source: x / 2, lambda x, source: x + 1]
    data = list(prepare({k: DATA[k] for k in ("low", "high", "other")}).values())
    xs = DataDependent(data, ["low", "other"], "high", maps).sample(50, seed=0, step=0)
    assert torch.equal(xs[:, 0], xs[:, 1] / 2) and torch.equal(xs[:, 2], xs[:, 1] + 1)
    with pytest.raises(ConfigError, match=r"for each of \['low', 'other'\]"):
        DataDependent(data, ["low", "other"], "high", maps[:1])
    with pytest.raises(ConfigError, match="different names"):
        DataDependent(data, ["low", "low"], "high", maps)


def test_the_network_is_told_what_is_left():
    """Of the row with a weight at each point, without the noise."""
    maps = [lambda x, source: x / 2, lambda x, source: x + 1]
    data = list(prepare({k: DATA[k] for k in ("low", "high", "other")}).values())
    coupling = DataDependent(data, ["low", "other"], "high", maps, sigma=0.5, told=True)
    alpha = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]).repeat(20, 1)
    xs, told = coupling.sample_at(alpha, seed=0, step=0)
    assert torch.equal(xs, coupling.sample(40, seed=0, step=0))
    assert torch.equal(told[::2], xs[::2, 1] / 2) and torch.equal(told[1::2], xs[1::2, 1] + 1)
    assert not torch.equal(told[::2], xs[::2, 0])
    assert torch.equal(coupling.condition(40, seed=0, step=0), xs[:, 1] / 2)
    data = list(prepare({"low": Marginal(X, condition=X), "high": X}).values())
    with pytest.raises(ConfigError, match="What is told is the condition"):
        DataDependent(data, "low", "high", masked, told=True)


@pytest.mark.parametrize("network", ["mlp", "unet", "transformer"])
def test_networks_are_told(network):
    x = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    options = {"made": "low", "of": "high", "corrupt": lambda x, source: x / 2, "told": True}
    model = multisi.fit(
        {"low": x / 2, "high": x},
        network=network,
        coupling="data-dependent",
        coupling_options=options,
        batch_size=16,
        steps=2,
        progress=False,
    )
    moved = model.transport(x / 2, "low", "high", condition=(x / 2).flatten(1), steps=2)
    assert moved.shape == x.shape
    with pytest.raises(ShapeError, match="a condition of 16 features; got 0"):
        model.transport(x / 2, "low", "high", steps=2)
