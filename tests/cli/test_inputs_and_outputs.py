import json
import os
import pathlib
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pandas
import pytest

import multisi
from multisi.cli.parser import main
from multisi.errors import DataWarning


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = np.random.default_rng(0)
    age, income = source.normal(45, 10, 300), source.normal(60_000, 9000, 300)
    pandas.DataFrame({"age": age, "income": income}).to_csv("a.csv", index=False)
    pandas.DataFrame({"income": income + 5000, "age": age + 5}).to_csv("b.csv", index=False)
    return tmp_path


FIT = ("fit", "--marginal", "a=a.csv", "--marginal", "b=b.csv", "--quiet", "--network-option",
       "width=16")  # fmt: skip


def run(*arguments):
    return main([str(argument) for argument in arguments])


def refused(capsys, message, *arguments):
    before = {p: p.read_bytes() for p in pathlib.Path().iterdir() if p.is_file()}
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1, error
    assert {p: p.read_bytes() for p in pathlib.Path().iterdir() if p.is_file()} == before


def test_columns_are_aligned_by_name(files, capsys):
    assert run(*FIT, "--steps", "300", "--out", "m.st") == 0
    model = multisi.load("m.st")
    assert model.features == ("age", "income")
    assert run("transport", "m.st", "--source", "b", "--target", "a", "b.csv", "y.csv") == 0
    given, moved = pandas.read_csv("b.csv"), pandas.read_csv("y.csv")
    assert list(moved) == ["income", "age"]
    expected = model.transport(given[["age", "income"]].to_numpy(), "b", "a")
    assert np.allclose(moved[["age", "income"]], expected)
    assert abs(moved["age"].mean() - 45) < 2 and abs(moved["income"].mean() - 60_000) < 2000


def test_names_of_features_are_inspected(files, capsys):
    table = pandas.read_csv("a.csv").assign(year=range(1900, 2200))
    table.to_csv("a.csv", index=False)
    assert run(*FIT, "--steps", "1", "--out", "m.st", "--condition", "year") == 0
    capsys.readouterr()
    assert run("inspect", "m.st") == 0
    assert "\nfeatures    'age', 'income'\n" in capsys.readouterr().out


def test_columns_are_refused_with_both_lists(files, capsys):
    run(*FIT, "--steps", "1", "--out", "m.st")
    transport = ("transport", "m.st", "--source", "a", "--target", "b")
    pandas.read_csv("a.csv").rename(columns={"age": "years"}).to_csv("c.csv", index=False)
    message = "'c.csv' must have the features 'age', 'income'; got 'years', 'income'"
    refused(capsys, message, *transport, "c.csv", "y.csv")
    refused(
        capsys, "Marginal 'c': its table must have", *FIT, "--marginal", "c=c.csv", "--out", "n"
    )
    pathlib.Path("bare.csv").write_text("45.5,60000.5\n41.5,63000.5\n40.1,61000.2\n")
    message = "'bare.csv' has no names, and the features have: 'age', 'income'"
    refused(capsys, message, *transport, "bare.csv", "y.csv")
    assert run(*transport, "--header", "no", "bare.csv", "y.csv") == 0
    np.save("bare.npy", np.loadtxt("bare.csv", delimiter=","))
    assert run(*transport, "bare.npy", "y.npy") == 0
    assert np.allclose(np.load("y.npy"), np.loadtxt("y.csv", delimiter=","))
    several = (*FIT[:3], "--marginal", "c=bare.csv", "--steps", "1", "--quiet", "--out", "n.st")
    refused(capsys, "Marginal 'c': its table has no names", *several)
    assert run(*several, "--header", "c=no") == 0


def test_an_identifier_comes_out_with_its_rows(files, capsys):
    run(*FIT, "--steps", "1", "--out", "m.st")
    frame = pandas.read_csv("b.csv")
    frame.insert(1, "person", [f"p{i:03}" for i in range(300)])
    frame.to_csv("c.csv", index=False)
    transport = ("transport", "m.st", "--source", "b", "--target", "a", "c.csv", "y.csv")
    refused(capsys, "line 2, column 'person': 'p000' is not a finite number", *transport)
    refused(capsys, "--index: no file has the column 'gone'. The first table", *transport,
            "--index", "person", "--index", "gone")  # fmt: skip
    assert run(*transport, "--index", "person") == 0
    moved = pandas.read_csv("y.csv")
    assert list(moved) == ["income", "person", "age"] and moved["person"].equals(frame["person"])


