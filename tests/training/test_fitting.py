import os
import signal

import numpy as np
import pytest
import torch

import multisi
from multisi.errors import (
    ConfigError,
    DataError,
    ShapeError,
    TrainingDivergedError,
    UnknownPluginError,
)
from tests.closed_forms import mixtures, sample_mixture

X = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
DATA = {"a": X, "z": multisi.StandardNormal(), "b": X * 0.5 + 2}


def fit(marginals=DATA, **options):
    return multisi.fit(marginals, **{"steps": 5, "progress": False} | options)


def test_one_seed_one_result():
    def run(seed):
        torch.manual_seed(os.getpid() % 7)
        np.random.seed(os.getpid() % 5)
        torch.rand(int(torch.randint(9, ())))
        before = torch.get_rng_state(), np.random.get_state()[1].copy()
        model = fit(seed=seed)
        moved = model.transport(X, "a", "b", noise=0.5, seed=seed)
        assert torch.equal(before[0], torch.get_rng_state())
        assert (before[1] == np.random.get_state()[1]).all()
        return moved

    assert torch.equal(run(3), run(3))
    assert not torch.equal(run(3), run(4))


def test_it_learns():
    parts = mixtures(d=2)
    train, held_out = (
        {n: sample_mixture(*(p[k] for p in parts), 2000, seed) for n, k, seed in rows}
        for rows in ((("a", 1, 0), ("b", 2, 1)), (("a", 1, 2), ("b", 2, 3)))
    )
    model = fit({"z": multisi.StandardNormal(), **train}, steps=600)
    report = model.evaluate(held_out, samples=1000)
    assert report.mean("energy_distance") < 0.02
    assert report.mean("gaussian") > 0.3
    noisy = model.evaluate(held_out, samples=1000, noise=0.5)
    assert noisy.mean("energy_distance") < 0.03


def test_images_and_scalars():
    images = torch.rand(20, 3, 4, 4)
    model = fit({"a": images, "b": 1 - images})
    assert model.transport(images, "a", "b").shape == images.shape
    model = fit({"a": images[:, 0, 0, 0], "z": multisi.StandardNormal()})
    assert model.transport(images[:, 0, 0, 0], "a", "z").shape == (20,)


class Same(multisi.Coupling):
    noise_independent = False

    def sample(self, n, *, seed, step):
        rows = torch.randint(200, (n,), generator=torch.Generator().manual_seed(seed + step))
        return torch.stack([X[rows], X[rows], X[rows] * 0.5 + 2], 1)


def test_coupling_by_name_and_by_hand():
    fit(coupling="paired")
    model = fit(coupling=Same())
    assert not model.noise_independent


def test_max_seconds():
    model = fit(steps=10**9, max_seconds=0.3)
    assert model.marginals == ("z", "a", "b")


class Broken(torch.nn.Module):
    def __init__(self, answer, late=False):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.answer, self.late, self.calls = answer, late, 0

    def forward(self, x, alpha):
        self.calls += 1
        if self.late and self.calls < 3:
            return self.weight * x.new_zeros(len(x), alpha.shape[1], 2)
        return self.weight * self.answer(x, alpha)


def nan(x, alpha):
    return x.new_full((len(x), alpha.shape[1], 2), float("nan"))


CASES = [
    (dict(marginals={"a": X}), DataError, "At least 2 marginals"),
    (dict(marginals={"a": X, "b": X[:, :1]}), ShapeError, "same event shape"),
    (dict(network="mpl"), UnknownPluginError, "Did you mean 'mlp'"),
    (dict(coupling="indep"), UnknownPluginError, "Known: auto, class-aware, data-dependent, "),
    (dict(network_options={"widht": 3}), ConfigError, "network 'mlp': .*widht"),
    (dict(network=torch.nn.Identity()), ConfigError, r"network\(x, alpha\).*Identity"),
    (dict(network=Broken(lambda x, a: x)), ShapeError, r"shape \(256, 3, 2\); got \(256, 2\)"),
    (dict(network=Broken(nan)), TrainingDivergedError, "before the first step"),
    (dict(network=Broken(nan, late=True), steps=99), TrainingDivergedError, "for 20 steps"),
    (dict(network=Broken(nan), network_options={"a": 1}), ConfigError, "given by name"),
    (dict(coupling=Same(), coupling_options={"a": 1}), ConfigError, "given by name"),
    (dict(shard=1, run_dir="run"), ConfigError, "shard .*bool.* 1"),
    (dict(shard=True), ConfigError, "shard=True needs run_dir"),
    (dict(network=None), ConfigError, "network must be a module or a function"),
    (dict(network=torch.nn.Linear), ConfigError, "must be a module or a function"),
    (dict(coupling=3), ConfigError, "coupling must be an instance of Coupling; got 3"),
]


@pytest.mark.parametrize(("options", "error", "message"), CASES)
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        fit(**options)


def test_couplings_of_a_wrong_shape():
    class Flat(multisi.Coupling):
        def sample(self, n, *, seed, step):
            return torch.zeros(n, 2)

    with pytest.raises(
        ShapeError,
        match=r"must draw shape \(256, 3, 2\), floating point and dense; got \(256, 2\)",
    ):
        fit(coupling=Flat())


def test_interrupted_training_is_saved(tmp_path, capsys):
    class Interrupting(multisi.Coupling):
        def sample(self, n, *, seed, step):
            if step >= 20:  # Python drops an exception that meets a callback of the collector.
                os.kill(os.getpid(), signal.SIGINT)
            return torch.randn(n, 2, 2)

    rescue = tmp_path / "rescue.safetensors"
    # A shell lets what it starts in the background ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt, match=r"^$"):
                fit({"a": X, "b": X + 1}, coupling=Interrupting(), steps=100, rescue=rescue)
    finally:
        signal.signal(signal.SIGINT, before)
    shown = capsys.readouterr().err
    for name in ("rescue.safetensors", "rescue-2.safetensors"):
        assert str(tmp_path / name) in shown
        assert multisi.load(tmp_path / name).transport(X, "a", "b").shape == X.shape


def test_interrupted_where_nothing_can_be_written(tmp_path, capsys, monkeypatch):
    class Interrupting(multisi.Coupling):
        def sample(self, n, *, seed, step):
            if step == 3:
                raise KeyboardInterrupt
            return torch.randn(n, 2, 2)

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        fit({"a": X, "b": X}, coupling=Interrupting(), rescue=tmp_path / "gone" / "m.safetensors")
    assert str(tmp_path / "m.safetensors") in capsys.readouterr().err
    assert multisi.load(tmp_path / "m.safetensors").marginals == ("a", "b")


def test_large_offsets_lose_no_digits():
    """Times in seconds since 1970, say: float32 has steps of 128 there."""
    x = X.double()
    plain, far = (
        fit({"a": x + shift, "b": 0.5 * x + 2 + shift}, steps=50, seed=1) for shift in (0, 1.7e9)
    )
    moved = far.transport(x + 1.7e9, "a", "b") - 1.7e9
    assert torch.allclose(moved, plain.transport(x, "a", "b"), atol=1e-2)
    with pytest.raises(DataError, match="between 1e-30 and 1e30"):
        fit({"a": x * 1e35, "b": x * 1e35})


def test_silent_without_a_terminal(capsys):
    fit(progress=True).transport(X, "a", "b", progress=True)
    assert capsys.readouterr() == ("", "")
