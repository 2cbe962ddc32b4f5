import copy
import json
import os
import pickle

import pytest
import safetensors.torch
import torch

import multisi
from multisi.errors import CheckpointError
from multisi.files import checkpoint
from tests.closed_forms import mixtures

X = torch.linspace(-1, 1, 12).reshape(6, 2)


@pytest.fixture(scope="module")
def fitted():
    data = {"a": X, "b": X * 2 + 1, "z": multisi.StandardNormal()}
    return multisi.fit(data, steps=3, progress=False, network_options={"width": 16})


class Own(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 4)

    def forward(self, x, alpha):
        return self.layer(torch.cat([x, alpha], 1)).reshape(-1, 2, 2)


def test_round_trip(fitted, tmp_path):
    file = tmp_path / "m.safetensors"
    fitted.save(file)
    loaded = multisi.load(file)
    assert loaded.marginals == ("z", "a", "b") and loaded.noise == "z"
    for options in ({}, {"noise": 0.5, "seed": 1}):
        assert torch.equal(
            loaded.transport(X, "a", "b", **options), fitted.transport(X, "a", "b", **options)
        )
    again = tmp_path / "again.safetensors"
    loaded.save(again)
    assert again.read_bytes() == file.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.safetensors", "m.safetensors"]


def test_mixtures_round_trip_in_float64(tmp_path):
    model = multisi.Model(multisi.GaussianMixtureMeans(*mixtures()), ("z", "a", "b"), "z")
    model.save(tmp_path / "m")
    x = X.double()
    loaded = multisi.load(tmp_path / "m")
    assert torch.equal(loaded.transport(x, "a", "b"), model.transport(x, "a", "b"))
    assert isinstance(loaded.conditional_means, multisi.GaussianMixtureMeans)


def test_networks_of_ones_own(tmp_path):
    model = multisi.fit({"a": X, "b": X + 1}, network=Own(), steps=2, progress=False)
    model.save(tmp_path / "m")
    with pytest.raises(CheckpointError, match=r"load\(path, network=\.\.\.\)"):
        multisi.load(tmp_path / "m")
    loaded = multisi.load(tmp_path / "m", network=Own())
    assert torch.equal(loaded.transport(X, "a", "b"), model.transport(X, "a", "b"))
    with pytest.raises(CheckpointError, match="do not fit the network"):
        multisi.load(tmp_path / "m", network=torch.nn.Linear(2, 2))


@pytest.mark.parametrize("kind", ["text", "empty", "folder", "missing"])
def test_another_kind_of_file(kind, tmp_path):
    file = tmp_path / "m.safetensors"
    if kind == "folder":
        file.mkdir()
    elif kind != "missing":
        file.write_text("a model" if kind == "text" else "")
    with pytest.raises(CheckpointError, match=r"m\.safetensors"):
        multisi.load(file)


def test_foreign_safetensors(tmp_path):
    file = tmp_path / "m"
    safetensors.torch.save_file({"x": torch.zeros(2)}, file)
    with pytest.raises(CheckpointError, match="not written by multisi"):
        multisi.load(file)


def test_changed_or_cut_at_any_byte(fitted, tmp_path):
    file = tmp_path / "m"
    fitted.save(file)
    data = file.read_bytes()
    step = max(1, len(data) // 150)
    for place in range(0, len(data), step):
        for changed in (
            data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :],
            data[:place],
        ):
            file.write_bytes(changed)
            with pytest.raises(CheckpointError, match=r"altered or damaged|safetensors file"):
                multisi.load(file)


def test_failed_writes_leave_the_old_file(fitted, tmp_path, monkeypatch):
    file = tmp_path / "m"
    fitted.save(file)
    kept = file.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        fitted.save(file)
    assert file.read_bytes() == kept and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(CheckpointError, match="could not be written"):
        fitted.save(tmp_path / "nowhere" / "m")


def test_the_header_says_what_it_is(fitted, tmp_path):
    fitted.save(tmp_path / "m")
    tensors, description = checkpoint.read(tmp_path / "m")
    assert description["marginals"] == ["z", "a", "b"] and description["noise"] == "z"
    assert description["network"]["name"] == "mlp"
    assert description["network"]["options"] == {"width": 16}
    assert all(name.startswith(("means.", "units.")) for name in tensors)
    assert json.dumps(description)


def test_models_can_be_copied_moved_and_pickled(fitted):
    expected = fitted.transport(X, "a", "b", noise=0.5, seed=3)
    for model in (
        copy.deepcopy(fitted),
        copy.copy(fitted),
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted).to("cpu"),
    ):
        assert torch.equal(model.transport(X, "a", "b", noise=0.5, seed=3), expected)
    exact = multisi.Model(
        multisi.GaussianMixtureMeans(
            [torch.ones(1)] * 2, [X[:1], X[1:2]], [torch.eye(2)[None]] * 2
        ),
        ["a", "b"],
    )
    moved = pickle.loads(pickle.dumps(exact)).transport(X, "a", "b")
    assert torch.equal(moved, exact.transport(X, "a", "b"))
    assert isinstance(copy.deepcopy(fitted).conditional_means, multisi.ConditionalMeans)


class Tied(Own):
    def __init__(self):
        super().__init__()
        self.again = self.layer


def test_networks_with_tied_weights(tmp_path):
    model = multisi.fit({"a": X, "b": X + 1}, network=Tied(), steps=2, progress=False)
    model.save(tmp_path / "m")
    loaded = multisi.load(tmp_path / "m", network=Tied())
    assert torch.equal(loaded.transport(X, "a", "b"), model.transport(X, "a", "b"))
    one = torch.eye(2)[None]
    means = multisi.GaussianMixtureMeans([torch.ones(1)] * 2, [X[:1], X[1:2]], [one, one])
    multisi.Model(means, ["a", "b"]).save(tmp_path / "m")
    assert multisi.load(tmp_path / "m").marginals == ("a", "b")