def test_rows_with_missing_values_are_left_out_on_request(files, capsys):
    run(*FIT, "--steps", "1", "--out", "m.st")
    frame = pandas.read_csv("a.csv")
    frame.loc[5, "income"] = np.nan
    frame.to_csv("c.csv", index=False)
    transport = ("transport", "m.st", "--source", "a", "--target", "b", "c.csv", "y.csv")
    refused(capsys, "'c.csv', line 7, column 'income': a value is missing", *transport)
    with warnings.catch_warnings():
        warnings.simplefilter("default", DataWarning)
        assert run(*transport, "--missing", "drop") == 0
    said = "'c.csv': 1 of 300 rows have missing values and are left out.\n"
    assert capsys.readouterr().err == f"multisi transport: warning: {said}"
    assert len(pandas.read_csv("y.csv")) == 299


def test_weights_and_labels_of_columns(files, capsys):
    for name in "ab":
        frame = pandas.read_csv(f"{name}.csv")
        frame["w"], frame["kind"] = np.arange(300) % 2, ["cat", "dog", "owl"] * 100
        frame.to_csv(f"{name}.csv", index=False)
    options = ("--weights", "w", "--labels", "kind")
    coupling = ("--coupling", "class-aware", "--steps", "2", "--out", "m.st")
    assert run(*FIT, *coupling, *options) == 0
    model = multisi.load("m.st")
    assert model.features == ("age", "income")
    capsys.readouterr()
    evaluate = ("evaluate", "m.st", *FIT[1:5], "--samples", "100", "--json", "--quiet")
    assert run(*evaluate, *options) == 0
    shown = json.loads(capsys.readouterr().out)
    held_out = {
        name: multisi.Marginal(
            pandas.read_csv(f"{name}.csv")[["age", "income"]].to_numpy(),
            weights=np.arange(300) % 2,
            features=["age", "income"],
        )
        for name in "ab"
    }
    expected = model.evaluate(held_out, samples=100).to_dict()
    for pair, other in zip(shown["pairs"], expected["pairs"], strict=True):
        assert pair["energy_distance"] == pytest.approx(other["energy_distance"])
    options = ("--weights", "v", "--labels", "kind", "--index", "w")
    refused(capsys, "--weights: no file has the column 'v'", *evaluate, *options)


def test_labels_of_text_in_one_file(files, capsys):
    """The label 1 is one label, whether or not the other labels of its file are numbers."""
    source = np.random.default_rng(0)
    for name, labels in {"a": [1, 2], "b": ["1", "x"]}.items():
        table = {"x": source.normal(size=40), "kind": labels * 20}
        pandas.DataFrame(table).to_csv(f"{name}.csv", index=False)
    fit = (*FIT, "--steps", "1", "--out", "m.st", "--labels", "kind", "--coupling", "class-aware")
    assert run(*fit) == 0


def test_columns_that_only_held_out_tables_have(files, capsys):
    for name in "ab":
        pandas.read_csv(f"{name}.csv").assign(n=7).to_csv(f"{name}2.csv", index=False)
    fit = (
        *FIT,
        "--steps",
        "1",
        "--out",
        "m.st",
        "--held-out",
        "a=a2.csv",
        "--held-out",
        "b=b2.csv",
    )
    refused(capsys, "Not expected: 'n'. Select or rename the columns. A column that is no feature "
            "is kept aside by --index.", *fit)  # fmt: skip
    assert run(*fit, "--index", "n") == 0


@pytest.mark.parametrize("kind", [">f8", ">i4", "longdouble", "float16", "bool"])
def test_types_of_numbers_that_torch_does_not_take(kind, files):
    rows = np.random.default_rng(0).integers(0, 2, (40, 2)).astype(kind)
    for name in "ab":
        np.save(f"{name}.npy", rows)
    fit = ("fit", "--marginal", "a=a.npy", "--marginal", "b=b.npy", "--quiet", "--steps", "1")
    assert run(*fit, "--out", "m.st") == 0
    transport = ("transport", "m.st", "--source", "a", "--target", "a", "a.npy", "o.npy")
    assert run(*transport, "--quiet", "--steps", "2") == 0
    out = np.load("o.npy")
    assert np.array_equal(out, rows)
    assert out.dtype == (kind if np.dtype(kind).kind == "f" else out.dtype)


