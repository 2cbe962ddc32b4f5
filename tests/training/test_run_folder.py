"""Runs that survive kills, full disks, and one another."""

import json
import multiprocessing
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

import multisi
from multisi.cli.parser import main
from multisi.errors import CheckpointError, ConfigError
from multisi.files import checkpoint
from multisi.networks import MLP
from multisi.training import EarlyStopping

X = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
DATA = {"z": multisi.StandardNormal(), "a": X, "b": X * 0.5 + 2}
ROOT = pathlib.Path(multisi.__file__).parents[1]


def fit(folder, stop=None, **options):
    callbacks = [] if stop is None else [stop]
    options = {"steps": 40, "progress": False, "save_seconds": 0, "batch_size": 32} | options
    options.setdefault("network_options", {"width": 16})
    return multisi.fit(DATA, run_dir=folder, callbacks=callbacks, **options)


def weights(model):
    return torch.cat([p.flatten() for p in model.conditional_means.parameters()])


def killed_at(step, number=signal.SIGTERM):
    return lambda run: os.kill(os.getpid(), number) if run.step == step else None


class Dropping(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = MLP((2,), 3, width=16)

    def forward(self, x, alpha):
        return torch.nn.functional.dropout(self.net(x, alpha), 0.1, self.training)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"coupling": "ot", "coupling_options": {"rows": 16, "pool": 4}},
        {"network": "own", "network_options": None},
        {"accumulate": 3, "precision": "bfloat16"},
    ],
    ids=["plain", "ot", "dropout", "parts"],
)
def test_killed_between_steps(options, tmp_path):
    def options_of_one():
        torch.manual_seed(0)
        own = {"network": Dropping()} if options.get("network") == "own" else {}
        return options | own

    whole = fit(tmp_path / "whole", **options_of_one())
    for step in (7, 23):
        with pytest.raises(SystemExit, match="143"):
            fit(tmp_path / "parts", killed_at(step), resume=True, **options_of_one())
    parts = fit(tmp_path / "parts", resume=True, **options_of_one())
    assert torch.equal(weights(parts), weights(whole))
    assert parts.card["training"]["steps"] == 40


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGUSR1", 138)])
def test_stop_signal(name, code, tmp_path):
    with pytest.raises(SystemExit, match=f"^{code}$"):
        fit(tmp_path, killed_at(5, getattr(signal, name)), save_seconds=1000)
    assert [path.name for path in tmp_path.glob("step*")] == ["step-000000005.safetensors"]
    assert signal.getsignal(getattr(signal, name)) == signal.SIG_DFL


def test_stop_signal_from_the_keyboard(tmp_path, capsys):
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        fit(tmp_path, killed_at(5, signal.SIGINT))
    assert str(tmp_path) in capsys.readouterr().err
    assert (tmp_path / "step-000000005.safetensors").exists()


def command(folder, *options, steps=400):
    return [
        sys.executable, "-m", "multisi", "fit", "--marginal", "a=a.npy", "--marginal", "b=b.npy",
        "--out", "m.safetensors", "--run", str(folder), "--steps", str(steps), "--batch-size",
        "32", "--network-option", "width=16", "--quiet", *options,
    ]  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name, x in (("a", X), ("b", X * 0.5 + 2)):
        __import__("numpy").save(f"{name}.npy", x.numpy())
    return tmp_path


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)


