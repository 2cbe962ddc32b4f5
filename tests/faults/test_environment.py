"""What machines, shells and installations do."""

import ast
import concurrent.futures
import multiprocessing
import os
import pathlib
import random
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest
import torch

import multisi
from multisi.cli.parser import main
from multisi.errors import ConfigError

ROOT = pathlib.Path(multisi.__file__).parents[1]
X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
FIT = ["fit", "--marginal", "a=a.npy", "--marginal", "b=b.npy", "--out", "m.safetensors"]
QUICK = ["--steps", "2", "--quiet", "--network-option", "width=16"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        np.save(f"{name}.npy", X.numpy())
    return tmp_path


def run(*arguments, **options):
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"} | options.pop("env", {})
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output="stdout" not in options,
        text=True,
        timeout=120,
        **options,
    )


@pytest.mark.parametrize("device", ["cuda:77", "mps:9", "xpu:5", "gpu", "", 3.5, None, "meta"])
def test_missing_device(device, place):
    with pytest.raises(ConfigError, match=r"cannot be used: .*devices: cpu.*device='auto'"):
        multisi.fit({"a": X, "b": X}, device=device, steps=2, progress=False)


def test_missing_device_with_auto(place, capsys):
    model = multisi.fit({"a": X, "b": X}, device="auto", steps=2, progress=False)
    assert model.to("auto").device.type in ("cpu", "cuda", "mps", "xpu")
    assert main([*FIT, *QUICK, "--device", "cuda:77"]) == 2
    assert "device 'cuda:77' cannot be used" in capsys.readouterr().err


