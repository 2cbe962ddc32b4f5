"""Options, files, data, points and paths that make no sense."""

import pathlib

import numpy as np
import pytest
import torch

import multisi
from multisi import Marginal, StandardNormal, training
from multisi.cli.parser import main
from multisi.errors import ConfigError, DataError, PluginError, ShapeError, SimplexError
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


OPTIONS = [
    ({"steps": 0}, ConfigError, "steps .*integer.* 0"),
    ({"steps": -1}, ConfigError, "steps .*integer.* -1"),
    ({"steps": 10**30}, ConfigError, "steps must be at most 1,000,000,000,000; got 1,0"),
    ({"steps": True}, ConfigError, "steps .*integer.* True"),
    ({"steps": "9"}, ConfigError, "steps .*integer.* '9'"),
    ({"steps": NAN}, ConfigError, "steps .*integer.* nan"),
    ({"steps": 3.0}, ConfigError, "steps .*integer.* 3.0"),
    ({"batch_size": 0}, ConfigError, "batch_size .*integer.* 0"),
    ({"batch_size": None}, ConfigError, "batch_size .*integer.* None"),
    ({"batch_size": False}, ConfigError, "batch_size .*integer.* False"),
    ({"learning_rate": True}, ConfigError, "learning_rate .*finite number.* True"),
    ({"learning_rate": "1e-3"}, ConfigError, "learning_rate .*finite number.* '1e-3'"),
    ({"learning_rate": float("inf")}, ConfigError, "learning_rate .*finite number.* inf"),
    ({"learning_rate": 10**400}, ConfigError, "learning_rate .*finite number.* 1000"),
    ({"learning_rate": -1}, ConfigError, "learning_rate .*finite number.* -1"),
    ({"max_seconds": 0}, ConfigError, "max_seconds .*finite number.* 0"),
    ({"max_seconds": NAN}, ConfigError, "max_seconds .*finite number.* nan"),
    ({"clip": 0}, ConfigError, "clip .*finite number.* 0"),
    ({"clip": [1]}, ConfigError, r"clip .*finite number.* \[1\]"),
    ({"accumulate": 0}, ConfigError, "accumulate .*integer.* 0"),
    ({"accumulate": 0.5}, ConfigError, "accumulate .*integer.* 0.5"),
    ({"accumulate": 10**9}, ConfigError, "accumulate .* 256.* 1000000000"),
    ({"precision": "float8"}, ConfigError, "precision .*'bfloat16' or None.* 'float8'"),
    ({"precision": torch.bfloat16}, ConfigError, "precision .*.* torch.bfloat16"),
    ({"law": {"edges": 1}}, ConfigError, "law .*SimplexLaw.* {'edges': 1}"),
    ({"seed": "x"}, ConfigError, r"seed .*integer.*2\^63.* 'x'"),
    ({"seed": 1.0}, ConfigError, r"seed .*integer.*2\^63.* got 1\.0"),
    ({"seed": NAN}, ConfigError, r"seed .*integer.*2\^63.* got nan"),
    ({"seed": 2**64}, ConfigError, r"seed .*integer.*2\^63.* got 18446744073709551616"),
    ({"save_seconds": NAN, "run_dir": "run"}, ConfigError, "save_seconds .*finite number.* nan"),
    ({"save_seconds": "60", "run_dir": "run"}, ConfigError, "save_seconds .* got '60'"),
    ({"keep": 0, "run_dir": "run"}, ConfigError, "keep .*integer.* 0"),
    ({"keep": 2.5, "run_dir": "run"}, ConfigError, "keep .*integer.* 2.5"),
    ({"callbacks": [print, 3]}, ConfigError, "callback .*function.* got 3"),
    ({"callbacks": print}, ConfigError, "callbacks must be a list.* <built-in function print>"),
    ({"callbacks": None}, ConfigError, "callbacks must be a list.* None"),
    ({"rescue": 3}, ConfigError, "rescue .*path.* got 3"),
    ({"rescue": ""}, ConfigError, "rescue .*path.* got ''"),
    ({"run_dir": ""}, ConfigError, "run_dir .*path.* got ''"),
    ({"run_dir": b"run"}, ConfigError, "run_dir .*path.* got b'run'"),
    ({"held_out": {"q": X, "r": X}}, ConfigError, "held_out: .*'q'.* z, a, b"),
    (
        {"held_out": {"a": X[:, :1], "b": X[:, :1]}},
        DataError,
        r"held_out 'a' .*\(2,\); got 60 of shape \(1,\)",
    ),
    ({"held_out": {"a": X[:3], "b": X}}, DataError, "held_out 'a' .*at least 4 rows.* got 3 of"),
    ({"held_out": {"a": X}}, DataError, "At least 2 marginals.* got 1"),
    (
        {"coupling_options": {"rows": -3}, "coupling": "ot"},
        ConfigError,
        "rows .*at least 2.* -3",
    ),
    (
        {"coupling": "independent", "coupling_options": {"rows": 3}},
        ConfigError,
        "coupling 'independent': .*'rows'",
    ),
    (
        {"coupling_options": {"sizes": 3}, "coupling": "ot"},
        ConfigError,
        "coupling 'ot': .*'sizes'",
    ),
    ({"network_options": {"depth": -1}}, ConfigError, "depth .*integer.* -1"),
    ({"network_options": {"depth": True}}, ConfigError, "depth .*integer.* True"),
    ({"network_options": {"preset": "huge"}}, ConfigError, "preset .*small, medium.* got 'huge'"),
    ({"network_options": {1: 2}}, ConfigError, "network_options must be a dict.* got {1: 2}"),
    ({"network_options": "width=3"}, ConfigError, "network_options must be a dict.* 'width=3'"),
    ({"device": 3.5}, ConfigError, "device 3.5 .*cpu.*device='auto'"),
    ({"network": 7}, ConfigError, "network must be a module or a function.* got 7"),
    ({"coupling": None}, ConfigError, "coupling .*Coupling.* None"),
]


