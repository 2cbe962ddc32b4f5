"""Files of models that are foreign, old, new, or hold what cannot be used."""

import copy
import json
import os
import pathlib
import pickle
import re

import pytest
import safetensors.torch
import torch
from torch import nn

import multisi
from multisi.errors import CheckpointError, ConfigError, PluginWarning
from multisi.files import checkpoint
from multisi.model import loading

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
X = torch.linspace(-1, 1, 12).reshape(6, 2)


@pytest.fixture(scope="module")
def fitted():
    data = {"z": multisi.StandardNormal(), "a": X, "b": X * 2 + 1}
    return multisi.fit(data, steps=3, progress=False, network_options={"width": 16})


class Own(nn.Module):
    def __init__(self, width=2, extra=False):
        super().__init__()
        self.layer = nn.Linear(width + 2, 4)
        if extra:
            self.extra = nn.Linear(1, 1)

    def forward(self, x, alpha):
        return self.layer(torch.cat([x, alpha], 1)).reshape(-1, 2, 2)


class Payload:
    def __reduce__(self):
        return (os.system, ("touch executed",))


@pytest.mark.parametrize("write", [lambda p, f: f.write_bytes(pickle.dumps(p)), torch.save])
def test_pickle(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "m.pt"
    write(Payload(), file)
    for _ in range(2):
        with pytest.raises(CheckpointError, match="never unpickles"):
            multisi.load(file)
    assert [path.name for path in tmp_path.iterdir()] == ["m.pt"]


def test_newer_format(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
    monkeypatch.setattr(checkpoint, "__version__", "99.0")
    fitted.save(tmp_path / "m")
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"written by multisi 99\.0.*Upgrade multisi"):
        multisi.load(tmp_path / "m")


@pytest.mark.parametrize("version", range(1, checkpoint.FORMAT + 1))
def test_older_format(version):
    """The file was written when the format was new; it must load, and say the same, for ever."""
    model = multisi.load(GOLDEN / f"format-{version}.safetensors")
    expected = json.loads((GOLDEN / f"format-{version}.json").read_text())
    x = torch.tensor(expected["x"])
    for options, y in expected["moved"]:
        assert torch.allclose(model.transport(x, **options), torch.tensor(y), atol=2e-5)
    assert list(model.marginals) == expected["marginals"]


def test_missing_plugin(fitted, tmp_path):
    model = copy.deepcopy(fitted)
    model.conditional_means.recipe |= {
        "name": "wavelet",
        "distribution": "multisi-wavelet",
        "version": "3",
    }
    model.save(tmp_path / "m")
    with pytest.raises(
        CheckpointError, match=r"network 'wavelet' of multisi-wavelet 3.*pip install multisi-wa"
    ):
        multisi.load(tmp_path / "m")


def test_another_version_of_a_plugin(fitted, tmp_path, monkeypatch):
    model = copy.deepcopy(fitted)
    record = {"kind": "coupling", "name": "wavelet", "distribution": "other", "version": "1"}
    model.plugins = (record,)
    model.save(tmp_path / "m")
    here = type("Plugin", (), {"version": "2", "distribution": "other"})
    monkeypatch.setattr(loading, "find_plugin", lambda record: here)
    monkeypatch.setattr(
        loading, "means_from", lambda recipe: copy.deepcopy(fitted.conditional_means)
    )
    with pytest.warns(PluginWarning, match=r"coupling 'wavelet' of other 1; 2 is installed"):
        multisi.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Own(extra=True), r"network\.extra.weight is not in the file"),
        (Own(width=3), r"network.layer.weight has shape \(4, 5\) here, \(4, 4\) in the file"),
        (nn.Bilinear(2, 2, 4), "network.layer.weight is not in the network"),
    ],
)
def test_another_network(network, message, tmp_path):
    model = multisi.fit({"a": X, "b": X + 1}, network=Own(), steps=2, progress=False)
    model.save(tmp_path / "m")
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(CheckpointError, match=message):
        multisi.load(tmp_path / "m", network=network)
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, before[name])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["means.network.", "units.scale", "units.shift"])
def test_weights_not_finite(fitted, name, value, tmp_path):
    tensors, description = fitted.parts()
    name = next(n for n in tensors if n.startswith(name))
    tensors[name] = tensors[name].clone()
    tensors[name].view(-1)[-1] = value
    checkpoint.write(tmp_path / "m", tensors, description)
    with pytest.raises(CheckpointError, match=r"NaN or infinity|finite"):
        multisi.load(tmp_path / "m")


