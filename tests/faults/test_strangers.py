"""Files and plugins of strangers: what they ask for, and what they do to the rest."""

import copy
import json
import os
import pathlib
import resource
import subprocess
import sys
import textwrap
import time

import pytest
import torch
from torch import nn

import multisi
from multisi.cli.parser import main
from multisi.errors import CheckpointError, PluginError
from multisi.files import checkpoint
from tests.closed_forms import files_hold_complex

ROOT = pathlib.Path(multisi.__file__).parents[1]
X = torch.linspace(-1, 1, 12).reshape(6, 2)


@pytest.fixture(scope="module")
def fitted():
    data = {"z": multisi.StandardNormal(), "a": X, "b": X * 2 + 1}
    options = {"width": 8, "depth": 1}
    return multisi.fit(data, steps=2, progress=False, network_options=options)


def signed(model, folder, change, tensors=None):
    """A file with a valid hash, whose description and tensors were changed."""
    own, description = copy.deepcopy(model.parts())
    change(description)
    checkpoint.write(folder / "m", own | (tensors or {}), description)
    return folder / "m"


def recipe(**changes):
    return lambda d: d["network"].update(changes)


def options(**changes):
    return lambda d: d["network"]["options"].update(changes)


def shapes(*shape):
    def change(d):
        d["event_shape"] = d["network"]["event_shape"] = list(shape)

    return change


def names(count, distribution=True):
    def change(d):
        d["marginals"] = ["z", *(str(i) for i in range(count - 1))]
        if distribution:
            d["network"]["marginals"] = count
        else:
            d["network"] = {"name": "gaussian-mixture"}

    return change


HUGE = {
    "depth": (options(depth=10**9), "network of this size has about"),
    "many small layers": (options(depth=10**5, width=2), "far larger than the weights"),
    "width": (options(width=10**9), "network of this size has about"),
    "wide layers": (options(width=10**4), "weights do not fit the network"),
    "width of many digits": (options(width=10**30), "cannot be created"),
    "frequencies": (options(frequencies=10**12), "network of this size has about"),
    "condition": (options(condition=10**12), "far larger than the weights"),
    "preset": (options(width=None, preset="large"), "weights do not fit"),
    "event": (shapes(10**9), "must fit samples of shape"),
    "marginals": (recipe(marginals=10**9), "1000000000 marginals, and there are 3 names"),
    "names": (names(200_000), "far larger than the weights|do not fit"),
    "mixtures": (names(200_000, False), "of 200000 mixtures"),
    "plugins": (lambda d: d.update(plugins=d["plugins"] * 10**5), "a list of at most 100"),
    "mixture": (names(3, False), "of 3 mixtures, 9 tensors of floats; got"),
}


@pytest.mark.parametrize("name", HUGE)
def test_more_than_a_file_holds(name, fitted, tmp_path):
    """It is refused before it takes time or memory."""
    change, message = HUGE[name]
    file = signed(fitted, tmp_path, change)
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=message):
        multisi.load(file)
    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_more_than_a_file_holds_of_a_mixture(tmp_path):
    one, var = torch.ones(1), torch.ones(1, 1, 1)
    means = multisi.GaussianMixtureMeans([one, one], [torch.zeros(1, 1)] * 2, [var, var])
    model = multisi.Model(means, ["a", "b"])
    model.save(tmp_path / "m")
    assert multisi.load(tmp_path / "m").event_shape == model.event_shape
    with pytest.raises(CheckpointError, match=r"samples of shape \[1\], the model \[1000"):
        multisi.load(signed(model, tmp_path, lambda d: d.update(event_shape=[10**9])))


class Computing(nn.Module):
    """It cannot be made without numbers, as `torch.device("meta")` would make it."""

    def __init__(self, event_shape, marginals, width=4):
        super().__init__()
        self.marginals, size = marginals, event_shape[0]
        self.register_buffer("grid", torch.linspace(0, 1, width)[torch.arange(width).tolist()])
        self.layer = nn.Linear(size, marginals * size)
        self.rows = nn.Parameter(torch.zeros(width))

    def forward(self, x, alpha):
        return self.layer(x).reshape(len(x), self.marginals, -1)


def test_more_than_a_file_holds_of_a_network_that_computes(tmp_path):
    multisi.register("network", "computing", Computing)
    own = {"network": "computing", "network_options": {"width": 5}}
    model = multisi.fit({"a": X, "b": X}, steps=2, progress=False, **own)
    model.save(tmp_path / "m")
    loaded = multisi.load(tmp_path / "m")
    assert torch.equal(loaded.transport(X, "a", "b"), model.transport(X, "a", "b"))
    with pytest.raises(CheckpointError, match="far larger than the weights"):
        multisi.load(signed(model, tmp_path, options(width=10**10)))


def test_file_changes_after_it_was_read(fitted, tmp_path):
    """A loaded model does not depend on its file any more."""
    file = tmp_path / "m"
    fitted.save(file)
    model = multisi.load(file)
    before = model.transport(X, "a", "b")
    data = bytearray(file.read_bytes())
    file.write_bytes(bytes(len(data)))
    assert torch.equal(model.transport(X, "a", "b"), before)
    os.truncate(file, 0)
    assert torch.equal(model.transport(X, "a", "b"), before)