@pytest.mark.parametrize(("options", "error", "message"), OPTIONS)
def test_option_of_a_wrong_kind(options, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        fit(**options)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: training.SimplexLaw(edges=-1), "edges .*finite number.* -1"),
        (lambda: training.SimplexLaw(edges=0, bows=0, faces=0), "share above zero.*'edges': 0"),
        (lambda: training.SimplexLaw(faces=NAN), "faces .*finite number.* nan"),
        (lambda: Adaptive(rtol=NAN), "rtol .*finite number.* nan"),
        (lambda: training.Log("log.jsonl", every=0), "every .*integer.* 0"),
    ],
)
def test_option_of_a_part(make, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", "x.csv' must hold samples; got an empty file"),
        ("x.csv", b"\xef\xbb\xbf", "x.csv' must hold samples; got an empty file"),
        ("x.csv", b"a,b\n1,2\n3,x\n", "x.csv', line 3, column 'b': 'x' is not a finite number"),
        ("x.csv", b"1,2.5\n3\n", "x.csv', line 2: expected 2 cells; got 1"),
        ("x.csv", "a,ü\n1,2\n".encode("latin-1"), "x.csv' cannot be read: it is not UTF-8"),
        ("x.csv", b"1,2.5\n\x00,3\n", "x.csv', line 2, column 1: '\\x00' is not a finite"),
        ("x.csv", b"a,b\n", "at least 2 rows"),
        ("x.npy", b"", "x.npy' cannot be read"),
        ("x.npy", b"\x93NUMPY\x01\x00nonsense", "x.npy' cannot be read"),
        ("x.npz", b"PK\x03\x04", "x.npz' cannot be read"),
        ("x.parquet", b"PAR1", "x.parquet' cannot be read"),
        ("x.png", b"\x89PNG", "x.png' cannot be read"),
        ("x.toml", b"a = 1", "the format '.toml' is unknown"),
        ("x", b"1,2", "the format '' is unknown"),
    ],
)
def test_damaged_data_file(name, content, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pathlib.Path(name).write_bytes(content)
    np.save("b.npy", X.numpy())
    for files in ((name, "b.npy"), ("b.npy", name)):
        marginals = [f"--marginal={k}={f}" for k, f in zip("ab", files, strict=True)]
        assert main(["fit", *marginals, "--out", "m.safetensors", "--steps", "2", "--quiet"]) == 2
        said = capsys.readouterr().err
        assert any(part in said for part in message.split("|")) and "Traceback" not in said
    assert not pathlib.Path("m.safetensors").exists()


def test_damaged_data_file_unlike_a_byte_order_mark(tmp_path):
    from multisi.files.formats import read_samples

    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n3,4\r\n")
    found = read_samples(tmp_path / "x.csv")
    assert found.features == ("a", "b") and found.rows.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--network-option", "width"], "KEY=VALUE; got 'width'"),
        (["--network-option", "=3"], "KEY=VALUE; got '=3'"),
        (["--network-option", "a.b=3"], "network 'mlp'"),
        (["--network-option", "width=[1"], "width must be an integer"),
        (["--network-option", "width=NaN"], "width must be an integer"),
        (["--network-option", "width=1", "--network-option", "width=2"], "'width' is given twice"),
        (["--coupling-option", "rows=1"], "rows must be an integer of at least 2; got 1"),
        (["--marginal", "a=b.npy"], "'a' is given twice"),
        (["--marginal", "c"], "NAME=FILE; got 'c'"),
        (["--held-out", "a"], "NAME=FILE; got 'a'"),
        (["--steps", "-3"], "steps must be an integer of at least 1"),
        (["--learning-rate", "nan"], "--learning-rate: expected a finite number; got 'nan'"),
        (["--seed", "-1"], "seed must be a non-negative integer"),
        (["--precision", "half"], "precision must be"),
        (["--save-seconds", "-1", "--run", "run"], "save_seconds must be"),
        (["--noise-name", "a"], "the name of the noise"),
        (["--noise", "0.5"], "unrecognized arguments: --noise 0.5"),
    ],
)
def test_malformed_command_line(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("b.npy", X.numpy())
    data = ["--marginal", "a=b.npy", "--marginal", "b=b.npy", "--out", "m.safetensors", "--quiet"]
    assert main(["fit", *data, *options]) == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said
    assert not pathlib.Path("m.safetensors").exists()


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.full((5, 2), NAN), DataError, "'b'.* 5 of 5 rows"),
        (torch.tensor([[1.0, 2], [3, float("inf")]]), DataError, "'b'.* first is row 1"),
        (X[:0], DataError, "'b'.*at least 2 rows.* 0"),
        (X[:1], DataError, "'b'.*at least 2 rows.* 1"),
        (X[:, :0], DataError, "'b'.*empty"),
        (X * 1e38 * 1e38, DataError, "between 1e-30 and 1e30"),
        ([[1, 2], [3]], DataError, "'b'.*array of numbers"),
        ([["1", "2"], ["3", "4"]], DataError, "'b'.*array of numbers"),
        (None, DataError, "'b'.*array of numbers"),
        (np.array([[1, None], [2, 3]], dtype=object), DataError, "'b'.*array of numbers"),
        (np.array(["2026-01-01"] * 4, dtype="M8[D]"), DataError, "'b'.*array of numbers"),
        (X.to_sparse(), DataError, "'b'.*dense"),
        (X.to("meta"), DataError, "'b'.*without values"),
    ],
)
def test_unusable_data(x, error, message):
    with pytest.raises(error, match=message):
        fit({"a": X, "b": x})


