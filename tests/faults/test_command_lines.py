"""Wrong command lines: one line that says what is wrong, exit status 2, and nothing is written."""

import hashlib
import os
import pathlib
import random

import numpy as np
import pytest
from PIL import Image

from multisi.cli.parser import main

DEEP = "[" * 100_000
WHOLE = ["0", "-1", "1.5", "1e3", "nan", "inf", "x", "", "\uff11\uff10", "9" * 200, "1_0", "0x10"]
REAL = ["-1", "nan", "inf", "-inf", "1e999", "x", "", "٣", "1_0", "9" * 5000]
NAMES = ["gone", "", "gone=", "None", "a\nb"]
FILES = ["gone.csv", "x.xyz", "text.csv", ".", "", "pipe.npy", "damaged.npz", "damaged.parquet",
         "empty.csv", "counts.csv", "ragged.csv", "pages.tiff", "no/x.csv",
         "objects.npy"]  # fmt: skip
DATA = ["a", "a=", "=a.csv", "=", *(f"b={file}" for file in FILES), "a=wide.npy", "a=other.csv"]
PLACES = ["", ".", "no/x.st", "a.csv", "./b.csv", "link.csv", "x" * 300, "pipe.npy", "\0"]
PARTS = ["self=1", "kind=1", "=", "x", "x=1", f"x={DEEP}", "args=1", "base=1", "1=1", "a b=1"]
READING = {
    "--header": ["maybe", "", "c=yes", "=yes", "YES"],
    "--index": ["gone", "#9", "#0", ""],
    "--missing": ["x", "", "1"],
    "--max-bytes": WHOLE,
    "--size": ["0", "x", "8x", "1x2x3", "-8", "", "8.5", "٣"],
    "--channels": [*WHOLE, "2"],
    "--unreadable": ["x", "", "1"],
}
COMMON = {"--seed": [*WHOLE[1:], str(2**64)], "--device": ["cuda:9", "gpu", "", "mps:7"]}
COLUMNS = {"--weights": NAMES, "--labels": NAMES, "--condition": NAMES}
TRANSPORT = {
    "--noise": [*REAL, "1e300"],
    "--solver": NAMES,
    "--interpolant": NAMES,
    "--path": NAMES,
    "--steps": [*WHOLE, "10000000"],
}
GRAMMAR = {
    "fit": (
        ["--marginal", "a=a.csv", "--marginal", "b=b.csv", "--out", "new.st", "--quiet",
         "--steps", "1"],
        {
            "--marginal": [*DATA, "a=a.csv", "noise=a.csv", "c=gone.csv", "c=wide.npy"],
            "--out": PLACES,
            "--noise-name": ["a", ""],
            "--noise": ["0.5", "noise"],
            "--coupling": NAMES,
            "--coupling-option": PARTS,
            "--network": NAMES,
            "--network-option": [*PARTS, "width=0", "width=x", "network=1", "depth=-1"],
            "--steps": WHOLE,
            "--max-seconds": REAL,
            "--batch-size": [*WHOLE, "1000000000000"],
            "--learning-rate": REAL,
            "--held-out": ["a=a.csv", "c=a.csv", "a", *DATA],
            "--units": ["", "x", "standardised", "Channels"],
            "--precision": ["half", "", "float8"],
            "--log": [".", "", "no/l", "a.csv", "link.csv", "pipe.npy", "new.st", "damaged.npz"],
            "--run": ["", "a.csv", "new.st", "text.csv"],
            "--save-seconds": REAL,
            **READING, **COLUMNS, **COMMON,
        },
    ),
    "transport": (
        ["m.st", "--source", "a", "--target", "b", "a.csv", "new.csv", "--quiet"],
        {
            "--source": [*NAMES, "a=2", "a=x", "a=1,b=1", "=,="],
            "--target": [*NAMES, "a=2", "a=nan", "b=0.5,c=0.5", ","],
            "--via": [*NAMES, "a=-1"],
            "--condition": ["gone", "1,2,3", "nan", ""],
            **READING, **TRANSPORT, **COMMON,
        },
    ),
    "evaluate": (
        ["m.st", "--marginal", "a=a.csv", "--marginal", "b=b.csv", "--quiet"],
        {
            "--marginal": [*DATA, "a=a.csv", "c=a.csv"],
            "--samples": [*WHOLE, "3"],
            "--units": ["", "x", "whole"],
            "--picture": [".", "", "no/p.png", "p.gif", "p", "a.csv", "m.st", "x" * 300 + ".png"],
            **READING, **COLUMNS, **TRANSPORT, **COMMON,
        },
    ),
    "demo": (
        ["--images", "a.png", "b.png", "--quiet", "--steps", "1"],
        {
            "--images": ["a.png", "gone.png", "a.csv", "pages.tiff", ""],
            "--out": ["a.csv", "", "x" * 300],
            "--steps": WHOLE,
            **COMMON,
        },
    ),
    "palette": (
        ["a.png", "b.png", "--out", "o", "--quiet", "--steps", "1"],
        {
            "--out": ["a.csv", "", "x" * 300],
            "--strength": ["-1", "1.1", "nan", "x"],
            "--steps": WHOLE,
            **COMMON,
        },
    ),
    "trajectories": (
        ["a.csv", "--time", "t", "--out", "o", "--quiet", "--steps", "1"],
        {
            "--out": ["a.csv", "", "x" * 300],
            "--time": ["gone", ""],
            "--embedding": ["X_pca"],
            "--label": ["gone"],
            "--weight": ["gone"],
            "--condition": ["gone", ""],
            "--masses": ["x", "0=", "0=x", "=1", "0=1", "gone=1", "0=-1", "counts=1"],
            "--steps": WHOLE,
            **COMMON,
        },
    ),
    "new-plugin": (["solver", "own"], {"--out": ["a.csv", "x" * 300], "--strict": []}),
    "inspect": (["m.st"], {"--json": ["x"], "--quiet": []}),
    "export": (
        ["m.st", "new.json"],
        {"--engine": ["", ".", "no/x.js", "m.st", "x" * 300, "pipe.npy", "\0"], "--steps": ["1"]},
    ),
    "plugins": ([], {"--strict": ["x"], "--steps": ["1"]}),
}  # fmt: skip


