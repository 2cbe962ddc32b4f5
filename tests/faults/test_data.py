"""Options, files, data, points and paths that make no sense: rows 34 to 40."""

import pathlib

import numpy as np
import pytest
import torch

import multisi
from multisi import Marginal, StandardNormal, training
from multisi.cli.parser import main
from multisi.errors import ConfigError, DataError, MultisiError, ShapeError, SimplexError
from multisi.paths.bow import Bow
from multisi.paths.polyline import Polyline
from multisi.solvers.runge_kutta import Adaptive
from tests.closed_forms import mixtures

X = torch.randn(60, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
EXACT = multisi.Model(multisi.GaussianMixtureMeans(*mixtures()), ("z", "a", "b"), "z")
E = torch.eye(3, dtype=torch.float64)
DATA = {"z": StandardNormal(), "a": X, "b": X + 1}
NAN = float("nan")


def fit(data=DATA, **options):
    return multisi.fit(data, **{"steps": 2, "progress": False} | options)


@pytest.mark.parametrize(
    "options",
    [
        {"steps": -1},
        {"steps": True},
        {"steps": "9"},
        {"steps": NAN},
        {"steps": 3.0},
        {"batch_size": None},
        {"batch_size": False},
        {"learning_rate": True},
        {"learning_rate": "1e-3"},
        {"learning_rate": float("inf")},
        {"max_seconds": NAN},
        {"clip": 0},
        {"clip": [1]},
        {"accumulate": 0.5},
        {"precision": "float8"},
        {"precision": torch.bfloat16},
        {"law": {"edges": 1}},
        {"seed": 1.0},
        {"seed": NAN},
        {"save_seconds": NAN, "run_dir": "run"},
        {"save_seconds": "60", "run_dir": "run"},
        {"keep": 0, "run_dir": "run"},
        {"keep": 2.5, "run_dir": "run"},
        {"callbacks": [print, 3]},
        {"callbacks": print},
        {"callbacks": None},
        {"accumulate": 10**9},
        {"rescue": 3},
        {"rescue": ""},
        {"run_dir": ""},
        {"run_dir": b"run"},
        {"seed": 2**64},
        {"learning_rate": 10**400},
        {"held_out": {"q": X, "r": X}},
        {"held_out": {"a": X[:, :1], "b": X[:, :1]}},
        {"held_out": {"a": X[:3], "b": X}},
        {"coupling_options": {"rows": -3}, "coupling": "ot"},
        {"coupling_options": {"rows": 3}},
        {"coupling_options": {"sizes": 3}, "coupling": "ot"},
        {"network_options": {"depth": -1}},
        {"network_options": {"depth": True}},
        {"network_options": {"preset": "huge"}},
        {"network_options": {1: 2}},
        {"network_options": "width=3"},
        {"device": 3.5},
        {"network": 7},
        {"coupling": None},
        {"held_out": {"a": X}},
    ],
    ids=str,
)
def test_row_34_options_of_a_wrong_kind(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MultisiError):
        fit(**options)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: training.SimplexLaw(edges=-1),
        lambda: training.SimplexLaw(edges=0, bows=0, faces=0),
        lambda: training.SimplexLaw(faces=NAN),
        lambda: Adaptive(rtol=NAN),
        lambda: training.Log("log.jsonl", every=0),
    ],
)
def test_row_34_options_of_parts(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        make()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", "x.csv' is empty"),
        ("x.csv", b"\xef\xbb\xbf", "x.csv' is empty"),
        ("x.csv", b"a,b\n1,2\n3,x\n", "x.csv', line 3, column 'b': 'x' is no number"),
        ("x.csv", b"1,2\n3\n", "x.csv', line 2: expected 2 cells; got 1"),
        ("x.csv", "a,ü\n1,2\n".encode("latin-1"), "x.csv' cannot be read: 'utf-8' codec"),
        ("x.csv", b"1,2\n\x00,3\n", "x.csv', line 2|cannot be read"),
        ("x.csv", b"a,b\n", "at least 2 rows"),
        ("x.npy", b"", "x.npy' cannot be read"),
        ("x.npy", b"\x93NUMPY\x01\x00nonsense", "x.npy' cannot be read"),
        ("x.npz", b"PK\x03\x04", "x.npz' cannot be read"),
        ("x.parquet", b"PAR1", "x.parquet' cannot be read"),
        ("x.png", b"\x89PNG", "x.png' cannot be read"),
        ("x.toml", b"a = 1", "the format '.toml' is not known"),
        ("x", b"1,2", "the format '' is not known"),
    ],
)
def test_row_35_files_of_data(name, content, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pathlib.Path(name).write_bytes(content)
    np.save("b.npy", X.numpy())
    for files in ((name, "b.npy"), ("b.npy", name)):
        marginals = [f"--marginal={k}={f}" for k, f in zip("ab", files, strict=True)]
        assert main(["fit", *marginals, "--out", "m.safetensors", "--steps", "2", "--quiet"]) == 2
        said = capsys.readouterr().err
        assert any(part in said for part in message.split("|")) and "Traceback" not in said
    assert not pathlib.Path("m.safetensors").exists()


def test_row_35_a_byte_order_mark_is_no_part_of_the_data(tmp_path):
    from multisi.files.samples import read_samples

    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4\r\n")
    found = read_samples(tmp_path / "x.csv")
    assert found.columns == ("a", "b") and found.rows.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--network-option", "width"], "KEY=VALUE; got 'width'"),
        (["--network-option", "=3"], "KEY=VALUE; got '=3'"),
        (["--network-option", "a.b=3"], "network 'mlp'"),
        (["--network-option", "width=[1"], "width must be an integer"),
        (["--network-option", "width=NaN"], "width must be an integer"),
        (["--network-option", "width=1", "--network-option", "width=2"], "'width' is given twice"),
        (["--coupling-option", "rows=1"], "coupling 'independent'"),
        (["--marginal", "a=b.npy"], "'a' is given twice"),
        (["--marginal", "c"], "NAME=FILE; got 'c'"),
        (["--held-out", "a"], "NAME=FILE; got 'a'"),
        (["--steps", "-3"], "steps must be an integer of at least 1"),
        (["--learning-rate", "nan"], "learning_rate must be a finite number"),
        (["--seed", "-1"], "seed must be a non-negative integer"),
        (["--precision", "half"], "precision must be"),
        (["--save-seconds", "nan", "--run", "run"], "save_seconds must be"),
        (["--noise", "a"], "the name of the noise"),
    ],
)
def test_row_36_options_of_the_command_line(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("b.npy", X.numpy())
    data = ["--marginal", "a=b.npy", "--marginal", "b=b.npy", "--out", "m.safetensors", "--quiet"]
    assert main(["fit", *data, *options]) == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said
    assert not pathlib.Path("m.safetensors").exists()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.full((5, 2), NAN), "'b'.* 5 of 5 rows"),
        (torch.tensor([[1.0, 2], [3, float("inf")]]), "'b'.* first is row 1"),
        (X[:0], "'b'.*at least 2 rows; got 0"),
        (X[:1], "'b'.*at least 2 rows; got 1"),
        (X[:, :0], "'b'.*empty"),
        (X * 1e38 * 1e38, "between 1e-30 and 1e30"),
        ([[1, 2], [3]], "'b'.*array of numbers"),
        ([["1", "2"], ["3", "4"]], "'b'.*array of numbers"),
        (None, "'b'"),
        (np.array([[1, None], [2, 3]], dtype=object), "'b'.*array of numbers"),
        (np.array(["2026-01-01"] * 4, dtype="M8[D]"), "'b'.*array of numbers"),
        (X.to_sparse(), "'b'.*dense"),
        (X.to("meta"), "'b'.*without values"),
    ],
)
def test_row_37_data_that_cannot_be_used(x, message):
    with pytest.raises(MultisiError, match=message):
        fit({"a": X, "b": x})