def test_unusable_data_unlike_constant_columns():
    flat = torch.stack([X[:, 0], torch.full((60,), 7.0, dtype=torch.float64)], 1)
    for x in (flat, X[:1].expand(60, 2), torch.zeros(60, 2)):
        model = fit({"z": StandardNormal(), "a": x, "b": x}, steps=5)
        assert torch.isfinite(model.transport(x, "a", "b")).all()


def test_different_marginals():
    with pytest.raises(DataError, match="At least 2 marginals"):
        fit({"a": X})
    with pytest.raises(ShapeError, match=r"same event shape.*'a' has \(2,\), 'b' has \(1,\)"):
        fit({"a": X, "b": X[:, :1]})
    with pytest.raises(ShapeError, match="same event shape"):
        fit({"a": X, "b": X.reshape(60, 2, 1)})
    mixed = {"a": X.float(), "b": X[:7].numpy(), "c": (X[:9] * 9).int(), "d": X.half().tolist()}
    model = fit(mixed)
    for name, x in mixed.items():
        assert torch.as_tensor(model.transport(x, name, "a")).shape == (len(x), 2)
    with pytest.raises(DataError, match="same number of rows; got 60, 7"):
        fit({"a": X, "b": X[:7]}, coupling="paired")


def test_different_marginals_in_great_number():
    many = {str(k): X + k for k in range(64)}
    model = fit(many, batch_size=8)
    assert model.transport(X, "0", "63", steps=2).shape == X.shape


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weights": [-1] + [1] * 59}, DataError, "weights must not be negative"),
        ({"weights": [0] * 60}, DataError, "weights must .*not all zero"),
        ({"weights": [NAN] * 60}, DataError, "weights must be finite; 60 of 60 rows"),
        ({"weights": [1] * 59}, ShapeError, r"weights must .*\(60,\).* \(59,\)"),
        ({"weights": "heavy"}, DataError, "weights must be an array of numbers; .*<U5"),
        (
            {"labels": [0.5] * 60},
            DataError,
            r"labels must be integers or text; .*float64.*np\.unique",
        ),
        (
            {"labels": ["cat"] * 59 + [None]},
            DataError,
            "labels must be .*NoneType None in 1 of 60",
        ),
        ({"labels": [1, 2]}, ShapeError, r"labels must .*\(60,\).* \(2,\)"),
        ({"condition": [[NAN]] * 60}, DataError, "condition must be finite; 60 of 60 rows"),
        ({"condition": [[1.0]] * 3}, ShapeError, r"condition must .*\(60, c\).* got \(3, 1\)"),
    ],
)
def test_off_its_set_weights_labels_and_conditions(options, error, message):
    with pytest.raises(error, match=message):
        Marginal(X, **options)


