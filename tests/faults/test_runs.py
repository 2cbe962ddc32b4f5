"""Runs that are resumed with other data or from nonsense, and work that could be lost."""

import json
import math
import os
import pathlib
import signal
import stat
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import multisi
from multisi import training
from multisi.errors import CheckpointError, ConfigError, DataError
from multisi.files import atomic, checkpoint
from multisi.networks import MLP
from multisi.paths import Polyline

X = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
DATA = {"z": multisi.StandardNormal(), "a": X, "b": X * 0.5 + 2}
LAST = "step-000000003.safetensors"


def fit(folder=None, data=DATA, **options):
    options = {"steps": 3, "progress": False, "batch_size": 16, "save_seconds": 0} | options
    options.setdefault("network_options", {"width": 8, "depth": 1})
    return multisi.fit(data, run_dir=folder, **options)


def weights(model):
    return torch.cat([p.flatten() for p in model.conditional_means.parameters()])


class Own(nn.Module):
    def __init__(self, kind=torch.float32, factor=1.0):
        super().__init__()
        self.layer = nn.Linear(5, 6, dtype=kind)
        self.factor = factor

    def forward(self, x, alpha):
        return self.factor * self.layer(torch.cat([x, alpha], 1)).reshape(-1, 3, 2)


def own(**options):
    return {"network": Own(**options), "network_options": None}


class Items(torch.utils.data.Dataset):
    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i]


def changed(x, row=7):
    other = x.clone()
    other[row] += 1
    return other


def weighted(last):
    return multisi.Marginal(X, weights=[1.0] * 59 + [last])


def told(name):
    return multisi.Marginal(X, condition=pd.DataFrame({name: X[:, 0].numpy()}))


def along(*points):
    law = training.SimplexLaw(along=[Polyline(torch.tensor(points))])
    return {"law": law}


def corrupting(share):
    corrupt = lambda x, source: x * share  # noqa: E731
    options = {"made": "b", "of": "a", "corrupt": corrupt, "sigma": 0.1}
    return {"coupling": "data-dependent", "coupling_options": options}


ENDS = ([1.0, 0, 0], [0, 1.0, 0])
OTHER = {
    "rows": (
        {},
        {"data": DATA | {"b": changed(DATA["b"])}},
        r"data\.b\.samples: .*other contents",
    ),
    "items": (
        {"data": DATA | {"b": Items(X)}},
        {"data": DATA | {"b": Items(changed(X))}},
        r"data\.b\.samples: .*other contents",
    ),
    "weights": (
        {"data": DATA | {"b": weighted(1.0)}},
        {"data": DATA | {"b": weighted(3.0)}},
        r"data\.b\.weights: ",
    ),
    "order": ({}, {"data": dict(reversed(DATA.items()))}, "order: "),
    "routes": (along(*ENDS), along(ENDS[0], [0.2, 0.2, 0.6], ENDS[1]), r"law\.along: "),
    "shares": ({}, {"law": training.SimplexLaw(edges=1.0)}, r"law\.shares\.edges: 0\.6 then, 1"),
    "rate": (
        {"learning_rate": np.float32(1e-2)},
        {"learning_rate": 1e-4},
        r"learning_rate: 0\.00999.* then, 0\.0001 now",
    ),
    "units": (
        {"data": {"a": X[:, None, :, None], "b": X[:, None, :, None]}, "units": "whole"},
        {"data": {"a": X[:, None, :, None], "b": X[:, None, :, None]}, "units": "channels"},
        r"units: \[\] then, \[1, 1, 1\] now",
    ),
    "clip": ({"clip": 1.0}, {"clip": None}, "clip: 1.0 then, None now"),
    "lists": (
        {"coupling": "ot", "coupling_options": {"rows": 8, "pool": 2}},
        {"coupling": "ot", "coupling_options": {"rows": 8, "pool": 3}},
        r"coupling_options\.pool: 2 then, 3 now",
    ),
    "functions": (corrupting(0.5), corrupting(0.6), r"coupling_options\.corrupt\.code: "),
    "network": (own(), own(kind=torch.float64), r"network\.parts: "),
    "attributes of a network": (own(), own(factor=2.0), r"network\.parts: "),
    "names of a condition": (
        {"data": DATA | {"b": told("age")}},
        {"data": DATA | {"b": told("year")}},
        r"data\.b\.condition_features: \['age'\] then, \['year'\] now",
    ),
    "held out": (
        {"held_out": {"a": X, "b": X}},
        {"held_out": {"a": X, "b": changed(X)}},
        r"held_out\.b\.samples: ",
    ),
}