@pytest.mark.slow
def test_second_interrupt(place):
    pathlib.Path("slow.py").write_text(
        "import time, sys, multisi.training.loop as loop\n"
        "one = loop.Training._one\n"
        "def slow(self, rate):\n"
        "    if self.step == 10: print('there', flush=True); time.sleep(60)\n"
        "    return one(self, rate)\n"
        "loop.Training._one = slow\n"
        "from multisi.cli.parser import main\n"
        f"sys.exit(main({command('run', '--save-seconds', '0')[3:]!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "slow.py"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "there\n"
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == -signal.SIGINT
    process.stdout.close()
    for path in pathlib.Path("run").glob("step*"):
        multisi.load(path)


@pytest.mark.slow
def test_killed_at_any_moment(place):
    """Forty kills, many of them inside a save: nothing is lost, nothing is torn."""
    subprocess.run(command("whole", steps=15000), check=True, stdout=subprocess.DEVNULL)
    whole = weights(multisi.load("m.safetensors"))
    pathlib.Path("m.safetensors").unlink()
    source, run = random.Random(0), pathlib.Path("run")
    options = ("--resume", "--save-seconds", "0.02")
    for kill in range(40):
        with subprocess.Popen(
            command("run", *options, steps=15000), stdout=subprocess.DEVNULL
        ) as process:
            if kill % 8:  # Else it dies while it starts.
                lock = run / ".lock"
                until(lambda p=process, f=lock: f.exists() and str(p.pid) in f.read_text())
            time.sleep(source.uniform(0, 0.35))
            process.kill()
    last = sorted(run.glob("step*"))[-1]
    assert 0 < checkpoint.read(last)[1]["training"]["numbers"]["step"] < 15000
    subprocess.run(command("run", *options, steps=15000), check=True, stdout=subprocess.DEVNULL)
    for path in run.glob("step*"):
        multisi.load(path)
    assert not list(run.glob(".*.tmp"))
    assert torch.equal(weights(multisi.load("m.safetensors")), whole)


def test_full_disk(tmp_path):
    fit(tmp_path, steps=3)
    before = sorted(path.name for path in tmp_path.glob("step*"))
    process = multiprocessing.get_context("spawn").Process(target=_limited, args=(tmp_path,))
    process.start()
    process.join(120)
    assert "could not be written" in (tmp_path / "said").read_text()
    assert "step-" in (tmp_path / "said").read_text()
    assert sorted(path.name for path in tmp_path.glob("step*")) == before
    assert not list(tmp_path.glob(".*.tmp"))


def _limited(folder):
    import resource

    torch.set_num_threads(1)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        fit(folder, resume=True, steps=9)
    except CheckpointError as error:
        (folder / "said").write_text(str(error))


def test_unusable_run_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CheckpointError, match=r"run folder .* cannot be used"):
            fit(folder)


def test_two_trainers(tmp_path):
    def other(run):
        with pytest.raises(CheckpointError, match=f"in use by process {os.getpid()}"):
            fit(tmp_path, resume=True)
        return True

    fit(tmp_path, other)
    fit(tmp_path, resume=True)


def test_interrupted_save(tmp_path):
    stale = tmp_path / ".multisi-0123abcd.tmp"
    stale.write_bytes(b"half")
    fit(tmp_path, steps=3)
    assert not stale.exists()


def test_damaged_checkpoints_on_resume(tmp_path):
    whole = fit(tmp_path / "whole")
    with pytest.raises(SystemExit, match="143"):
        fit(tmp_path / "run", killed_at(20))
    _, second, third = sorted((tmp_path / "run").glob("step*"))
    data = bytearray(third.read_bytes())
    data[-5] ^= 1
    third.write_bytes(data)
    second.write_bytes(second.read_bytes()[:1000])
    again = fit(tmp_path / "run", resume=True)
    assert torch.equal(weights(again), weights(whole))


def test_other_options_on_resume(tmp_path):
    fit(tmp_path, steps=3)
    with pytest.raises(ConfigError, match=r"batch_size: 32 then, 64 now; seed: 0 then, 1 now"):
        fit(tmp_path, resume=True, batch_size=64, seed=1)
    with pytest.raises(ConfigError, match="noise: 'z' then, None now"):
        multisi.fit({"a": X, "b": X}, run_dir=tmp_path, resume=True, batch_size=32)
    model = fit(tmp_path, resume=True, steps=6)
    assert model.card["training"]["steps"] == 6
    with pytest.raises(CheckpointError, match="holds a run up to step-000000006"):
        fit(tmp_path)


