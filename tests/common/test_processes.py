"""Several processes do what one does."""

import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

import multisi
from multisi.common.processes import World, _blocks
from multisi.errors import ConfigError
from multisi.networks import MLP

ROOT = pathlib.Path(multisi.__file__).parents[1]
TRAIN = """
import os, signal, sys, time
import torch, multisi
from multisi.networks import MLP

name, steps, resume = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "resume"
options = dict(part.split("=") for part in sys.argv[4:])
torch.manual_seed(int(os.environ.get("RANK", 0)))  # Processes that begin apart.
x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
torch.manual_seed(0 if int(os.environ.get("WORLD_SIZE", 1)) == 1 else torch.initial_seed())
network = MLP((2,), 2, width=16).double()
network.number = torch.nn.Parameter(torch.ones((), dtype=torch.float64))
network.one = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
network.register_forward_hook(lambda module, given, heads: heads * module.number * module.one)

def stop(run):
    if run.step == int(options.get("stop", -1)):
        if run.world.rank == int(options.get("rank", 0)):
            os.kill(os.getpid(), getattr(signal, options["signal"]))

bad = options.get("nan", "none")
if bad != "none" and int(os.environ.get("RANK", 0)) == 1:
    calls = []

    def spoil(module, arguments, answer):
        if module.training:
            calls.append(1)
            return answer * float("nan") if eval(bad)(len(calls)) else answer

    network.register_forward_hook(spoil)

def fail(run):
    if run.step == 20 and run.world.rank == 1 and "raise" in options:
        raise getattr(multisi.errors, options["raise"], OSError)("on one of them")

def judge(run):
    if "shard" in options:
        held = sum(v.numel() for v in run.weights.flat.vectors)
        whole = sum(p.numel() for p in run.means.parameters())
        assert held == whole if run.world.size == 1 else whole / 3 < held < whole / 1.5

callbacks = [stop, fail, judge]
if "shard" in options:  # It never ends, but measures.
    samples = {"a": x[:50], "b": x[50:100] + 1}
    callbacks.append(multisi.training.EarlyStopping(samples, every=20, patience=10))

model = multisi.fit(
    {"a": x, "b": 2 * x.flip(0) + 1}, network=network, steps=steps, batch_size=33,
    coupling=options.get("coupling", "independent"), progress=False, callbacks=callbacks,
    run_dir=name, resume=resume, save_seconds=0.0, keep=100, shard="shard" in options,
)
rank = int(os.environ.get("RANK", 0))
model.save(name + (f"-{rank}" if rank else "") + ".safetensors")
os.write(1, f"{rank} {model.card['training']['skipped']}\\n".encode())  # In one piece.
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    pathlib.Path("train.py").write_text(TRAIN)
    return tmp_path


def train(processes, *arguments, restarts=0, timeout=180):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += [f"--nproc-per-node={processes}", f"--max-restarts={restarts}"]
    command = [sys.executable] if processes == 1 else torchrun
    return subprocess.run(
        [*command, "train.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def weights(name):
    network = MLP((2,), 2, width=16).double()
    for part, shape in (("number", ()), ("one", (1,))):
        setattr(network, part, torch.nn.Parameter(torch.ones(shape, dtype=torch.float64)))
    model = multisi.load(f"{name}.safetensors", network=network)
    return torch.cat([p.flatten() for p in model.conditional_means.parameters()])


@pytest.mark.slow
@pytest.mark.parametrize("option", ["coupling=independent", "coupling=ot", "shard=yes"])
def test_two_processes(place, option):
    for processes, name in ((1, "one"), (2, "two")):
        done = train(processes, name, 100, "new", option)
        assert done.returncode == 0 and "failed at step" not in done.stderr, done.stderr
    assert (weights("one") - weights("two")).abs().max() < 1e-10
    assert torch.equal(weights("two"), weights("two-1"))
    for first, second in ((2, 1), (1, 2)):
        name = f"from{first}"
        done = train(first, name, 100, "new", option, "stop=40", "signal=SIGTERM")
        assert done.returncode != 0
        last = sorted(pathlib.Path(name).glob("step*"))[-1]
        assert last.stem == "step-000000040"
        done = train(second, name, 100, "resume", option)
        assert done.returncode == 0, done.stderr
        assert (weights("one") - weights(name)).abs().max() < 1e-10


@pytest.mark.slow
def test_the_command_line_in_several_processes(place):
    """In float32, with a network, its blocks and a folder as they are by default."""
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)).numpy()
    np.save("a.npy", x)
    np.save("b.npy", x[::-1] * 2)
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "multisi"]
    data = ["--marginal", "a=a.npy", "--marginal", "b=b.npy", "--steps", "40", "--quiet"]
    moved = []
    for name, start, more in (
        ("one", ["multisi"], []),
        ("two", torchrun, ["--run-dir", "two"]),
        ("apart", torchrun, ["--run-dir", "apart", "--shard"]),
    ):
        python = [sys.executable, "-m", *start]
        file = f"{name}.safetensors"
        for command in (
            [*python, "fit", *data, "--out", file, *more],
            [*python, "transport", file, "a.npy", f"{name}.npy", "--source", "a", "--target", "b"],
        ):
            done = subprocess.run(command, capture_output=True, text=True, timeout=180)
            assert done.returncode == 0, done.stderr
            assert "Warning" not in done.stderr, done.stderr
        moved.append(np.load(f"{name}.npy"))
    for other in moved[1:]:
        assert np.abs(other - moved[0]).max() < 1e-2


@pytest.mark.slow
def test_a_block_that_is_not_called_cannot_be_spread(place):
    script = pathlib.Path("train.py")
    reads = """