def test_weights_not_finite_unlike_masks(tmp_path):
    class Masked(Own):
        def __init__(self):
            super().__init__()
            self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    model = multisi.fit({"a": X, "b": X + 1}, network=Masked(), steps=2, progress=False)
    model.save(tmp_path / "m")
    loaded = multisi.load(tmp_path / "m", network=Masked())
    assert torch.equal(loaded.transport(X, "a", "b"), model.transport(X, "a", "b"))


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_another_type(fitted, kind, tmp_path):
    model = copy.deepcopy(fitted)
    model.conditional_means.to(kind)
    model.save(tmp_path / "m")
    loaded = multisi.load(tmp_path / "m", device="cpu")
    assert loaded.conditional_means.reference.dtype == kind and loaded.device.type == "cpu"
    assert torch.equal(loaded.transport(X, "a", "b"), model.transport(X, "a", "b"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_another_device(fitted, tmp_path):
    copy.deepcopy(fitted).to("cuda").save(tmp_path / "m")
    fitted.save(tmp_path / "n")
    assert (tmp_path / "m").read_bytes() == (tmp_path / "n").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"marginals": None}, "marginals must be a list of names; got None"),
        ({"marginals": ["z", "a"]}, "3 marginals.* 2 names"),
        ({"marginals": ["z", "z", "b"]}, r"none repeated; got \['z', 'z', 'b'\]"),
        ({"marginals": [1, 2, 3]}, r"list of names; got \[1, 2, 3\]"),
        ({"marginals": ["z"]}, "two or more names"),
        ({"noise": "b"}, r"first.*\['z', 'a', 'b'\].*got 'b'"),
        ({"noise": ["z"]}, r"noise must be null or the first"),
        ({"network": 3}, "network must be null or an object; got 3"),
        ({"network": {"name": "mlp"}}, "network: distribution must be a text; got None"),
        ({"network": {}}, "network: name must be a text; got None"),
        ({"plugins": 7}, "plugins must be a list of at most 100; got 7"),
        ({"plugins": [{}]}, "a plugin must be an object"),
        ({"card": [1]}, r"card must be null or an object; got \[1\]"),
        ({"noise_independent": None}, "noise_independent must be a bool; got None"),
        ({"version": None}, "version must be a text; got None"),
        ({"features": [1, 2]}, "features must be null or a list of names"),
        ({"features": ["x"]}, r"1 features for samples of shape \[2\]"),
        ({"event_shape": 3}, "event_shape must be null or a list of sizes; got 3"),
        ({"event_shape": [3]}, r"event_shape is \[3\], and that of the network \[2\]"),
        ({"event_shape": [True]}, "event_shape must be null or a list of sizes"),
    ],
    ids=str,
)
def test_nonsense_with_a_hash(fitted, change, message, tmp_path):
    tensors, description = fitted.parts()
    checkpoint.write(tmp_path / "m", tensors, description | change)
    with pytest.raises(CheckpointError, match=f"not that of a model: .*{message}"):
        multisi.load(tmp_path / "m")


@pytest.mark.parametrize(
    "metadata",
    ["", "1", "null", "[]", '["{}"]', "[1, 2]", '[null, "x"]', '{"a": 1}', "[" * 9999, '["", ""]'],
    ids=lambda text: text[:9],
)
def test_nonsense_without_a_hash(metadata, tmp_path):
    safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "m", {"multisi": metadata})
    with pytest.raises(CheckpointError, match="altered or damaged"):
        multisi.load(tmp_path / "m")


def test_nonsense_that_is_no_object(tmp_path):
    for text in ("3", "[]", "null", "nonsense"):
        digest = checkpoint._hash(text, {})
        metadata = {"multisi": json.dumps([text, digest])}
        (tmp_path / "m").write_bytes(safetensors.torch.save({}, metadata))
        with pytest.raises(CheckpointError, match="altered or damaged"):
            multisi.load(tmp_path / "m")


@pytest.mark.parametrize("path", ["", "a\0b", 3, None, b"m", ["m"]])
def test_unusable_place(fitted, path):
    with pytest.raises(ConfigError, match=f"path of a file.*{re.escape(repr(path))}"):
        fitted.save(path)
    with pytest.raises(ConfigError, match=f"path of a file.*{re.escape(repr(path))}"):
        multisi.load(path)


def test_unusable_place_unlike_links(fitted, tmp_path):
    (tmp_path / "link").symlink_to("target")
    fitted.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and multisi.load(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="is not a regular file"):
        fitted.save(tmp_path / "pipe")


def test_unwritable_card(fitted, tmp_path):
    model = copy.deepcopy(fitted)
    model.card["own"] = {1, 2}
    with pytest.raises(CheckpointError, match="must be JSON values"):
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())