def test_row_37_constant_columns_and_duplicates_are_data():
    flat = torch.stack([X[:, 0], torch.full((60,), 7.0, dtype=torch.float64)], 1)
    for x in (flat, X[:1].expand(60, 2), torch.zeros(60, 2)):
        model = fit({"z": StandardNormal(), "a": x, "b": x}, steps=5)
        assert torch.isfinite(model.transport(x, "a", "b")).all()


def test_row_38_marginals_that_differ():
    with pytest.raises(DataError, match="At least 2 marginals"):
        fit({"a": X})
    with pytest.raises(ShapeError, match=r"one event shape.*'a' has \(2,\), 'b' has \(1,\)"):
        fit({"a": X, "b": X[:, :1]})
    with pytest.raises(ShapeError, match="one event shape"):
        fit({"a": X, "b": X.reshape(60, 2, 1)})
    mixed = {"a": X.float(), "b": X[:7].numpy(), "c": (X[:9] * 9).int(), "d": X.half().tolist()}
    model = fit(mixed)
    for name, x in mixed.items():
        assert torch.as_tensor(model.transport(x, name, "a")).shape == (len(x), 2)
    with pytest.raises(DataError, match="same number of rows; got 60, 7"):
        fit({"a": X, "b": X[:7]}, coupling="paired")