@pytest.mark.parametrize("name", OTHER)
def test_another_run(name, tmp_path):
    before, now, message = OTHER[name]
    fit(tmp_path, **before)
    with pytest.raises(ConfigError, match=f"belongs to a run with other options: .*{message}"):
        fit(tmp_path, resume=True, steps=6, **now)


def test_another_run_of_equal_values(tmp_path):
    """Numbers of numpy, tuples and new objects are no other run."""
    before = {"data": {n: m if n == "z" else m.numpy() for n, m in DATA.items()}}
    options = {"learning_rate": np.float64(2e-3), "network_options": {"width": np.int64(8)}}
    fit(tmp_path, **before, **options, **along(*ENDS))
    now = {"network_options": {"width": 8}}
    assert (
        fit(tmp_path, resume=True, steps=6, **now, **along(*ENDS)).card["training"]["steps"] == 6
    )


def test_another_run_unlike_random_items(tmp_path):
    """Items that change from reading to reading have no identity."""

    class Noisy(Items):
        def __getitem__(self, i):
            return self.x[i] + torch.randn(2)

    fit(tmp_path, data=DATA | {"b": Noisy(X)})
    fit(tmp_path, data=DATA | {"b": Noisy(X)}, resume=True, steps=4)


def rewritten(folder, change):
    """Change the newest checkpoint and sign it again."""
    path = sorted(folder.glob("step-*"))[-1]
    tensors, description = checkpoint.read(path)
    change(tensors, description)
    checkpoint.write(path, tensors, description)


def numbers(**change):
    return lambda t, d: d["training"]["numbers"].update(change)


def tensor(name, change):
    def apply(tensors, description):
        found = next(n for n in tensors if n.startswith(name))
        tensors[found] = change(tensors[found])

    return apply


def without(name):
    return lambda t, d: [t.pop(n) for n in list(t) if n.startswith(name)]


