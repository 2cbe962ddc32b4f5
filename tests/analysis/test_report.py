import io
import math

import numpy as np
import pytest
import torch

import multisi
from multisi.analysis import plots
from multisi.analysis.evaluation import evaluate
from multisi.analysis.report import FIGURES, Pair
from multisi.errors import ConfigError, DataError
from tests.closed_forms import mixtures, sample_mixture

PARTS = mixtures(d=2)
EXACT = multisi.Model(multisi.GaussianMixtureMeans(*PARTS), ["z", "a", "b"], noise="z")
DATA = {n: sample_mixture(*(p[k] for p in PARTS), 1500, k) for k, n in ((1, "a"), (2, "b"))}


def test_an_exact_model_is_at_the_floor():
    report = EXACT.evaluate(DATA)
    assert report.mean("energy_distance") < 0.01
    assert all(pair.p_value > 0.001 for pair in report.pairs)
    assert all(pair.w2 < 2 * pair.w2_floor for pair in report.pairs)
    assert report.mean("cycle_error") < 1e-2


def test_a_model_that_does_nothing_is_found_out():
    pairs = evaluate(lambda x, source, target, **options: still(x, options), DATA).pairs
    for pair in pairs:
        assert pair.p_value == 0.001 and pair.path_energy == 0 and pair.npe == -1
        assert pair.w2 > 2 * pair.w2_floor


def still(x, options):
    return x.expand(len(options["grid"]), *x.shape) if options.get("return_path") else x


def test_the_energy_of_a_straight_shift():
    data = {"a": DATA["a"], "b": DATA["a"].flip(0) + 3}

    def transport(x, source, target, grid=None, return_path=False, **options):
        shift = 3.0 if target == "b" else -3.0
        if not return_path:
            return x + shift
        return x + shift * grid.reshape(-1, 1, 1)

    for pair in evaluate(transport, data, units="data").pairs:
        assert pair.path_energy == pytest.approx(2 * 9)
        assert abs(pair.npe) < 0.05 and pair.energy_distance < 0.02
        assert pair.cycle_error == pytest.approx(0, abs=1e-12)


def test_noise_has_no_path_energy():
    report = EXACT.evaluate(DATA, samples=200, noise=0.5, steps=4)
    assert math.isnan(report.mean("path_energy")) and math.isnan(report.mean("npe"))
    assert report.mean("energy_distance") < 1


@pytest.mark.parametrize(
    "options",
    [
        dict(interpolant="encoding-decoding", steps=8),
        dict(interpolant="smoothed"),
        dict(via="z"),
        dict(solver="euler", steps=3),
        dict(grid=[0.0, 0.5, 1.0]),
        dict(path="bow"),
    ],
)
def test_options_of_transport(options):
    report = EXACT.evaluate(DATA, samples=100, **options)
    assert all(np.isfinite(pair.energy_distance) for pair in report.pairs)


def test_it_prints_tells_and_draws():
    from PIL import Image

    labelled = {n: multisi.Marginal(x, labels=(x[:, 0] > 0).long()) for n, x in DATA.items()}
    report = EXACT.evaluate(labelled, samples=100)
    lists = {"wrong_features", "wrong_shifts", "wrong_spreads"}
    assert set(report.to_dict()["pairs"][0]) == {"source", "target", *FIGURES, *lists}
    assert set(FIGURES) <= set(Pair.__annotations__)
    third = {"composition", "holonomy"}
    for figure, text in FIGURES.items():
        assert (text in str(report)) == (figure not in third)
    for figure in ("energy_distance", "npe"):
        picture = Image.open(io.BytesIO(plots.matrix(report, figure)))
        assert min(picture.size) > 200 and len(np.unique(np.asarray(picture))) > 20
    with pytest.raises(ConfigError, match="figure must be one of energy_distance, "):
        plots.matrix(report, "beauty")


def test_events_that_are_single_numbers():
    x = torch.randn(40, generator=torch.Generator().manual_seed(0))
    model = multisi.fit({"a": x, "b": x + 3}, steps=2, progress=False)
    report = model.evaluate({"a": x, "b": x + 3}, samples=20, steps=4)
    assert all(pair.w2 >= 0 for pair in report.pairs)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"held_out": None}, ConfigError, "marginals .*dict.* NoneType"),
        (
            {"held_out": {"a": DATA["a"], "z": multisi.StandardNormal()}},
            DataError,
            "held_out must have at least 2 data marginals.* a",
        ),
        ({"seed": -1}, ConfigError, "seed .*integer.* -1"),
        ({"seed": "x"}, ConfigError, "seed .*integer.* 'x'"),
        ({"seed": 2.5}, ConfigError, "seed .*integer.* 2.5"),
        ({"samples": 3}, ConfigError, "samples .*at least 4.* 3"),
        ({"steps": "x"}, ConfigError, "steps .*integer.* 'x'"),
        ({"steps": 2.5}, ConfigError, "steps .*integer.* 2.5"),
        ({"noise": np.ones(2)}, ConfigError, r"noise .*finite number.* array\(\[1"),
        ({"noise": "much"}, ConfigError, "noise .*finite number.* 'much'"),
    ],
)
def test_options_that_are_none(options, error, message):
    with pytest.raises(error, match=message):
        EXACT.evaluate(**{"held_out": DATA} | options)
