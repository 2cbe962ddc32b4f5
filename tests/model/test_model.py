import copy
import json
import pickle

import pytest
import torch

import multisi
from multisi.data.standardiser import Standardiser
from multisi.errors import (
    ConfigError,
    DataError,
    ScoreError,
    ShapeError,
    SimplexError,
    SolverError,
)
from multisi.paths.polyline import Segment
from tests.closed_forms import mixtures, sample_mixture

PARTS = mixtures()
E = torch.eye(3, dtype=torch.float64)
GRID = torch.linspace(0, 0.49, 40).tolist()
EXACT = multisi.GaussianMixtureMeans(*PARTS)
MODEL = multisi.Model(EXACT, ("noise", "a", "b"), "noise")
X = sample_mixture(*(part[1] for part in PARTS), 6, seed=0)
SHIFT, SCALE = torch.tensor([1.0, -2.0]).double(), torch.tensor([3.0, 0.5]).double()
SCALED = multisi.Model(
    EXACT, ("noise", "a", "b"), "noise", standardiser=Standardiser(SHIFT, SCALE, True)
)


def test_everything_is_in_data_units():
    x = X * SCALE + SHIFT
    assert torch.allclose(
        SCALED.transport(x, "a", "b"), MODEL.transport(X, "a", "b") * SCALE + SHIFT
    )
    assert torch.allclose(SCALED.transport(x, "a", "noise"), MODEL.transport(X, "a", "noise"))
    middle = SCALED.transport(x, "a", SCALED.barycenter)
    assert torch.allclose(middle, MODEL.transport(X, "a", MODEL.barycenter) * SCALE + SHIFT)
    assert torch.allclose(SCALED.transport(middle, SCALED.barycenter, "a"), x, atol=1e-2)

    alpha = {"noise": 0.2, "a": 0.3, "b": 0.5}
    g, plain = SCALED.means(x, alpha), MODEL.means(X, alpha)
    assert torch.allclose(g[:, 0], plain[:, 0])
    assert torch.allclose(g[:, 1:], plain[:, 1:] * SCALE + SHIFT)
    assert torch.allclose(SCALED.score(x, alpha), MODEL.score(X, alpha) / SCALE)
    path = Segment([torch.eye(3).double()[1], torch.eye(3).double()[2]])
    velocity = SCALED.velocity(x, path, 0.3)
    assert torch.allclose(velocity, MODEL.velocity(X, path, 0.3) * SCALE)


def test_score_is_the_gradient_in_data_units():
    """Score of a single Gaussian seen through units, at a point of the cone."""
    one = torch.ones(1, dtype=torch.float64)
    m = torch.tensor([[0.0], [2.0]]).double()
    means = multisi.GaussianMixtureMeans(
        [one, one], list(m[:, None]), list(torch.tensor([1.0, 0.25]).double()[:, None, None, None])
    )
    units = Standardiser(torch.tensor([5.0]).double(), torch.tensor([10.0]).double(), True)
    model = multisi.Model(means, ("z", "a"), "z", standardiser=units)
    w = torch.tensor([0.6, 1.2]).double()
    x = torch.tensor([[3.0], [40.0]]).double()
    mean = 1.8 * 5 + 10 * (1.2 * 2.0)
    variance = 100 * (0.6**2 + 1.2**2 * 0.25)
    assert torch.allclose(model.score(x, w), -(x - mean) / variance)
    assert torch.allclose(model.score(x, "z"), -x)


def test_couple_gives_every_counterpart():
    counterparts = MODEL.couple(X, "a", steps=8)
    assert list(counterparts) == ["noise", "a", "b"]
    assert torch.allclose(counterparts["a"], X)
    assert torch.equal(counterparts["b"], MODEL.transport(X, "a", "b", steps=8))


def test_score_needs_noise():
    with pytest.raises(ScoreError, match="the weight of 'noise' is zero"):
        MODEL.score(X, "a")
    dependent = multisi.Model(EXACT, ("noise", "a", "b"), "noise", noise_independent=False)
    for call in (
        lambda: dependent.score(X, {"noise": 0.5, "a": 0.5}),
        lambda: dependent.transport(X, "a", "b", noise=0.5),
    ):
        with pytest.raises(ScoreError, match="independent of the data"):
            call()
    dependent.transport(X, "a", "b")


def test_bad_models_and_points():
    with pytest.raises(ConfigError, match=r"repeated: \['a'\]"):
        multisi.Model(EXACT, ("noise", "a", "a"), "noise")
    with pytest.raises(ConfigError, match="must come first"):
        multisi.Model(EXACT, ("noise", "a", "b"), "a")
    with pytest.raises(ConfigError, match="no marginal is named 'z'"):
        multisi.Model(EXACT, ("noise", "a", "b"), "z")
    with pytest.raises(ConfigError, match="3 marginals; got 2 names"):
        multisi.Model(EXACT, ("a", "b"))
    with pytest.raises(DataError, match="At least 2 marginals"):
        multisi.Model(EXACT, ("a",))
    with pytest.raises(SimplexError, match="positive weight"):
        MODEL.means(X, torch.zeros(3))
    with pytest.raises(SimplexError, match="not be negative"):
        MODEL.means(X, torch.tensor([2.0, -1.0, 0.5]))
    with pytest.raises(ShapeError, match=r"x must have shape \(b, 2\); got \(6, 1\)"):
        SCALED.transport(X[:, :1], "a", "b")
    with pytest.raises(ConfigError, match="device 'tpu7' cannot be used"):
        MODEL.to("tpu7")