def wrong(source):
    """A command with one or two options that are wrong; most options may be given again."""
    command = source.choice(("fit", "fit", "fit", "transport", "transport", "evaluate", "evaluate",
                             "demo", "palette", "new-plugin", "inspect", "plugins"))  # fmt: skip
    words, options = GRAMMAR[command]
    words = [command, *words]
    for name in source.sample(list(options), min(len(options), source.choice((1, 1, 2)))):
        values = options[name]
        given = [f"{name}={source.choice(values)}"] if values else [name]
        if name == "--images":
            words = [command, name, *source.sample(values, 2)]
        elif name == "--marginal":
            given = [name, source.choice(values)]
            words += given
        else:
            words += given if source.random() < 0.7 or not values else given[0].split("=", 1)
    way = source.random()
    if way < 0.05:
        words.insert(source.randrange(len(words) + 1), source.choice(("--what", "-x", "--ste")))
    elif way < 0.1:
        words = [*words[: source.randrange(len(words))], "--what"]
    return words


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).normal(size=(40, 2)).round(3)
    for name, header in (("a", "age,size"), ("b", "size,age"), ("other", "age,colour")):
        lines = [header, *(",".join(map(str, row)) for row in rows.tolist())]
        pathlib.Path(f"{name}.csv").write_text("\n".join(lines))
    pathlib.Path("text.csv").write_text("age,size\n1,x\n")
    pathlib.Path("empty.csv").write_text("")
    pathlib.Path("counts.csv").write_text("age,size\n0,1.5\n1,2.5\n2,7\n")
    pathlib.Path("ragged.csv").write_text("age,size\n0,1.5\n1\n")
    np.save("wide.npy", np.zeros((9, 3)))
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    for name in ("damaged.npz", "damaged.parquet"):
        pathlib.Path(name).write_bytes(b"PK\x03\x04 but no more of it")
    for name in "ab":
        Image.fromarray(np.full((3, 4, 3), ord(name), np.uint8)).save(f"{name}.png")
    page = Image.new("RGB", (3, 3))
    page.save("pages.tiff", save_all=True, append_images=[page])
    os.symlink("a.csv", "link.csv")
    fit = ["--marginal", "a=a.csv", "--marginal", "b=b.csv", "--out", "m.st", "--steps", "1"]
    assert main(["fit", *fit, "--network-option", "width=8", "--quiet"]) == 0
    os.mkfifo("pipe.npy")
    return tmp_path


def state(folder):
    """What each file of a folder holds, and what the links lead to."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("part", range(5))
def test_wrong_command_line(part, folder, capfd):
    source, before = random.Random(part), state(folder)
    for _ in range(100):
        words = wrong(source)
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        shown = " ".join(word[:60] for word in words)
        assert code == 2, shown
        assert err.count("\n") == 1 and err.endswith("\n") and err.startswith("multisi"), (
            shown,
            err[:3000],
        )
        assert not out, (shown, out)
        assert state(folder) == before, shown