def test_a_condition_from_columns_or_for_all(files, capsys):
    frame = pandas.read_csv("a.csv").assign(year=np.linspace(1990, 2025, 300))
    frame.to_csv("c.csv", index=False)
    fit = ("fit", "--marginal", "a=c.csv", "--condition", "year", "--quiet", "--steps", "5")
    assert run(*fit, "--out", "m.st") == 0
    transport = ("transport", "m.st", "--source", "a", "--target", "noise")
    assert run(*transport, "--condition", "year", "c.csv", "y.csv") == 0
    model, moved = multisi.load("m.st"), pandas.read_csv("y.csv")
    rows, years = frame[["age", "income"]].to_numpy(), frame[["year"]].to_numpy()
    expected = model.transport(rows, "a", "noise", condition=years)
    assert np.allclose(moved[["age", "income"]], expected)
    assert np.allclose(moved["year"], frame["year"])
    np.save("x.npy", rows)
    assert run(*transport, "--condition", "1990", "x.npy", "y.npy") == 0
    expected = model.transport(rows, "a", "noise", condition=np.array([1990.0]))
    assert np.allclose(np.load("y.npy"), expected)
    refused(capsys, "--condition must be columns, or one condition", *transport,
            "--condition", "1", "--condition", "year", "c.csv", "z.csv")  # fmt: skip


def test_a_condition_that_is_a_number_and_a_column(files, capsys):
    table = pandas.read_csv("a.csv").assign(**{"2020": np.linspace(0, 1, 300)})
    table.to_csv("c.csv", index=False)
    fit = ("fit", "--marginal", "a=c.csv", "--marginal", "b=b.csv", "--quiet", "--steps", "1")
    header = ("--header", "yes")
    assert run(*fit, *header, "--out", "m.st", "--condition", "2020") == 0
    transport = ("transport", "m.st", "--source", "a", "--target", "b", "c.csv", "o.csv", *header)
    refused(capsys, "'2020' is a number and a column", *transport, "--condition", "2020")
    assert run(*transport, "--quiet", "--condition", "#3") == 0
    assert run(*transport, "--quiet", "--condition", "2020.0", "--index", "2020") == 0


def test_no_output_is_an_input(files, capsys):
    os.symlink("b.csv", "link.csv")
    os.link("a.csv", "hard.csv")
    for out, name in (("b.csv", "b"), ("./a.csv", "a"), ("link.csv", "b"), ("hard.csv", "a"),
                      (files / "a.csv", "a")):  # fmt: skip
        refused(capsys, f"is the file of --marginal {name}", *FIT, "--out", out)
        message = f"--log '{pathlib.Path(out)}' is the file of --marginal {name}"
        refused(capsys, message, *FIT, "--out", "m.st", "--log", out)
    held_out = ("--held-out", "a=hard.csv", "--held-out", "b=b.csv")
    refused(capsys, "is the file of", *FIT, "--out", "m", "--log", "hard.csv", *held_out)
    refused(capsys, "--log 'm.st' is the file of --out", *FIT, "--out", "m.st", "--log", "m.st")
    refused(capsys, "--run-dir 'm' is the file of --out", *FIT, "--out", "m", "--run", "m")
    refused(capsys, "would be the folder of", *FIT, "--out", "m", "--run", "m/r")
    run(*FIT, "--steps", "1", "--out", "m.st")
    transport = ("transport", "m.st", "--source", "a", "--target", "b")
    refused(capsys, "OUT 'hard.csv' is the file of IN", *transport, "a.csv", "hard.csv")
    refused(capsys, "OUT 'm.st' is the file of MODEL", *transport, "a.csv", "m.st")
    shutil.copy("m.st", "m.png")
    evaluate = ("evaluate", "m.png", *FIT[1:5], "--picture", "m.png")
    refused(capsys, "--picture 'm.png' is the file of MODEL", *evaluate)


def test_links_in_a_circle(files, capsys):
    os.symlink("y.csv", "x.csv")
    os.symlink("x.csv", "y.csv")
    refused(capsys, "'x.csv' cannot be read: [Errno", "fit", "--marginal", "a=x.csv", "--marginal",
            "b=b.csv", "--out", "m.st")  # fmt: skip
    refused(capsys, "'y.csv' cannot be written: [Errno", *FIT, "--out", "y.csv")
    refused(capsys, "'y.csv' cannot be written: [Errno", *FIT, "--out", "m.st", "--log", "y.csv")


