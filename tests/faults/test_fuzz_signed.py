"""Changed checkpoints and metadata, and nonsense that is signed: refused, or what was written."""

import copy
import json
import random
import sys

import pytest
import torch

import multisi
from multisi.cli import inspect
from multisi.errors import CheckpointError, ConfigError
from multisi.files import checkpoint
from multisi.registry.manager import Registry
from multisi.training import Batches, Schedule, Training
from multisi.training.run_folder import RunFolder
from tests.closed_forms import files_hold_complex
from tests.faults.test_fuzz import mutated, within_bounds

X = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
DATA = {"z": multisi.StandardNormal(), "a": X, "b": X + 1}
SIZES = {"width": 8, "depth": 1}
NAME = "step-000000002.safetensors"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The bytes of a checkpoint, and a training with a folder that resumes from it."""
    place = tmp_path_factory.mktemp("run")
    options = {"network_options": SIZES, "batch_size": 8, "seed": 0, "progress": False}
    multisi.fit(DATA, steps=2, run_dir=place, **options)
    data = (place / NAME).read_bytes()
    batches = Batches(DATA, batch_size=8, device="cpu")
    training = Training(batches.means("mlp", **SIZES), batches, Schedule(steps=2, batch_size=8))
    described = batches.model(training.average.means).parts
    told = checkpoint.read(place / NAME)[1]["training"]["options"]
    return place / NAME, data, training, RunFolder(place, told, described)


def state(training):
    tensors, numbers = training.state()
    average = training.average.means.state_dict()
    return {n: t.clone() for n, t in (tensors | average).items()}, dict(numbers)


def equal(one, other):
    return (
        one[1] == other[1]
        and one[0].keys() == other[0].keys()
        and all(torch.equal(one[0][n], t) or t.isnan().all() for n, t in other[0].items())
    )


def resumed(training, folder):
    """Whether the run was resumed; if not, nothing may have changed."""
    before = state(training)
    generator = torch.get_rng_state()
    try:
        with within_bounds():
            folder.restore(training, resume=True)
    except (CheckpointError, ConfigError):
        assert equal(before, state(training))
        return False
    finally:
        torch.set_rng_state(generator)
    return True


@pytest.mark.parametrize("part", range(4))
def test_changed_checkpoints_in_two_thousand_resumes(part, run):
    """Each is refused, and nothing is half restored, or it is what was written."""
    file, data, training, folder = run
    file.write_bytes(data)
    assert resumed(training, folder)
    right = state(training)
    source, refused = random.Random(part), 0
    for _ in range(500):
        file.write_bytes(mutated(data, source))
        refused += not resumed(training, folder)
        assert equal(state(training), right)
    assert refused > 450


ODD = [None, True, 0, -1, 3, 10**30, 0.5, float("nan"), "", "x", "\x1b[2J", [], [1], {}, {"a": 1}]


def nonsense(value, source):
    """A JSON value of which one part was replaced, removed, repeated or nested."""
    parts = []

    def walk(found):
        for key in found if isinstance(found, dict) else range(len(found)):
            parts.append((found, key))
            if isinstance(found[key], dict | list):
                walk(found[key])

    walk(value)
    inside, key = source.choice(parts)
    way = source.randrange(4)
    if way == 0:
        del inside[key]
    elif way == 1:
        inside[key] = [inside[key]]
    else:
        inside[key] = copy.deepcopy(source.choice(ODD))


OTHER = torch.complex64 if files_hold_complex() else torch.int8


def odd_tensor(tensors, source):
    name = source.choice(sorted(tensors))
    tensor = tensors[name]
    numbers = torch.randn(
        tensor.shape, generator=torch.Generator().manual_seed(source.randrange(9))
    )
    tensors[name] = source.choice(
        [
            tensor.to(OTHER), tensor.double(), tensor.to(torch.int64), tensor.half(),
            tensor[None], tensor.reshape(-1)[:1], numbers * float("nan"), numbers / 0, -numbers,
        ]
    )  # fmt: skip
    if source.randrange(4) == 0:
        del tensors[name]


@pytest.mark.parametrize("part", range(2))
def test_signed_nonsense_in_a_thousand_files(part, run):
    """With a right hash and a wrong meaning: refused, or shown and used without an accident."""
    file, data, training, folder = run
    file.write_bytes(data)
    tensors, description = checkpoint.read(file)
    source, refused = random.Random(part), 0
    for _ in range(500):
        changed, told = dict(tensors), copy.deepcopy(description)
        if source.randrange(2):
            nonsense(told, source)
        else:
            odd_tensor(changed, source)
        checkpoint.write(file, changed, told)
        try:
            with within_bounds():
                shown = inspect.text(inspect.description(file))
                model = multisi.load(file)
            assert all(line.isprintable() for line in shown.splitlines())
            assert torch.isfinite(model.transport(X, *model.marginals[:2], steps=2)).all()
        except CheckpointError as error:
            assert str(error).isprintable()
            refused += 1
        resumed(training, folder)
        assert all(t.isfinite().all() for t in training.average.means.state_dict().values())
    assert refused > 80


@pytest.mark.parametrize("name", ["entry_points.txt", "METADATA"])
def test_damaged_metadata_in_two_thousand_files(name, tmp_path, monkeypatch):
    """The registry lists what it can read, and always what is built in."""
    (tmp_path / "fuzzed_plugin.py").write_text(
        "import multisi\n@multisi.hookimpl\n"
        "def multisi_register_paths():\n    return {'own': dict}\n"
    )
    info = tmp_path / "fuzzed_multisi-1.0.dist-info"
    info.mkdir()
    texts = {
        "entry_points.txt": "[console_scripts]\na = b:c\n\n[multisi]\nown = fuzzed_plugin\n",
        "METADATA": "Metadata-Version: 2.1\nName: fuzzed-multisi\nVersion: 1.0\n"
        "Requires-Dist: multisi>=0.1; extra == 'x'\nRequires-Dist: torch\n\nA text.\n",
    }
    for file, text in texts.items():
        (info / file).write_text(text)
    builtin = {p.name for p in Registry().plugins("multisi")}
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert "own" in {p.name for p in Registry().plugins()}
    source, found = random.Random(0), 0
    for _ in range(1000):
        whole = len(texts[name]).to_bytes(8, "little") + texts[name].encode()
        (info / name).write_bytes(mutated(whole, source)[8:])
        with within_bounds():
            plugins = Registry().plugins()
        assert builtin <= {p.name for p in plugins if p.distribution == "multisi"}
        assert all("".join(p.to_dict().values()).isprintable() for p in plugins)
        json.dumps([plugin.to_dict() for plugin in plugins])
        found += len(plugins) > len(builtin)
    assert found > 300
