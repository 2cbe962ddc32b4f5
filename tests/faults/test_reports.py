"""Reports of evaluations: what they count, what they cost, and where they are shown."""

import contextlib
import io
import json
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import multisi
from multisi import metrics
from multisi.analysis import Pair, Report, image_grid, matrix
from multisi.analysis.evaluation import evaluate
from multisi.analysis.plots import check_format
from multisi.errors import ConfigError, DataError


def still(x, source, target, grid=None, return_path=False, **options):
    """A model that does nothing."""
    return x.expand(len(grid), *x.shape) if return_path else x


def normal(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_weights_in_a_report():
    """Half of b is far away and has no weight: what is left is the law of a."""
    a, b = normal(0, 400, 2), torch.cat([normal(1, 400, 2), normal(2, 400, 2) + 50])
    weights = torch.arange(800) < 400
    report = evaluate(still, {"a": a, "b": multisi.Marginal(b, weights=weights)}, units="data")
    assert abs(report.mean("energy_distance")) < 0.02
    assert all(pair.p_value > 0.01 and pair.wrong_count == 0 for pair in report.pairs)


def test_weights_in_a_report_also_where_training_stops():
    x = normal(0, 200, 2).float()
    rows = torch.cat([x + 2, x + 90])
    weighted = multisi.Marginal(rows, weights=torch.arange(400) < 200)
    best = []
    for b in (weighted, x + 2):
        stopping = multisi.training.EarlyStopping({"a": x, "b": b}, every=3, units="data", steps=2)
        runs = []
        multisi.fit(
            {"a": x, "b": x + 2},
            steps=3,
            progress=False,
            callbacks=[stopping, runs.append],
            network_options={"width": 16},
        )
        best.append(runs[-1].counts.best)
    assert best[0] == pytest.approx(best[1], rel=1e-4)


def test_deaf_report():
    """A feature that is right in units of a million does not hide one that is wrong."""
    units, shift = torch.tensor([1e6, 1.0]), torch.tensor([0.0, 3.0])
    rows = {"a": normal(0, 500, 2) * units, "b": normal(1, 500, 2) * units + shift}
    names = ["income", "age"]
    data = {name: multisi.Marginal(x, features=names) for name, x in rows.items()}
    pair = evaluate(still, data).pairs[0]
    assert pair.energy_distance > 1 and pair.p_value == 0.001
    assert pair.wrong_features == ("age",)
    raw = evaluate(still, data, units="data").pairs[0]
    assert raw.p_value > 0.01 and raw.wrong_features == ("age",)


def test_deaf_report_unlike_constants():
    a, b = (torch.cat([normal(i, 300, 1), torch.full((300, 1), 1990.1)], 1) for i in (0, 1))
    b[:, 1] *= 1 + 1e-15
    assert all(pair.wrong_count == 0 for pair in evaluate(still, {"a": a, "b": b}).pairs)


class Largest(TorchDispatchMode):
    """The largest number of entries of any tensor that an operation makes."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        sizes = [x.numel() for x in tree_leaves(made) if isinstance(x, torch.Tensor)]
        self.numbers = max(self.numbers, *sizes, 0)
        return made


@pytest.mark.parametrize("side", [32, 64])
def test_report_of_many_features(side):
    """No matrix has a row and a column for each feature: the rank of 64 rows is 63."""
    data = {name: normal(i, 64, side, side, 3).float() for i, name in enumerate("ab")}
    with Largest() as largest:
        report = evaluate(still, data, steps=2)
    assert largest.numbers <= 200 * side * side * 3  # The directions of the sliced distance.
    assert all(np.isfinite(pair.gaussian) for pair in report.pairs)


def test_report_of_many_features_has_the_map_of_the_formula():
    x, y = normal(0, 12, 40) @ normal(1, 40, 40), normal(2, 9, 40) * 3 + 1
    c, d = torch.cov(x.T), torch.cov(y.T)
    root, inverse = power(c, 0.5), power(c, -0.5)
    formula = inverse @ power(root @ d @ root, 0.5) @ inverse
    expected = y.mean(0) + (x - x.mean(0)) @ formula
    assert torch.allclose(metrics.gaussian_map(x, y)(x), expected, atol=1e-9)
    moved = metrics.gaussian_map(x, y)(normal(3, 5, 40))
    assert torch.allclose(moved, y.mean(0) + (normal(3, 5, 40) - x.mean(0)) @ formula, atol=1e-9)
    still_one = metrics.gaussian_map(torch.zeros(3, 2), y[:, :2])(torch.zeros(1, 2))
    assert torch.allclose(still_one, y[:, :2].mean(0))


def power(matrix, exponent):
    values, vectors = torch.linalg.eigh(matrix)
    powers = torch.where(values > 1e-9 * values[-1], values.clamp_min(1e-30) ** exponent, 0.0)
    return (vectors * powers) @ vectors.T


def test_report_as_strict_json():
    data = {"a": normal(0, 50, 2), "b": normal(1, 50, 2)}
    found = evaluate(still, data, noise=1.0).to_dict()
    assert found["pairs"][0]["npe"] is found["pairs"][0]["path_energy"] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    constant = {"a": normal(0, 50, 2), "b": torch.zeros(50, 2) + torch.tensor([0.0, 1.0])}
    spread = evaluate(still, constant).to_dict()["pairs"][0]["wrong_spreads"]
    assert spread == [None, None]


ODD = ("$x^2$", "$\\frac{", "a_b^c %", "собака 猫", "two\nlines\x1b[31m", "x" * 250)


def report(names):
    values = np.random.default_rng(0).normal(size=(len(names), len(names), 11))
    pairs = [
        Pair(a, b, *values[i, j])
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i != j
    ]
    return Report(tuple(names), tuple(pairs))


@pytest.mark.parametrize(
    "names", [ODD, [f"day {i}" for i in range(20)], [str(i) for i in range(45)]]
)
def test_names_in_a_picture(names):
    with Image.open(io.BytesIO(matrix(report(names)))) as picture:
        assert min(picture.size) > 250 and len(np.unique(np.asarray(picture))) > 20
    grid = image_grid({name: [np.zeros((3, 4, 3))] * 2 for name in names[:3]}, names[:2])
    with Image.open(io.BytesIO(grid)) as picture:
        assert min(picture.size) > 200


def test_names_in_a_picture_are_no_formulas():
    text = matrix(report(["$x^2$", "b"]), format="svg").decode()
    assert "<!-- $x^2$ -->" in text


HEADS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml", "jpg": b"\xff\xd8\xff"}


@pytest.mark.parametrize("format", HEADS)
def test_format_of_a_picture(format, monkeypatch):
    draw = [
        lambda: matrix(report("ab"), "w2", format=format),
        lambda: image_grid({"a": [np.ones((2, 2, 3))]}, ["b"], format=format),
    ]
    for one in draw:
        first = one()
        assert first.startswith(HEADS[format])
        monkeypatch.setattr(time, "time", lambda: 2e9)
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
        assert one() == first
    assert check_format(f"some.where/report.{format.upper()}") == format


def test_format_of_a_picture_that_is_unknown():
    assert check_format("a.jpeg") == "jpg"
    for path in ("report.bmp", "report", "png", ".png"):
        with pytest.raises(
            ConfigError, match=r"ends in \.jpeg, \.jpg, \.pdf, \.png or \.svg; got"
        ):
            check_format(path)
    with pytest.raises(ConfigError, match="The picture must be the path"):
        check_format(None)
    for draw in (lambda: matrix(report("ab"), format="bmp"), lambda: image_grid({}, [], "PNG")):
        with pytest.raises(ConfigError, match="format must be jpg, pdf, png or svg; got"):
            draw()
    with pytest.raises(DataError, match=r"one image for each of 2 columns; got rows of \{'a': 1"):
        image_grid({"a": [np.zeros((1, 1, 3))]}, ["x", "y"])
    with pytest.raises(
        DataError, match=r"shape \(h, w, 3\); row 'a' has float64 of shape \(3, 3\)"
    ):
        image_grid({"a": [np.zeros((3, 3))]}, ["x"])


@contextlib.contextmanager
def default_dtype(kind):
    before = torch.get_default_dtype()
    torch.set_default_dtype(kind)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextlib.contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


SETTINGS = {
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "meta": lambda: torch.device("meta"),
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "deterministic": deterministic,
    "anomaly": lambda: torch.autograd.detect_anomaly(check_nan=True),
}


def figures():
    """Figures of a report, and of each metric."""
    source = np.random.default_rng(0)
    a, b = source.normal(size=(2, 60, 3)).astype(np.float32)
    weights = source.random(60)
    data = {"a": a, "b": multisi.Marginal(b + 1, weights=weights, labels=np.arange(60) % 2)}
    pair = evaluate(still, data, samples=40).pairs[0]
    test = metrics.permutation_test(a, b)
    distances = [f(a, b) for f in (metrics.energy_distance, metrics.wasserstein)]
    sliced = metrics.sliced_wasserstein(a, b)
    mapped = metrics.gaussian_map(a, b)(a)
    assert mapped.dtype == torch.float64 and mapped.device.type == "cpu"
    figures = [pair.energy_distance, pair.p_value, pair.gaussian, pair.w2, *pair.wrong_shifts]
    return [*figures, *test, *distances, sliced, *mapped[:2].flatten().tolist()]


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("setting", SETTINGS)
def test_report_under_any_settings(setting):
    plain = figures()
    with SETTINGS[setting]():
        assert figures() == plain
        assert matrix(report("ab")) == matrix(report("ab"))
    assert figures() == plain


def test_bar_in_a_notebook():
    """A kernel has a bar although its standard error is no terminal; no widgets, no warning."""
    code = """
import sys, types
ipython = types.ModuleType("IPython")
ipython.get_ipython = lambda: types.SimpleNamespace(config={"IPKernelApp": {}})
sys.modules["IPython"] = ipython
sys.modules["ipywidgets"] = None
from multisi.common.progress import bar
with bar(3, "fit", "step", True) as shown:
    shown.update(3)
assert bar(3, "fit", "step", False).disable
del sys.modules["IPython"]
assert bar(3, "fit", "step", True).disable
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "fit: 100%" in run.stderr and "Warning" not in run.stderr