def test_row_38_many_marginals():
    many = {str(k): X + k for k in range(64)}
    model = fit(many, batch_size=8)
    assert model.transport(X, "0", "63", steps=2).shape == X.shape


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"weights": [-1] + [1] * 59}, DataError),
        ({"weights": [0] * 60}, DataError),
        ({"weights": [NAN] * 60}, DataError),
        ({"weights": [1] * 59}, ShapeError),
        ({"weights": "heavy"}, DataError),
        ({"labels": [0.5] * 60}, DataError),
        ({"labels": ["cat"] * 60}, DataError),
        ({"labels": [1, 2]}, ShapeError),
        ({"condition": [[NAN]] * 60}, DataError),
        ({"condition": [[1.0]] * 3}, ShapeError),
    ],
    ids=str,
)
def test_row_39_weights_labels_and_conditions(options, error):
    with pytest.raises(error):
        fit({"a": Marginal(X, **options), "b": X})


@pytest.mark.parametrize(
    "point",
    [
        [0.5, 0.6, -0.1],
        [0.5, 0.5, 0.5],
        [NAN, 0.5, 0.5],
        [float("inf"), 0, 0],
        [1.0, 0.0],
        [],
        {"a": 2.0, "b": -1.0},
        {"a": NAN},
        {"nobody": 1.0},
        {},
        ["a"] * 59,
        [["a"]] * 60,
        E,
        np.zeros((60, 3)),
        np.array(["a", "b"]),
        b"a",
        3,
        None,
        True,
    ],
    ids=lambda point: str(point)[:30],
)
def test_row_39_points_off_the_simplex(point):
    for ends in ((point, "a"), ("a", point)):
        with pytest.raises(MultisiError):
            EXACT.transport(X, *ends)
    if not (
        isinstance(point, list) and point[:1] == [0.5] and sum(point) == 1.5
    ):  # Which is on the cone, where the means are defined.
        with pytest.raises(MultisiError):
            EXACT.means(X, point)


def test_row_39_corners_and_edges_are_exact():
    for i, name in enumerate(EXACT.marginals):
        assert torch.equal(EXACT.means(X, name)[:, i], X)
        assert torch.allclose(EXACT.transport(X, name, E[i]), X)
    edge = EXACT.means(X, {"a": 0.5, "b": 0.5})
    assert torch.allclose(0.5 * edge[:, 1] + 0.5 * edge[:, 2], X)


class Of(multisi.Path):
    def __init__(self, points):
        self.points = points

    def __call__(self, t):
        return self.points(t)


def straight(t):
    return torch.stack([0 * t, 1 - t, t], -1)


@pytest.mark.parametrize(
    ("points", "error"),
    [
        (lambda t: straight(2 * t - 0.5), SimplexError),
        (lambda t: straight(1 - t), SimplexError),
        (lambda t: straight(t) * 2, SimplexError),
        (lambda t: straight(t) / 0, SimplexError),
        (lambda t: straight(t)[..., :2], MultisiError),
        (lambda t: straight(t)[0], MultisiError),
        (lambda t: straight(t).tolist(), MultisiError),
        (lambda t: None, MultisiError),
    ],
)
def test_row_40_paths_that_are_none(points, error):
    with pytest.raises(error):
        EXACT.transport(X, "a", "b", path=Of(points))


def test_row_40_paths_with_corners_turned_round_and_without_length():
    # In the median: rows between the flows to two components part further than steps can tell.
    there = EXACT.transport(X, "a", "b", via="z", steps=256)
    back = EXACT.transport(there, "b", "a", via="z", steps=256)
    assert (back - X).abs().median() < 1e-3
    kink = Polyline([E[1], torch.tensor([0.2, 0.4, 0.4]), E[2]])
    assert torch.isfinite(EXACT.transport(X, "a", "b", path=kink)).all()
    for options in ({}, {"path": Polyline([E[1], E[1]])}, {"interpolant": "smoothed"}):
        assert torch.allclose(EXACT.transport(X, "a", "a", **options), X)
    assert torch.isfinite(EXACT.transport(X, "a", "a", path=Bow([E[1], E[1]]))).all()
    own = Of(straight)
    plain = EXACT.transport(X, "a", "b", steps=64)
    assert torch.allclose(EXACT.transport(X, "a", "b", path=own, steps=64), plain, atol=1e-6)
