import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import multisi
from multisi.cli.parser import main

ROOT = pathlib.Path(multisi.__file__).parents[1]
COMMANDS = ("demo", "fit", "transport", "evaluate", "plugins")


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = np.random.default_rng(0)
    np.save("a.npy", source.normal(size=(300, 2)))
    rows = source.uniform(size=(300, 2)).tolist()
    lines = ["width,height", *(",".join(map(str, row)) for row in rows)]
    pathlib.Path("b.csv").write_text("\n".join(lines))
    return tmp_path


FIT = ["fit", "--marginal", "a=a.npy", "--marginal", "b=b.csv", "--steps", "3", "--quiet"]


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_options_of_training(files, capsys):
    np.save("more.npy", np.random.default_rng(1).normal(size=(50, 2)))
    options = ["--coupling", "ot", "--coupling-option", "rows=32", "--coupling-option", "sweeps=1"]
    options += ["--held-out", "a=more.npy", "--held-out", "b=more.npy", "--precision", "bfloat16"]
    assert (
        run(*FIT[:-2], "200", "--quiet", "--out", "m.safetensors", "--log", "l.jsonl", *options)
        == 0
    )
    assert [
        json.loads(line)["step"] for line in pathlib.Path("l.jsonl").read_text().splitlines()
    ] == [100, 200]
    held_out = ("--marginal", "a=a.npy", "--marginal", "b=b.csv", "--samples", "100")
    assert run("evaluate", "m.safetensors", *held_out, "--picture", "p.png") == 0
    assert pathlib.Path("p.png").read_bytes()[:4] == b"\x89PNG"
    capsys.readouterr()
    options = ["--coupling", "independent", "--coupling-option", "rows=2"]
    assert run(*FIT, "--out", "m.safetensors", *options) == 2
    assert "unexpected keyword argument 'rows'" in capsys.readouterr().err


def test_fit_transport_evaluate(files, capsys):
    assert run(*FIT, "--out", "m.safetensors", "--network-option", "width=16") == 0
    assert "m.safetensors" in capsys.readouterr().out
    model = multisi.load("m.safetensors")
    assert model.marginals == ("noise", "a", "b")

    assert (
        run("transport", "m.safetensors", "--source", "b", "--target", "a", "b.csv", "y.csv") == 0
    )
    lines = pathlib.Path("y.csv").read_text().splitlines()
    assert lines[0] == "width,height" and len(lines) == 301
    moved = model.transport(np.loadtxt("b.csv", delimiter=",", skiprows=1), "b", "a")
    assert np.allclose(np.loadtxt("y.csv", delimiter=",", skiprows=1), moved)

    for target in ("barycenter", "a=0.3,b=0.7", "noise"):
        options = ("--source", "a", "--target", target, "--via", "b", "--noise", "0.5")
        assert run("transport", "m.safetensors", *options, "a.npy", "y.npy") == 0
        assert np.load("y.npy").shape == (300, 2)

    held_out = ("--marginal", "a=a.npy", "--marginal", "b=b.csv")
    assert run("evaluate", "m.safetensors", *held_out, "--samples", "100") == 0
    assert "energy distance" in capsys.readouterr().out
    assert run("evaluate", "m.safetensors", *held_out, "--samples", "100", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["pairs"]) == 2


def test_images_in_and_out(files):
    from PIL import Image

    for name, colour in (("red", (200, 30, 40)), ("blue", (20, 40, 180))):
        pixels = np.random.default_rng(1).integers(-20, 20, (12, 10, 3)) + colour
        Image.fromarray(pixels.astype(np.uint8)).save(f"{name}.png")
    marginals = ("--marginal", "red=red.png", "--marginal", "blue=blue.png")
    assert run("fit", *marginals, "--out", "m", "--steps", "300", "--quiet") == 0
    assert run("transport", "m", "--source", "red", "--target", "blue", "red.png", "y.png") == 0
    moved = np.asarray(Image.open("y.png"))
    assert moved.shape == (12, 10, 3)
    assert np.abs(moved.reshape(-1, 3).mean(0) - (20, 40, 180)).max() < 15


BAD = [
    ((*FIT[:3], "--no-noise", "--out", "m"), "At least 2 marginals"),
    ((*FIT, "--marginal", "a=a.npy", "--out", "m"), "the name 'a' is given twice"),
    ((*FIT, "--marginal", "noise=a.npy", "--out", "m"), "has the name of the noise"),
    ((*FIT, "--marginal", "c", "--out", "m"), "must have the form NAME=FILE; got 'c'"),
    ((*FIT, "--marginal", "c=c.npy", "--out", "m"), "The file 'c.npy' does not exist"),
    ((*FIT, "--marginal", "c=m.xyz", "--out", "m"), "format '.xyz' is unknown"),
    ((*FIT, "--out", "nowhere/m"), "the folder 'nowhere' does not exist"),
    ((*FIT, "--out", "."), "is a folder"),
    ((*FIT, "--out", "m", "--steps", "0"), "steps must be an integer of at least 1; got 0"),
    ((*FIT, "--out", "m", "--device", "cuda:9"), "device 'cuda:9' cannot be used"),
    ((*FIT, "--out", "m", "--network", "mlpp"), "Did you mean 'mlp'"),
    ((*FIT, "--out", "m", "--no-noise", "--no-noise", "--coupling", "x"), "no coupling 'x'"),
    (("transport", "m", "--source", "a", "--target", "b", "a.npy", "y.npy"), "cannot be read"),
    (("evaluate", "a.npy", "--marginal", "a=a.npy"), "not a safetensors file"),
    (("demo", "--images", "a.npy"), "At least 2 images"),
    (("demo", "--images", "a.npy", "b.csv"), "'a.npy' is not an image"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input(arguments, message, files, capsys):
    before = sorted(p.name for p in files.iterdir())
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith(f"multisi {arguments[0]}: ")
    assert sorted(p.name for p in files.iterdir() if p.name != "demo") == before


def test_transport_checks_before_it_works(files, capsys):
    run(*FIT, "--out", "m")
    for arguments, message in (
        (("--source", "a", "--target", "c", "a.npy", "y.npy"), "no marginal is named 'c'"),
        (("--source", "a", "--target", "a=2,b=1", "a.npy", "y.npy"), "sum to 1"),
        (("--source", "a", "--target", "b", "a.npy", "y.png"), "only samples from an image"),
        (("--source", "a", "--target", "b", "a.npy", "no/y.npy"), "does not exist. Create"),
        (("--source", "a", "--target", "b", "--steps", "0", "a.npy", "y.npy"), "steps must be"),
    ):
        assert run("transport", "m", *arguments) == 2
        assert message in capsys.readouterr().err
    assert not (files / "y.npy").exists()


def test_a_reader_that_leaves():
    command = [sys.executable, "-m", "multisi", "plugins"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 141


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_imports_no_torch(command):
    code = (
        "import sys\nfrom multisi.cli import main\n"
        f"try: main({[*command, '--help']!r})\n"
        "except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "usage: multisi" in shown.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stop_signal_without_a_run_saves_the_model(files, number, status):
    command = [sys.executable, "-u", "-m", "multisi", *FIT[:5], "--steps", "1000000"]
    process = subprocess.Popen(
        [*command, "--out", "m.safetensors", "--log", "l.jsonl"],
        stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    log = files / "l.jsonl"
    while not (log.exists() and log.read_text()):  # Until it trains.
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == status
    place = files / "m-interrupted.safetensors"
    assert f"The model so far is in {place}." in error and "Traceback" not in error
    assert multisi.load(place).marginals == ("noise", "a", "b")
    assert not (files / "m.safetensors").exists()