NAN = float("nan")
NONSENSE = {
    "no numbers": (lambda t, d: d["training"].pop("numbers"), "numbers must have the entries"),
    "no options": (lambda t, d: d["training"].pop("options"), "an object with options"),
    "a list": (lambda t, d: d.update(training=[1]), "an object with options"),
    "no step": (lambda t, d: d["training"]["numbers"].pop("step"), "numbers must have"),
    "text": (numbers(step="3"), "step must be a number of at least 0; got '3'"),
    "bool": (numbers(step=True), "step must be a number"),
    "negative": (numbers(step=-3), "step must be a number of at least 0; got -3"),
    "seconds": (numbers(seconds=-1.0), r"seconds must be a number of at least 0; got -1\.0"),
    "no seconds": (numbers(seconds=None), "seconds must be a number of at least 0; got None"),
    "another step": (numbers(step=10**30), "is of step 1000.*, which is not that of its name"),
    "averaged": (numbers(averaged=99), "contradict each other"),
    "moments": (
        tensor("training.optimiser.exp_avg.", lambda t: t[:1]),
        r"the exp_avg .* must be torch.float32 of shape .*; got .* of shape \(1",
    ),
    "type": (tensor("training.optimiser.exp_avg_sq.", torch.Tensor.double), "got torch.float64"),
    "square": (tensor("training.optimiser.exp_avg_sq.", lambda t: t - 1), "must not be negative"),
    "missing": (without("training.optimiser.exp_avg."), "names of the exp_avg differ"),
    "no state": (without("training.optimiser"), "the optimiser must have a state"),
    "average": (tensor("means.", lambda t: t * NAN), "the average .* have NaN"),
    "weights": (tensor("training.weights.", lambda t: t / 0), "the weights .* have NaN"),
    "moment": (tensor("training.optimiser.exp_avg.", lambda t: t * NAN), "exp_avg .* have NaN"),
    "random": (tensor("training.random", lambda t: t[:9]), "state of the random numbers"),
    "random type": (tensor("training.random", lambda t: t.float()), "must be bytes"),
    "loss": (without("training.loss"), "the loss must be a single float"),
    "best": (numbers(best_step=2), "best weights, of step 2"),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_in_a_checkpoint(name, tmp_path):
    """It is passed over; without another one, the reason is told, and nothing is half restored."""
    change, message = NONSENSE[name]
    fit(tmp_path, keep=1)
    rewritten(tmp_path, change)
    with pytest.raises(CheckpointError, match=f"can be resumed: {LAST}: .*{message}"):
        fit(tmp_path, resume=True)


def test_nonsense_in_a_checkpoint_after_another_one(tmp_path):
    whole = fit(tmp_path / "whole", steps=6)
    with pytest.raises(SystemExit, match="143"):
        fit(tmp_path / "run", steps=6, callbacks=[stop_at(4)])
    rewritten(tmp_path / "run", NONSENSE["moment"][0])
    assert torch.equal(weights(fit(tmp_path / "run", steps=6, resume=True)), weights(whole))


def stop_at(step):
    return lambda run: os.kill(os.getpid(), signal.SIGTERM) if run.step == step else None


def test_files_of_others_in_a_run_folder(tmp_path):
    """Pruning and sweeping remove what this run wrote, and nothing else."""
    others = ["step-best.safetensors", "step-1.safetensors", ".notes.tmp", "old.tmp"]
    for name in others:
        (tmp_path / name).write_text("mine")
    with pytest.raises(SystemExit, match="143"):
        fit(tmp_path, steps=9, keep=2, callbacks=[stop_at(5)])
    (tmp_path / "step-000000001.safetensors").write_text("not of this run")
    fit().save(tmp_path / "step-000000002.safetensors")
    fit(tmp_path, steps=9, keep=2, resume=True)
    steps = ["step-000000001", "step-000000002", "step-000000008", "step-000000009"]
    expected = [*others, ".lock", *(f"{step}.safetensors" for step in steps)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(expected)


def test_pipe_in_place_of_a_file(tmp_path):
    """It is refused at once, and never waited for."""
    os.mkfifo(tmp_path / LAST)
    with pytest.raises(CheckpointError, match="is a pipe, not a regular file"):
        multisi.load(tmp_path / LAST)
    with pytest.raises(CheckpointError, match=f"can be resumed: {LAST}: .*is a pipe"):
        fit(tmp_path, resume=True)


class Stateful(Own):
    def get_extra_state(self):
        return {"a": 1}

    def set_extra_state(self, state):
        pass


UNSAVEABLE = [
    ({"network_options": {"preset": NAN}}, "preset must be one of"),
    ({"network": "listed", "network_options": {"sizes": {1, 2}}}, "'sizes' must be a value"),
    ({"network": "listed", "network_options": {"sizes": [NAN]}}, "'sizes' must be a value"),
    ({"network": "listed", "network_options": {"sizes": {1: 2}}}, "'sizes' .*come back as"),
    ({"network": "listed", "network_options": {"sizes": nn.ReLU()}}, "'sizes' must be a value"),
    ({"network": Stateful(), "network_options": None}, "cannot hold .*_extra_state.*got dict"),
]


@pytest.fixture
def listed():
    """A network whose option may be anything."""
    multisi.register("network", "listed", lambda event, marginals, sizes=(): Own())


@pytest.mark.parametrize(("options", "message"), UNSAVEABLE)
def test_unsaveable_option(options, message, listed):
    """What a file cannot hold is refused before the first step."""
    steps = []
    with pytest.raises(ConfigError, match=message):
        fit(callbacks=[steps.append], **options)
    assert not steps


def test_unsaveable_option_unlike_numbers_of_numpy(tmp_path, listed):
    options = {"width": np.int64(8), "depth": np.array(1)}
    fit(network_options=options).save(tmp_path / "m")
    recipe = multisi.load(tmp_path / "m").conditional_means.recipe
    assert recipe["options"] == {"width": 8, "depth": 1}
    model = fit(network="listed", network_options={"sizes": (1, np.arange(2))})
    assert model.conditional_means.recipe["options"] == {"sizes": [1, [0, 1]]}


def test_unwritable_place(tmp_path, monkeypatch):
    """Where nothing could be saved, training does not start."""
    steps = []
    with pytest.raises(ConfigError, match=r"rescue must be a file that can be written.*too long"):
        fit(rescue=tmp_path / ("m" * 300), callbacks=[steps.append])
    with pytest.raises(CheckpointError, match=r"run folder .* cannot be used"):
        fit(tmp_path / ("m" * 300), callbacks=[steps.append])
    monkeypatch.setattr(atomic.os, "posix_fallocate", full, raising=False)
    with pytest.raises(ConfigError, match="no room for"):
        fit(callbacks=[steps.append])
    with pytest.raises(CheckpointError, match=r"step-.* could not be written.*no room for"):
        fit(tmp_path / "run", callbacks=[steps.append])
    assert not steps and not list(tmp_path.glob("**/*.tmp"))


def full(*arguments):
    raise OSError(28, "No space left on device")


def test_unwritable_place_unlike_long_names(tmp_path):
    model = fit()
    model.save(tmp_path / ("m" * 250))
    assert [path.name for path in tmp_path.iterdir()] == ["m" * 250]


class Filling:
    """A disk that is full for the checkpoints of some steps."""

    def __init__(self, steps, monkeypatch):
        self.steps = steps
        self.write = checkpoint.write_whole
        monkeypatch.setattr(checkpoint, "write_whole", self)

    def __call__(self, path, data):
        if any(f"step-{step:09d}" in str(path) for step in self.steps):
            full()
        self.write(path, data)


def test_unwritable_checkpoint_in_between(tmp_path, monkeypatch):
    """The run goes on, with one warning."""
    Filling([2, 3], monkeypatch)
    with pytest.warns(
        RuntimeWarning, match=r"could not be written.*step-000000002.*continues"
    ) as w:
        model = fit(tmp_path, steps=5)
    assert len(w) == 1 and model.card["training"]["steps"] == 5
    assert (tmp_path / "step-000000005.safetensors").exists()


def test_unwritable_checkpoint_at_the_end(tmp_path, monkeypatch):
    """The model is in the rescue file that the message names, or is returned."""
    rescue = tmp_path / "rescued"
    Filling([5], monkeypatch)
    with (
        pytest.warns(RuntimeWarning, match="could not be written"),
        pytest.raises(CheckpointError, match=f"could not be written.*so far is in {rescue}"),
    ):
        fit(tmp_path / "run", steps=5, rescue=rescue)
    assert multisi.load(rescue).marginals == ("z", "a", "b")
    monkeypatch.setattr(checkpoint, "write_whole", full)
    with pytest.warns(RuntimeWarning) as caught:
        model = fit(tmp_path / "other", steps=5, rescue=rescue)
    assert "could not be saved" in str(caught[-1].message) and len(caught) == 2
    assert model.transport(X, "a", "b").shape == X.shape


@pytest.mark.parametrize("error", [DataError("no more"), ValueError("odd"), SystemExit(3)])
def test_training_breaks_off(error, tmp_path, capsys):
    """The model so far is in the rescue file that the error names."""

    class Failing(multisi.Coupling):
        def sample(self, n, *, seed, step):
            if step == 2:
                raise error
            return torch.randn(n, 2, 2)

    rescue = tmp_path / "rescued"
    with pytest.raises(type(error), match=r"more|odd|3") as caught:
        fit(data={"a": X, "b": X}, coupling=Failing(), rescue=rescue)
    told = " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert str(rescue) in told + capsys.readouterr().err
    assert multisi.load(rescue).marginals == ("a", "b")


def test_training_breaks_off_in_a_folder(tmp_path):
    def fail(run):
        if run.step == 2:
            raise DataError("no more")

    with pytest.raises(DataError, match=f"no more Checkpoints are in {tmp_path}"):
        fit(tmp_path, callbacks=[fail])
    assert fit(tmp_path, resume=True).card["training"]["steps"] == 3


def test_permissions_of_a_file(tmp_path):
    """Rewriting keeps them; a new file has those of the umask."""
    model, file = fit(), tmp_path / "m"
    before = os.umask(0o027)
    try:
        model.save(file)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    for mode in (0o600, 0o664, 0o444):
        file.chmod(mode)
        model.save(file)
        assert stat.S_IMODE(file.stat().st_mode) == mode
    assert multisi.load(file).marginals == model.marginals


def state():
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
    random = (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist())
    torch_s = (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads())
    return handlers, random, torch_s, list(warnings.filters), pathlib.Path.cwd()


@pytest.mark.parametrize("fails", [False, True])
def test_global_state(fails, tmp_path):
    def spoil(run):
        torch.manual_seed(3)
        np.random.seed(3)
        torch.set_num_threads(3 - torch.get_num_threads() % 2)
        warnings.simplefilter("ignore")
        os.chdir(tmp_path)
        if run.step == 2:
            torch.set_grad_enabled(False)
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        if run.step == 3 and fails:
            raise DataError("no more")

    before = state()
    with torch.no_grad():
        if fails:
            with pytest.raises(DataError, match="no more"):
                fit(tmp_path, callbacks=[spoil])
        else:
            fit(tmp_path, callbacks=[spoil])
        assert not torch.is_grad_enabled()
    assert state() == before


def test_global_state_of_handlers_in_c(tmp_path, monkeypatch):
    """A handler that Python did not install could not be restored, so it is left alone."""
    get = signal.getsignal
    number = signal.SIGUSR1
    monkeypatch.setattr(signal, "getsignal", lambda n: None if n == number else get(n))
    set_to = []
    real = signal.signal
    monkeypatch.setattr(signal, "signal", lambda n, h: set_to.append(n) or real(n, h))
    fit(tmp_path)
    assert signal.SIGTERM in set_to and number not in set_to


@pytest.mark.parametrize("answer", [1, "yes", np.True_, torch.ones(1), [0]])
def test_callback_returns_something(answer):
    steps = []
    fit(callbacks=[lambda run: answer, lambda run: steps.append(run.step)])
    assert steps == [1, 2, 3]


def test_callback_returns_something_unlike_the_end():
    def end(run):
        raise training.StopTraining

    for callback in (lambda run: True, end):
        assert fit(callbacks=[callback]).card["training"]["steps"] == 1


def test_held_out_options_before_training(tmp_path):
    """They are tried before the first step, not at step 500."""
    steps = []
    stopping = training.EarlyStopping({"a": X, "b": X}, solver="none")
    with pytest.raises(multisi.errors.UnknownPluginError, match="no solver 'none'"):
        fit(callbacks=[stopping, steps.append])
    with pytest.raises(DataError, match=r"held_out 'a' must have .* shape \(2,\)"):
        fit(held_out={"a": X[:, :1], "b": X[:, :1]}, callbacks=[steps.append])
    assert not steps


def test_number_that_is_no_json(tmp_path):
    """Infinity and NaN are null in files and logs, and infinity again in a resumed run."""
    runs = []
    log = training.Log(tmp_path / "log", every=1)
    runs_on = lambda run: runs.append(run.counts.best)  # noqa: E731
    fit(tmp_path / "run", callbacks=[runs_on, log])
    _, description = checkpoint.read(tmp_path / "run" / LAST)
    assert description["training"]["numbers"]["best"] is None
    fit(tmp_path / "run", resume=True, steps=4, callbacks=[runs_on])
    assert runs == [math.inf] * 4
    model = fit()
    model.card["own"] = {"loss": NAN, "sizes": (1, np.float32(0.5))}
    model.save(tmp_path / "m")
    assert multisi.load(tmp_path / "m").card["own"] == {"loss": None, "sizes": [1, 0.5]}
    training.Log(tmp_path / "nan", every=1)(Fake())
    assert json.loads((tmp_path / "nan").read_text())["loss"] is None


class Fake:
    step, seconds, loss, rate = 1, 0.5, NAN, math.inf
    world = type("World", (), {"first": True})
    counts = type("Counts", (), {"skipped": 0})


def test_compiled_network(tmp_path):
    """A file says nothing of torch.compile, and is loaded with or without it."""
    compiled = torch.compile(Own(), backend="eager")
    model = fit(tmp_path / "run", network=compiled, network_options=None)
    model.save(tmp_path / "m")
    assert not any("_orig_mod" in name for name in checkpoint.read(tmp_path / "m")[0])
    moved = model.transport(X, "a", "b")
    for network in (Own(), torch.compile(Own(), backend="eager")):
        loaded = multisi.load(tmp_path / "m", network=network)
        assert torch.allclose(loaded.transport(X, "a", "b"), moved, atol=1e-5)
    fit(tmp_path / "run", network=Own(), network_options=None, resume=True, steps=4)
    inner = nn.Sequential()
    inner.add_module("a", torch.compile(MLP((2,), 3, width=8), backend="eager"))
    inner.forward = lambda x, alpha: inner.a(x, alpha)
    nested = fit(network=inner, network_options=None)
    assert all("_orig_mod" not in name for name in nested.parts()[0])