SUM, KIND = "sum to 1.*", "name.*dict.*coordinates.*"
FEW, COORDINATES = "each of 60 rows.* shape", "3 coordinates.* shape"


@pytest.mark.parametrize(
    ("point", "error", "message", "of_means"),
    [
        ([0.5, 0.6, -0.1], SimplexError, r"must not be negative.* \[0.5, 0.6, -0.1\]", None),
        ([0.5, 0.5, 0.5], SimplexError, f"{SUM} 1.5", "right"),  # On the cone it is one.
        ([NAN, 0.5, 0.5], SimplexError, r"must be finite.* \[nan", r"positive .* got \[nan"),
        ([float("inf"), 0, 0], SimplexError, r"must be finite.* \[inf", "must be finite"),
        ([1.0, 0.0], SimplexError, rf"{COORDINATES} \(2,\)", None),
        ([], ShapeError, rf"{FEW} \(0, 3\)", None),
        ({"a": 2.0, "b": -1.0}, SimplexError, r"not be negative.* \[0.0, 2.0, -1.0\]", None),
        ({"a": NAN}, SimplexError, r"must be finite.* \[0.0, nan", None),
        ({"nobody": 1.0}, ConfigError, "no marginal is named 'nobody'.* z, a, b", None),
        ({}, SimplexError, f"{SUM} 0", None),
        (["a"] * 59, ShapeError, rf"{FEW} \(59, 3\)", None),
        ([["a"]] * 60, ConfigError, rf"{KIND} \[\['a'\]", None),
        (E, ShapeError, rf"{FEW} \(3, 3\)", None),
        (np.zeros((60, 3)), SimplexError, f"{SUM} 0", "positive weight"),
        (np.array(["a", "b"]), ShapeError, rf"{FEW} \(2, 3\)", None),
        (b"a", ConfigError, f"{KIND} b'a'", None),
        (3, SimplexError, rf"{COORDINATES} \(\)", None),
        (None, SimplexError, rf"{COORDINATES} \(\)", "positive weight; got nan"),
        (True, SimplexError, rf"{COORDINATES} \(\)", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_off_its_set_points(point, error, message, of_means):
    for ends, name in (((point, "a"), "source"), (("a", point), "target")):
        with pytest.raises(error, match=f"{name}.*{message}"):
            EXACT.transport(X, *ends)
    if of_means == "right":
        assert torch.isfinite(EXACT.means(X, point)).all()
        return
    with pytest.raises(error, match=f"alpha.*{of_means or message}"):
        EXACT.means(X, point)


def test_off_its_set_unlike_corners_and_edges():
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
    ("points", "error", "message"),
    [
        (lambda t: straight(2 * t - 0.5), SimplexError, r"not be negative.* .*1\.5, -0\.5"),
        (lambda t: straight(1 - t), SimplexError, r"at the source expected \[0.0, 1.0, 0.0\]"),
        (lambda t: straight(t) * 2, SimplexError, f"{SUM} 2"),
        (lambda t: straight(t) / 0, SimplexError, r"must be finite.* \[nan, inf, nan\]"),
        (lambda t: straight(t)[..., :2], PluginError, r"shape \(33, 3\).* \(33, 2\)"),
        (lambda t: straight(t)[0], PluginError, r"shape \(33, 3\).* \(3,\)"),
        (lambda t: straight(t).tolist(), PluginError, r"shape \(33, 3\).* list"),
        (lambda t: None, PluginError, r"shape \(33, 3\).* NoneType"),
    ],
)
def test_bad_path(points, error, message):
    with pytest.raises(error, match=message):
        EXACT.transport(X, "a", "b", path=Of(points))


def test_bad_path_unlike_kinks_and_loops():
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