def test_file_changes_after_it_was_read_while_it_is_read(tmp_path):
    """A file that is truncated meanwhile is refused, in whatever moment."""
    model = multisi.Model(_Large(), ("a", "b"))
    model.save(tmp_path / "m")
    script = """
        import os, sys, threading, multisi
        from multisi.files import checkpoint
        def cut():
            while True:
                with open("m", "r+b") as file:
                    file.truncate(4096)
                os.replace(*whole())
        def whole():
            with open("n", "wb") as file:
                file.write(data)
            return "n", "m"
        data = open("m", "rb").read()
        threading.Thread(target=cut, daemon=True).start()
        for _ in range(30):
            try:
                checkpoint.read("m")
            except multisi.errors.CheckpointError:
                pass
        print("alive", flush=True)
        os._exit(0)
    """
    done = python(tmp_path, script)
    assert done.stdout == "alive\n", done.stderr


class _Large(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2_000_000))

    def forward(self, x, alpha):
        return x[:, None].expand(-1, 2, -1)


def python(folder, script, **environment):
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def weight(change):
    return lambda tensors: {n: change(t) for n, t in tensors.items() if n.endswith("heads.weight")}


COMPLEX = {"complex": (weight(lambda t: t.to(torch.complex64)), "torch.complex64")}
TYPES = {
    **(COMPLEX if files_hold_complex() else {}),
    "integer": (weight(lambda t: t.to(torch.int32)), "torch.int32"),
    "mixed": (weight(lambda t: t.double()), "torch.float"),
    "short": (weight(lambda t: t.to(torch.float8_e4m3fn)), "torch.float8_e4m3fn"),
    "shift": (
        lambda ts: {"units.shift": ts["units.shift"].to(torch.int64)},
        "units.shift must be",
    ),
    "scale": (lambda ts: {"units.scale": torch.ones(3, dtype=torch.float64)}, "must fit samples"),
    "one scale": (lambda ts: {"units.scale": torch.ones(())}, "must fit samples"),
}


@pytest.mark.parametrize("name", TYPES)
def test_weights_of_other_types(name, fitted, tmp_path):
    change, message = TYPES[name]
    file = signed(fitted, tmp_path, lambda d: None, change(fitted.parts()[0]))
    with pytest.raises(CheckpointError, match=message):
        multisi.load(file)


def test_weights_of_other_types_unlike_a_network_of_two(tmp_path):
    class Two(Computing):
        def __init__(self):
            super().__init__((2,), 2)
            self.rows.data = self.rows.data.double()

    model = multisi.Model(Two(), ("a", "b"))
    model.save(tmp_path / "m")
    kinds = [
        p.dtype for p in multisi.load(tmp_path / "m", network=Two()).conditional_means.parameters()
    ]
    assert kinds == [torch.float64, torch.float32, torch.float32]


@pytest.mark.parametrize("number", [-1, 0])
def test_format_that_never_was(number, fitted, tmp_path):
    file = signed(fitted, tmp_path, lambda d: d.update(format=number))
    for read in (multisi.load, lambda path: main(["inspect", str(path)])):
        if read is multisi.load:
            with pytest.raises(CheckpointError, match=f"format {number}; formats are numbered"):
                read(file)
        else:
            assert read(file) == 2


ODD = "evil\x1b[2J\x07\u202e\nname"


def test_control_characters(fitted, tmp_path, capsys):
    """Names in files never reach the terminal as they are."""

    def change(d):
        d["marginals"] = ["z", "a", ODD]
        d["plugins"] = [dict.fromkeys(("kind", "name", "distribution", "version"), ODD)]
        d["version"], d["card"] = ODD, {"options": {ODD: ODD}, "training": [ODD], ODD: 3}

    file = signed(fitted, tmp_path, change)
    assert main(["inspect", str(file)]) == 0
    named = signed(fitted, tmp_path, recipe(name=ODD, distribution=ODD, version=ODD))
    for path in (named, signed(fitted, tmp_path, lambda d: None, {f"means.{ODD}": X})):
        with pytest.raises(CheckpointError, match="evil") as caught:
            multisi.load(path)
        assert str(caught.value).isprintable()
    shown = capsys.readouterr().out
    assert "evil\\x1b[2J\\x07\\u202e\\nname" in shown
    assert all(line.isprintable() for line in shown.splitlines())


CARDS = [
    None,
    {"options": 3, "training": [1], "evaluation": {"pairs": [3, {}, {"source": 1}]}},
    {"options": {"marginals": {"a": "many", "b": [], "z": 3}}, "evaluation": "good"},
    {"options": {"marginals": [1]}, "evaluation": {"pairs": {"a": 1}}},
]


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("training", [None, 3, {"numbers": [1]}, {"numbers": {"step": "x"}}])
def test_card_of_a_stranger(card, training, fitted, tmp_path, capsys):
    """It is shown as far as it makes sense, in text and as JSON."""
    file = signed(fitted, tmp_path, lambda d: d.update(card=card, training=training))
    assert main(["inspect", str(file)]) == 0
    assert main(["inspect", str(file), "--json"]) == 0
    assert "marginal    a" in capsys.readouterr().out
    assert multisi.load(file).card == (card or {})