def test_other_options_on_resume_of_a_network(tmp_path):
    multisi.fit(DATA, network=MLP((2,), 3, width=16), run_dir=tmp_path, steps=3, progress=False)
    with pytest.raises(ConfigError, match=r"network\.parts: sha256:\w+… then, .* now"):
        multisi.fit(
            DATA,
            network=MLP((2,), 3, width=24),
            run_dir=tmp_path,
            resume=True,
            steps=6,
            progress=False,
        )


def test_no_whole_checkpoint(tmp_path):
    fit(tmp_path, steps=3)
    for path in tmp_path.glob("step*"):
        path.write_bytes(b"")
    with pytest.raises(
        CheckpointError, match=r"No checkpoint in .* can be resumed: step-000000003"
    ):
        fit(tmp_path, resume=True)


def test_a_resume_needs_a_run(tmp_path):
    with pytest.raises(ConfigError, match="resume=True needs run_dir"):
        fit(None, resume=True)
    with pytest.raises(ConfigError, match="resume must be an instance of bool"):
        fit(tmp_path, resume="no")
    fit(None, steps=2).save(tmp_path / "step-000000002.safetensors")
    with pytest.raises(CheckpointError, match="is a model, not a checkpoint of a run"):
        fit(tmp_path, resume=True)


def test_the_last_are_kept_and_each_is_a_model(tmp_path):
    fit(tmp_path, keep=2, steps=10)
    paths = sorted(tmp_path.glob("step*"))
    assert [path.stem for path in paths] == ["step-000000009", "step-000000010"]
    model = multisi.load(paths[0])
    assert model.transport(X, "a", "b").shape == X.shape


def test_the_best_is_kept_and_early_stopping_is_taken_up(tmp_path):
    held_out = {"a": X[:100], "b": X[:100] * 0.5 + 2}

    def options():
        stopping = EarlyStopping(held_out, every=5, patience=3, samples=60, steps=4)
        return {"steps": 300, "learning_rate": 0.3, "callbacks": [stopping], "save_seconds": 1000}

    def run(folder, *callbacks, **more):
        own = options() | {"network_options": {"width": 16}, "batch_size": 32, "progress": False}
        own["callbacks"] += callbacks
        return multisi.fit(DATA, run_dir=folder, **own | more)

    runs = []
    whole = run(tmp_path / "whole", runs.append)
    best, last = runs[-1].counts.best_step, runs[-1].step
    assert best == last - 15 and last < 300
    kept = sorted(int(path.stem[-9:]) for path in (tmp_path / "whole").glob("step*"))
    assert best in kept and kept[-1] == last
    best_file = tmp_path / "whole" / f"step-{best:09d}.safetensors"
    assert torch.equal(weights(multisi.load(best_file)), weights(whole))
    with pytest.raises(SystemExit, match="143"):
        run(tmp_path / "parts", killed_at(best + 3))
    for _ in range(2):  # The second time it was over already.
        parts = run(tmp_path / "parts", resume=True)
        assert torch.equal(weights(parts), weights(whole))


def test_inspect(tmp_path, capsys, monkeypatch):
    model = fit(tmp_path / "run", steps=3, network_options={"width": 24})
    model.evaluate({"a": X, "b": X * 0.5 + 2}, samples=50)
    model.save(tmp_path / "m.safetensors")
    monkeypatch.setattr(MLP, "__init__", lambda *a, **o: pytest.fail("built"))
    for path in (tmp_path / "m.safetensors", next((tmp_path / "run").glob("step*"))):
        assert main(["inspect", str(path)]) == 0
        shown = capsys.readouterr().out
        for word in ("z: standard normal", "a: 300 rows of shape (2,)", "width=24", "weights"):
            assert word in shown
    assert main(["inspect", str(tmp_path / "m.safetensors")]) == 0
    assert "evaluation  a to b: energy distance" in capsys.readouterr().out
    assert main(["inspect", "--json", str(tmp_path / "m.safetensors")]) == 0
    assert json.loads(capsys.readouterr().out)["card"]["training"]["steps"] == 3
    assert main(["inspect", str(tmp_path / "none")]) == 2
    checkpoint.write(tmp_path / "odd.safetensors", {}, {})
    assert main(["inspect", str(tmp_path / "odd.safetensors")]) == 2