def test_control_characters_of_paths(files, capsys):
    assert run(*FIT, "--steps", "1", "--out", "\x1b[31m\n.st") == 0
    assert capsys.readouterr().out.endswith(r" is in \x1b[31m\n.st" + "\n")
    assert run("new-plugin", "path", "own", "--out", "\x1b[2J") == 0
    assert r"\x1b[2J/multisi-own is a package" in capsys.readouterr().out


def test_options_that_exclude_each_other(files, capsys):
    fit = (*FIT, "--steps", "1", "--out", "m.st")
    refused(capsys, "arguments: --what 1. See multisi fit --help", *fit, "--what", "1")
    refused(capsys, "--no-noise and --noise-name", *fit, "--no-noise", "--noise-name", "n")
    refused(capsys, "--header is given twice.", *fit, "--header", "yes", "--header", "no")
    twice = ("--header", "a=yes", "--header", "yes", "--header", "a=no")
    refused(capsys, "--header is given twice for 'a'", *fit, *twice)


def test_folder_of_another_package(files, capsys, monkeypatch):
    pathlib.Path("multisi-own").mkdir()
    pathlib.Path("multisi-own/README.md").write_text("mine")
    refused(capsys, "'multisi-own' exists", "new-plugin", "path", "own")
    assert pathlib.Path("multisi-own/README.md").read_text() == "mine"

    def full(path, data):
        raise OSError("no room")

    monkeypatch.setattr("multisi.cli.new_plugin.write_whole", full)
    refused(capsys, "'multisi-new' cannot be written: no room", "new-plugin", "path", "new")
    assert not pathlib.Path("multisi-new").exists()


def test_a_log_that_is_none(files, capsys):
    pathlib.Path("notes.txt").write_text("my notes\n")
    fit = (*FIT, "--steps", "100", "--out", "m.st")
    pathlib.Path("dataset.json").write_text('{"type": "dataset", "rows": [[1, 2]]}\n')
    pathlib.Path("number.json").write_text("7\n")
    for name in ("notes.txt", "dataset.json", "number.json"):
        refused(capsys, f"'{name}' exists and has no lines of JSON", *fit, "--log", name)
    assert run(*fit, "--log", "l.jsonl") == 0 and run(*fit, "--log", "l.jsonl") == 0
    steps = [json.loads(line)["step"] for line in pathlib.Path("l.jsonl").read_text().splitlines()]
    assert steps == [100, 100]
    refused(capsys, "learning_rate must be", *fit, "--log", "new.jsonl", "--learning-rate", "0")


def test_a_model_that_cannot_be_saved_is_rescued(files, capsys, monkeypatch):
    from multisi.files import checkpoint

    whole, full = checkpoint.write_whole, pathlib.Path("full").absolute()
    full.mkdir()

    def write(path, data):
        if full in pathlib.Path(path).absolute().parents:
            raise OSError(28, "No space left on device")
        whole(path, data)

    monkeypatch.setattr(checkpoint, "write_whole", write)
    assert run(*FIT, "--steps", "1", "--out", "full/m.st") == 2
    error = capsys.readouterr().err
    place = error.rpartition("The model is in '")[2].rpartition("'")[0]
    assert "No space left" in error and error.count("\n") == 1
    assert multisi.load(place).marginals == ("noise", "a", "b")
    assert pathlib.Path(place).parent == files and not list(full.iterdir())


def test_room_is_looked_for_before_the_work(files, capsys, monkeypatch):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    fit = (*FIT, "--steps", "100000", "--out", "m.st", "--log", "l.jsonl")
    assert run(*fit) == 2
    assert "'m.st' cannot be written: it needs" in capsys.readouterr().err
    assert not pathlib.Path("m.st").exists() and not pathlib.Path("l.jsonl").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=0))
    refused(capsys, "and 0 are free. Make room", *fit)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