@pytest.fixture
def place(tmp_path):
    """A folder of distributions; `add(name, source)` installs one there."""

    def add(name, source):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        info = tmp_path / f"pack_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pack-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[multisi]\n{name} = {name}\n")

    add.path = tmp_path
    return add


GOOD = """
import multisi

class Good(multisi.Interpolant):
    \"\"\"Weights as they are.\"\"\"

    def weights(self, alpha):
        return alpha

@multisi.hookimpl
def multisi_register_interpolants():
    return {{"{}": Good}}
"""
ODDLY = """
class Odd({base}):
    def __str__(self): {text}
    __repr__ = __str__
raise Odd("own reason")
"""
FAILS = {
    "skipped": ("import pytest; pytest.skip('not here', allow_module_level=True)", "not here"),
    "panic": (ODDLY.format(base="BaseException", text="return 'panicked'"), "Odd: panicked"),
    "generator": ("raise GeneratorExit('gone')", "GeneratorExit: gone"),
    "textless": (ODDLY.format(base="Exception", text="raise ValueError"), "cannot be shown"),
    "deeply": (ODDLY.format(base="BaseException", text="raise SystemExit(3)"), "cannot be shown"),
    "textual": (ODDLY.format(base="Exception", text="return 3"), "cannot be shown"),
    "control": ("raise ValueError('a\\x1b[2J\\nb')", "ValueError: a\\x1b[2J b"),
    "long": ("raise ValueError('x' * 10**8)", "ValueError: xxx"),
    "silent": ("raise KeyError", "KeyError"),
}


def test_plugin_fails_in_its_own_way(place):
    """That plugin is broken, with the reason; all others are there."""
    for name, (source, _) in FAILS.items():
        place(name, source)
    place("good", GOOD.format("good"))
    done = python(place.path, "from multisi.cli.parser import main; main(['plugins', '--json'])")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 0 and done.stderr == ""
    for name, (_, reason) in FAILS.items():
        assert rows[name]["state"] == "broken" and reason in rows[name]["error"], name
        assert rows[name]["error"].isprintable() and len(rows[name]["error"]) < 600
    assert rows["good"]["state"] == "ok" and rows["mlp"]["state"] == "ok"


def test_plugin_fails_in_its_own_way_on_use():
    def skip(**options):
        pytest.skip("not here")

    class Odd(Exception):
        def __str__(self):
            raise ValueError

    def odd(**options):
        raise Odd

    for factory, reason in ((skip, "Skipped: not here"), (odd, r"Odd: \(its message cannot be")):
        multisi.register("solver", "own", factory)
        with pytest.raises(PluginError, match=f"could not be created: {reason}"):
            multisi.registry.create("solver", "own", multisi.solvers.Solver)


SPOIL = """
import os, random, signal, sys, warnings
import numpy, torch
torch.set_grad_enabled(False)
torch.set_default_dtype(torch.float64)
torch.set_default_device("meta")
torch.set_num_threads(3)
torch.manual_seed(3)
numpy.random.seed(3)
numpy.seterr(all="raise")
random.seed(3)
warnings.simplefilter("error")
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.chdir("/")
"""


@pytest.mark.parametrize("when", ["import", "use"])
def test_plugin_changes_what_is_global(when, place):
    """It is as before, a note says so, and `fit` works."""
    announce = GOOD.format("good").partition("@")[2]
    if when == "use":
        (place.path / "late.py").write_text(SPOIL + GOOD.format("other"))
        place("spoil", "import multisi\n@" + announce.replace("Good", '"late:Good"'))
    else:
        place("spoil", SPOIL + GOOD.format("good"))
    done = python(
        place.path,
        """
        import os, random, signal, warnings, numpy, torch, multisi
        torch.set_num_threads(1)
        def state():
            return (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads(),
                    str(torch.get_default_device()), torch.get_rng_state().tolist(),
                    numpy.random.get_state()[1].tolist(), numpy.geterr(), random.getstate(),
                    list(warnings.filters), signal.getsignal(signal.SIGTERM), os.getcwd())
        before = state()
        registry = multisi.registry.installed()
        plugin = registry.find("interpolant", "good")
        made = multisi.registry.create("interpolant", "good", multisi.Interpolant)
        print(state() == before, made, plugin.notes)
        x = torch.randn(20, 2)
        model = multisi.fit({"a": x, "b": x}, steps=2, progress=False)
        print(model.transport(x, "a", "b").shape)
        """,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("True Good()") and second == "torch.Size([20, 2])"
    if when == "import":
        for what in ("gradients", "the default type", "the default device", "signal 15"):
            assert what in first