def test_values_that_are_not_finite_are_named():
    model = multisi.Model(lambda x, alpha: (x / 0)[:, None].expand(-1, 2, -1), ("a", "b"))
    for call in (
        lambda: model.means(X, [0.5, 0.5]),
        lambda: model.velocity(X, Segment([torch.eye(2)[0], torch.eye(2)[1]]), 0.5),
    ):
        with pytest.raises(SolverError, match="not finite in 6 of 6 rows, the first is row 0"):
            call()
    with pytest.raises(DataError, match="6 of 6 rows of x lie too far from the data"):
        model.transport(X * 1e300, "a", "b")


@pytest.mark.parametrize("interpolant", ["barycentric", "trigonometric", "smoothed"])
@pytest.mark.parametrize("model", [MODEL, SCALED], ids=["raw", "scaled"])
def test_velocity_is_the_rate_of_the_state(interpolant, model):
    path, h = Segment([E[1], E[2]]), 1e-4
    states = [
        model.transport(
            X, "a", "b", interpolant=interpolant, grid=[*GRID, 0.5 - h, 0.5, 0.5 + h, 1.0],
            solver="rk4", return_path=True,
        )
    ][0][-4:-1]  # fmt: skip
    rate = (states[2] - states[0]) / (2 * h)
    found = model.velocity(states[1], path, 0.5, interpolant=interpolant)
    assert torch.allclose(found, rate, rtol=1e-3, atol=1e-3)


def test_a_velocity_needs_a_time_of_the_path():
    for t in (-0.1, 1.5):
        with pytest.raises(ConfigError, match=rf"\bt must be .*got {t}"):
            SCALED.velocity(X, Segment([E[1], E[2]]), t)


def test_denoiser_and_score_are_one():
    alpha = [0.5, 1.0, 0.25]
    noise, score = MODEL.denoiser(X, alpha), MODEL.score(X, alpha)
    assert torch.allclose(score, -noise / 0.5)
    assert torch.allclose(noise, MODEL.means(X, alpha)[:, 0])
    assert torch.allclose(SCALED.score(X, alpha), -SCALED.denoiser(X, alpha) / 0.5 / SCALE)
    with pytest.raises(ScoreError, match="The denoiser needs a standard-normal marginal"):
        multisi.Model(EXACT, ("c", "a", "b")).denoiser(X, alpha)


def test_precision_is_that_of_the_network_alone():
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    model = multisi.fit({"a": x, "b": x + 1}, steps=20, progress=False)
    full, short = (model.transport(x, "a", "b", precision=p) for p in (None, "bfloat16"))
    assert short.dtype == torch.float32 and not torch.equal(full, short)
    assert torch.allclose(full, short, atol=0.05)
    with pytest.raises(
        ConfigError, match="precision must be one of bfloat16, float16; got 'half'"
    ):
        model.transport(x, "a", "b", precision="half")


def test_weights_of_the_cone_are_numbers_of_any_kind():
    for weights in ([0, 2.0, 2.0], (0, 2, 2), torch.tensor([0, 2, 2])):
        assert torch.allclose(MODEL.means(2 * X, weights), MODEL.means(X / 2, [0, 0.5, 0.5]))


def test_copies_and_pickles():
    y = MODEL.transport(X, "a", "b", steps=4)
    for other in (copy.deepcopy(MODEL), pickle.loads(pickle.dumps(MODEL)), MODEL.to("auto")):
        assert torch.allclose(other.transport(X, "a", "b", steps=4), y)
    MODEL.to("cpu")


def test_evaluate():
    held_out = {
        name: sample_mixture(*(part[k] for part in PARTS), 600, seed=k)
        for k, name in ((1, "a"), (2, "b"))
    }
    report = MODEL.evaluate(held_out, samples=500, steps=64)
    assert [(p.source, p.target) for p in report.pairs] == [("a", "b"), ("b", "a")]
    assert abs(report.mean("energy_distance")) < 0.03
    assert report.mean("gaussian") > 0.3
    assert 0 <= report.mean("cycle_error") < 1e-3
    assert json.loads(json.dumps(report.to_dict()))["names"] == ["a", "b"]
    text = str(report)
    assert "energy distance" in text and "cycle error" in text and "seconds" in text
    again = MODEL.evaluate(held_out, samples=500, steps=64)
    assert [p.energy_distance for p in again.pairs] == [p.energy_distance for p in report.pairs]
    with pytest.raises(ConfigError, match="no marginal is named 'c'"):
        MODEL.evaluate({"a": X, "c": X})
    with pytest.raises(ConfigError, match="samples must be an integer of at least 4; got 0"):
        MODEL.evaluate(held_out, samples=0)
    with pytest.raises(DataError, match="at least 4 rows"):
        MODEL.evaluate({"a": X[:3], "b": X})
    with pytest.raises(DataError, match="At least 2 marginals"):
        MODEL.evaluate({"a": X})


def test_marginals_without_variance_have_a_finite_report():
    still = {"a": torch.zeros(8, 2), "b": torch.ones(8, 2)}
    model = multisi.Model(lambda x, alpha: x[:, None].expand(-1, 2, -1), ("a", "b"))
    assert json.dumps(model.evaluate(still).to_dict(), allow_nan=False)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compiled_networks_give_the_same():
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    model = multisi.fit({"a": x, "b": x + 1}, steps=3, progress=False)
    before = model.transport(x, "a", "b", steps=4)
    after = model.compile().transport(x, "a", "b", steps=4)
    assert torch.allclose(before, after, atol=1e-5)
    with pytest.raises(ConfigError, match=r"Only a torch\.nn\.Module can be compiled"):
        multisi.Model(lambda x, alpha: x, ("a", "b")).compile()