def test_room_is_looked_for_within_the_limits_of_the_process(files):
    """A limit of 512 bytes stands for a quota: the disk has room, and the user has none."""
    fit = [sys.executable, "-m", "multisi", *FIT, "--steps", "1", "--out", "m.st"]
    model = subprocess.run(fit, capture_output=True)
    assert model.returncode == 0
    transport = [*fit[:3], "transport", "m.st", "--source", "a", "--target", "b", "a.csv", "o.csv",
                 "--quiet", "--steps", "1000000"]  # fmt: skip
    limited = ["sh", "-c", 'ulimit -f 1; "$@"', "sh", *transport]
    found = subprocess.run(limited, capture_output=True, text=True, timeout=60)
    assert found.returncode == 2
    assert "'o.csv' cannot be written" in found.stderr and found.stderr.count("\n") == 1


def test_names_of_a_length_that_no_system_takes(files, capsys):
    refused(capsys, "cannot be written: [Errno 36]", *FIT, "--out", "x" * 300)


def test_the_home_folder(files, capsys, monkeypatch):
    home = files / "home"
    home.mkdir()
    shutil.copy("a.csv", home)
    monkeypatch.setenv("HOME", str(home))
    fit = ("fit", "--marginal", "a=~/a.csv", "--marginal", "b=b.csv", "--steps", "100", "--quiet")
    assert run(*fit, "--out", "~/m.st", "--log", "~/l.jsonl") == 0
    assert {p.name for p in home.iterdir()} == {"a.csv", "m.st", "l.jsonl"}
    transport = ("transport", "~/m.st", "--source", "a", "--target", "b", "~/a.csv", "~/y.csv")
    assert run(*transport) == 0 and (home / "y.csv").exists()
    refused(capsys, "is the file of IN", *transport[:-1], home / "a.csv")


@pytest.mark.parametrize(
    ("name", "start"), [("p.pdf", b"%PDF"), ("p.svg", b"<?xml"), ("p.png", b"\x89PNG"),
                        ("p.jpg", b"\xff\xd8")]
)  # fmt: skip
def test_pictures_have_the_format_of_their_names(name, start, files, capsys):
    run(*FIT, "--steps", "1", "--out", "m.st")
    evaluate = ("evaluate", "m.st", *FIT[1:5], "--samples", "50", "--quiet", "--picture")
    assert run(*evaluate, name) == 0
    assert pathlib.Path(name).read_bytes().startswith(start)
    refused(capsys, "picture must be a file whose name ends in", *evaluate, "p.gif")


def test_units_are_chosen(files, capsys):
    source = np.random.default_rng(0)
    for name in "ab":
        np.save(f"{name}.npy", source.normal(size=(50, 2, 4, 4)) * [[[1]], [[1000]]])
    fit = ("fit", "--marginal", "a=a.npy", "--marginal", "b=b.npy", "--quiet", "--steps", "1")
    for units, shape in {"whole": (), "channels": (2, 1, 1), "features": (2, 4, 4)}.items():
        assert run(*fit, "--out", f"{units}.st", "--units", units) == 0
        assert multisi.load(f"{units}.st").standardiser.scale.shape == shape
    refused(capsys, "units must be", *fit, "--out", "m.st", "--units", "pixels")
    capsys.readouterr()
    evaluate = ("evaluate", "whole.st", *fit[1:6], "--steps", "2", "--json")
    found = []
    for units in ("standardised", "data"):
        assert run(*evaluate, "--units", units) == 0
        found.append(json.loads(capsys.readouterr().out))
        assert found[-1]["units"] == units
    first, second = (report["pairs"][0]["energy_distance"] for report in found)
    assert first > 100 * abs(second)  # The small channel is wrong, and heard in its own unit.
    refused(capsys, "units must be", *evaluate, "--units", "pixels")


def test_json_is_strict(files, capsys):
    run(*FIT, "--steps", "1", "--out", "m.st")
    capsys.readouterr()

    def nothing(word):
        raise ValueError(word)

    options = ("--samples", "50", "--noise", "0.5", "--json", "--quiet")
    assert run("evaluate", "m.st", *FIT[1:5], *options) == 0
    pairs = json.loads(capsys.readouterr().out, parse_constant=nothing)["pairs"]
    assert pairs[0]["path_energy"] is None and pairs[0]["energy_distance"] > 0


def test_more_than_the_memory_is_refused(files, capsys):
    fit = (*FIT, "--out", "m.st")
    refused(capsys, "batch_size=1000000000000 needs at least", *fit, "--batch-size", 10**12)