STRANGE = {
    "no variables": {},
    "plain locale": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "all odd": {
        "HOME": "/nowhere",
        "LC_ALL": "tr_TR.UTF-8",
        "TZ": "Nowhere/Nothing",
        "COLUMNS": "0",
        "TERM": "dumb",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STRANGE)
def test_strange_environment(name, tmp_path, monkeypatch):
    folder = tmp_path / "a folder, mit Ümläuten 数"
    folder.mkdir()
    for file in "ab":
        np.save(folder / f"{file}.npy", X.numpy())
    done = run("-m", "multisi", *FIT, *QUICK, "--run", "läufe", cwd=folder, env=STRANGE[name])
    assert done.returncode == 0, done.stderr
    assert done.stdout and not done.stderr
    assert (folder / "m.safetensors").exists() and list((folder / "läufe").glob("step-*"))


@pytest.mark.slow
@pytest.mark.parametrize("shut", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "> /dev/full"])
def test_closed_streams(shut, place):
    command = " ".join(["python", "-m", "multisi", *FIT, *QUICK[:2], "--network-option width=16"])
    shell = f"{command.replace('python', sys.executable, 1)} {shut}"
    done = subprocess.run(
        ["/bin/sh", "-c", shell], env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.returncode == (2 if "full" in shut else 0)
    multisi.load("m.safetensors")


def test_strange_environment_of_clocks(place, monkeypatch):
    """Only clocks that never go back are asked; the time of day is of no concern."""
    for path in sorted((ROOT / "multisi").rglob("*.py")):
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
        asked = {f"{getattr(c.value, 'id', '')}.{c.attr}" for c in calls}
        assert not asked & {"time.time", "datetime.now", "datetime.utcnow"}, path


SCRIPT = """
import copy, multiprocessing, pathlib, pickle, sys, tempfile
import torch, multisi
from multisi.errors import MultisiError

def refused(call):
    try:
        call()
    except MultisiError:
        return
    sys.exit(f"not refused: {call}")

def moved(model, x):
    return model.transport(x, "a", "b", noise=0.5, seed=1)

if __name__ == "__main__":
    torch.set_num_threads(1)
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    data = {"z": multisi.StandardNormal(), "a": x, "b": x + 1}
    quick = {"steps": 3, "progress": False, "network_options": {"width": 16}}
    folder = pathlib.Path(tempfile.mkdtemp())
    for coupling in ("independent", "ot"):
        model = multisi.fit(data, coupling=coupling, run_dir=folder / coupling, **quick)
    model = multisi.fit(data, **quick)
    model.save(folder / "m")
    if not torch.equal(moved(multisi.load(folder / "m"), x), moved(model, x)):
        sys.exit("another result from the file")
    model.evaluate({"a": x, "b": x + 1}, samples=20, steps=4)
    refused(lambda: model.transport(x, "a", "c"))
    refused(lambda: model.transport(x, "a", [0.5, 0.6, -0.1]))
    refused(lambda: model.transport(x, "a", "b", steps=0))
    refused(lambda: model.transport(x / 0, "a", "b"))
    refused(lambda: model.transport(x[:, :1], "a", "b"))
    refused(lambda: multisi.fit({"a": x}, **quick))
    refused(lambda: multisi.fit(data, run_dir=folder / "ot", **quick))
    nan = multisi.Model(lambda x, a: (x / 0)[:, None].expand(-1, 2, -1), ("a", "b"))
    refused(lambda: nan.transport(x, "a", "b", solver="adaptive"))
    (folder / "m").write_bytes((folder / "m").read_bytes()[:-1])
    refused(lambda: multisi.load(folder / "m"))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        if not torch.equal(pool.apply(moved, (model, x)), moved(model, x)):
            sys.exit("another result from another process")
        pool.close()
        pool.join()
    print("good")
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [["-O"], ["-OO", "-W", "error"], ["-X", "dev"]], ids=str)
def test_other_ways_to_start_python(options, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = run(*options, "script.py", cwd=tmp_path)
    assert done.stdout == "good\n", done.stderr
    assert "Warning" not in done.stderr


def test_other_ways_to_start_without_asserts():
    for path in sorted((ROOT / "multisi").rglob("*.py")):
        asserts = [
            n.lineno for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Assert)
        ]
        assert not asserts, f"{path}: {asserts}"


def test_threads_may_share_a_model():
    model = multisi.fit(
        {"z": multisi.StandardNormal(), "a": X, "b": X + 1}, steps=3, progress=False
    )
    jobs = [
        {"source": s, "target": t, "noise": n, "seed": i, "steps": 4 + i}
        for i, (s, t, n) in enumerate(
            (s, t, n) for s, t in (("a", "b"), ("b", "a"), ("z", "b")) for n in (0.0, 0.5, 1.0)
        )
    ] * 3
    jobs += [{"source": "a", "target": "b", "solver": s} for s in ("adaptive", "rk4")] * 12
    expected = [model.transport(X, **job) for job in jobs]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda job: model.transport(X, **job), jobs))
    assert all(torch.equal(y, z) for y, z in zip(found, expected, strict=True))
    assert torch.is_grad_enabled() and model.conditional_means.training is False


def test_threads_may_fit_and_load(tmp_path):
    """One after the other inside, each with the result that it has alone."""

    def fitted(seed):
        model = multisi.fit({"a": X, "b": X + 1}, steps=3, seed=seed, progress=False)
        model.save(tmp_path / f"{seed}")
        return multisi.load(tmp_path / f"{seed}").transport(X, "a", "b")

    before = torch.get_rng_state()
    expected = [fitted(seed) for seed in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(fitted, list(range(4)) * 10))
    assert all(torch.equal(y, z) for y, z in zip(found, expected * 10, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_threads_may_fit_while_others_draw():
    """The generators of numpy and Python, which the main thread uses, are not rewound."""
    entered, drawn = threading.Event(), threading.Event()

    def wait(training):
        entered.set()
        drawn.wait(30)

    options = {"steps": 1, "progress": False, "callbacks": [wait]}
    thread = threading.Thread(target=multisi.fit, args=({"a": X, "b": X + 1},), kwargs=options)
    thread.start()
    entered.wait(30)
    np.random.rand(3), random.random()
    states = str(np.random.get_state()), random.getstate()
    drawn.set()
    thread.join()
    assert (str(np.random.get_state()), random.getstate()) == states


@pytest.mark.slow
def test_processes_may_be_spawned_while_training():
    """A loader with workers of its own, started afresh."""
    context = multiprocessing.get_context("spawn")
    loader = torch.utils.data.DataLoader(
        X, batch_size=8, num_workers=1, multiprocessing_context=context
    )
    model = multisi.fit({"a": loader, "b": X}, steps=3, progress=False)
    assert model.transport(X, "a", "b").shape == X.shape


WITHOUT = """
import sys
import threading
for name in {missing!r}:
    sys.modules[name] = None
"""
EXTRAS = ("matplotlib", "PIL", "skimage", "pandas", "pyarrow", "tensorboard", "ot", "sklearn")
CORE = """
import torch, multisi
for name in multisi.__all__:
    getattr(multisi, name)
x = torch.randn(40, 2)
model = multisi.fit({"z": multisi.StandardNormal(), "a": x, "b": x}, coupling="ot", steps=2)
model.transport(x, "a", "b")
print(model.evaluate({"a": x, "b": x}, samples=20))
model.save("m.safetensors")
multisi.load("m.safetensors")
"""


@pytest.mark.slow
def test_missing_extras_at_the_core(place):
    done = run("-W", "error", "-c", WITHOUT.format(missing=EXTRAS) + CORE)
    assert done.returncode == 0 and "a" in done.stdout, done.stderr
    for command in (["plugins"], ["inspect", "m.safetensors"]):
        script = (
            WITHOUT.format(missing=EXTRAS)
            + f"from multisi.cli.parser import main\nsys.exit(main({command}))"
        )
        assert run("-c", script).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "command", "extra"),
    [
        ("pandas", [*FIT, *QUICK, "--marginal", "c=c.parquet"], "multisi[files]"),
        ("pyarrow", [*FIT, *QUICK, "--marginal", "c=c.parquet"], "multisi[files]"),
        ("PIL", [*FIT, *QUICK, "--marginal", "c=c.png"], "multisi[files]"),
        ("skimage", ["demo", "--quiet"], "multisi[demo]"),
        ("matplotlib", ["demo", "--quiet"], "multisi[plots]"),
        (
            "matplotlib",
            ["evaluate", "m.safetensors", *FIT[1:5], "--picture", "p.png", "--quiet"],
            "multisi[plots]",
        ),
    ],
)  # fmt: skip
def test_missing_extras(missing, command, extra, place):
    if command[0] == "evaluate":
        assert main([*FIT, *QUICK]) == 0
    pathlib.Path("c.parquet").write_bytes(b"PAR1")
    pathlib.Path("c.png").write_bytes(b"\x89PNG")
    script = WITHOUT.format(missing=(missing,))
    done = run("-c", script + f"from multisi.cli.parser import main\nsys.exit(main({command}))")
    assert done.returncode == 2 and extra in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_wheel(tmp_path):
    command = ["-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"multisi-{multisi.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        (entry,) = [name for name in names if name.endswith("entry_points.txt")]
        assert "multisi = multisi.cli:main" in file.read(entry).decode()
        (metadata,) = [name for name in names if name.endswith("METADATA")]
        assert f"\nVersion: {multisi.__version__}\n" in file.read(metadata).decode()
    assert "multisi/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    # The faces, `__init__.pyi`, are read when a name is first used.
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "multisi").rglob("*.py*")}
    sources = {name for name in sources if name.endswith((".py", ".pyi"))}
    assert {name for name in names if name.endswith((".py", ".pyi"))} == sources
    assert not [name for name in names if "tests" in name.split("/") or "__pycache__" in name]
