import pytest
import torch

import multisi
from multisi import StandardNormal
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