network.list = torch.nn.ModuleList([torch.nn.Linear(2, 2).double()])
network.register_forward_hook(lambda module, given, heads: heads @ module.list[0].weight)

def stop"""
    script.write_text(script.read_text().replace("\ndef stop", reads, 1))
    done = train(2, "run", 20, "new", "shard=yes")
    assert done.returncode != 0
    assert "ConfigError: With shard=True each block" in done.stderr


def test_weights_of_several_types_cannot_be_spread():
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
    with pytest.raises(ConfigError, match=r"same type; got torch\.float32, torch\.float64"):
        World(0, 2).shard(network)


def test_blocks_are_elements_of_the_outermost_lists():
    tied = nn.Linear(3, 3)
    network = nn.Module()
    network.first = nn.Linear(2, 3)
    network.list = nn.ModuleList([nn.Sequential(nn.Linear(3, 3)), nn.SiLU(), tied])
    network.by_name = nn.ModuleDict({"a": nn.Linear(3, 3)})
    network.last = nn.Module()
    network.last.weight = tied.weight
    assert list(_blocks(network)) == [network.list[0], network.by_name["a"]]
    assert list(_blocks(nn.Sequential(tied, nn.SiLU()))) == [tied]


@pytest.mark.slow
def test_killed_process(place):
    start = time.monotonic()
    done = train(2, "lost", 400, "resume", "stop=50", "rank=1", "signal=SIGKILL")
    assert done.returncode != 0 and time.monotonic() - start < 60
    saved = sorted(pathlib.Path("lost").glob("step*"))
    assert saved and int(saved[-1].stem[-9:]) >= 45
    # The step of the kill has passed or comes again; the restart goes on from the checkpoint.
    start = time.monotonic()
    done = train(2, "lost", 400, "resume", restarts=1)
    assert done.returncode == 0 and time.monotonic() - start < 60, done.stderr
    assert train(1, "whole", 400, "new").returncode == 0
    assert (weights("lost") - weights("whole")).abs().max() < 1e-10


@pytest.mark.slow
def test_killed_process_is_restarted(place):
    script = pathlib.Path("train.py")
    # The other process comes late: it must not be looked for where its forerunner was.
    again = """
if os.environ.get("TORCHELASTIC_RESTART_COUNT") == "1":
    options = {}
    time.sleep(2 * int(os.environ["RANK"]))

def stop"""
    script.write_text(script.read_text().replace("\ndef stop", again, 1))
    done = train(2, "run", 200, "resume", "stop=50", "rank=1", "signal=SIGKILL", restarts=1)
    assert done.returncode == 0, done.stderr
    assert train(1, "whole", 200, "new").returncode == 0
    assert (weights("run") - weights("whole")).abs().max() < 1e-10


@pytest.mark.slow
def test_nan_in_one_process(place):
    done = train(2, "run", 60, "new", "nan=lambda i: i in (12, 30)")
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split("\n")) == ["", "0 2", "1 2"]
    assert torch.equal(weights("run"), weights("run-1"))
    start = time.monotonic()
    done = train(2, "lost", 60, "new", "nan=lambda i: i > 20")
    assert done.returncode != 0 and time.monotonic() - start < 60
    assert "TrainingDivergedError: The loss has not been finite for 20 steps" in done.stderr


@pytest.mark.slow
def test_error_in_one_process(place):
    done = train(2, "run", 40, "new", "raise=OSError")
    assert done.returncode == 0 and "failed at step 20" in done.stderr, done.stderr
    assert torch.equal(weights("run"), weights("run-1"))
    start = time.monotonic()
    done = train(2, "lost", 40, "new", "raise=DataError")
    assert done.returncode != 0 and time.monotonic() - start < 60
    assert "DataError: on one of them" in done.stderr


@pytest.mark.slow
def test_transport_is_shared_out(place):
    x = np.random.default_rng(0).normal(size=(101, 2)).astype("float32")
    np.save("a.npy", x)
    model = multisi.fit(
        {"z": multisi.StandardNormal(), "a": x, "b": x + 3}, steps=3, progress=False
    )
    model.save("m.safetensors")
    command = ["-m", "multisi", "transport", "m.safetensors", "--source", "a", "--target", "b"]
    command += ["--noise", "0.5", "a.npy"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for before, out in (([], "one.npy"), (torchrun, "two.npy")):
        subprocess.run([sys.executable, *before, *command, out], check=True, timeout=120)
    assert np.allclose(np.load("one.npy"), np.load("two.npy"), atol=1e-5)


REST = {"LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RANK": "0", "WORLD_SIZE": "2"}, "LOCAL_RANK, MASTER_ADDR, MASTER_PORT"),
        ({"WORLD_SIZE": "2"}, "RANK, LOCAL_RANK"),
        (REST | {"RANK": "2", "WORLD_SIZE": "2"}, "below WORLD_SIZE; got '2' and '2'"),
        (REST | {"RANK": "x", "WORLD_SIZE": "2"}, "got 'x' and '2'"),
    ],
)
def test_incomplete_environment(environment, message, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        World.found(torch.device("cpu"))


def test_shares_cover_all_rows():
    for size in (1, 2, 3, 7):
        rows = [i for rank in range(size) for i in range(10)[World(rank, size).share(10)]]
        assert rows == list(range(10))


def test_one_process_needs_nobody():
    world, x = World(), torch.ones(3)
    world.sum([x])
    world.copy([x])
    assert world.most(2.5) == 2.5 and torch.equal(world.gather(x, 3), torch.ones(3))
    assert world.first
