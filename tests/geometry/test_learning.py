"""The cheapest paths, of one pair and of all."""

import json

import numpy as np
import pytest
import torch

import multisi
from multisi.errors import ConfigError, DataError
from multisi.geometry.moments import Table, gram
from multisi.geometry.states import states
from multisi.paths import Learned, Segment
from tests.geometry.test_costs import NAMES, E, gaussian, mixture_model

QUICK = {"progress": False, "count": 200, "grid": 8, "most": 25}


def crossed():
    """Noise, four modes on the axes and four on the diagonals: the edge between costs too much."""
    eye, even = torch.eye(2, dtype=torch.float64), torch.full((4,), 0.25, dtype=torch.float64)
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    a = 4 * torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]], dtype=torch.float64)
    b = 2.5 * torch.tensor([[1.0, 1], [-1, 1], [1, -1], [-1, -1]], dtype=torch.float64)
    spread = 0.1 * eye.repeat(4, 1, 1)
    means = multisi.GaussianMixtureMeans(
        [one, even, even], [zero, a, b], [eye[None], spread, spread]
    )
    return multisi.Model(means, NAMES, "noise")


@pytest.mark.parametrize("form", ["fourier", "spline", "piecewise"])
def test_a_learned_path_costs_less_and_ends_in_the_same_law(form):
    model = crossed()
    straight = model.transport_cost("a", "b", count=2000)
    path = model.learn_path("a", "b", form=form, **QUICK)
    assert path is model.paths["a", "b"]
    learned = model.transport_cost("a", "b", count=2000)
    assert float(learned) < 0.95 * float(
        model.transport_cost("a", "b", path="segment", kind="least")
    )
    assert float(learned) < 0.8 * float(straight)
    least = float(model.transport_cost("a", "b", kind="least", count=2000))
    assert float(learned) == pytest.approx(least, rel=0.05)
    x, y = (model.conditional_means.sample(1000, torch.Generator().manual_seed(s)) for s in (1, 2))
    moved = model.transport(x[:, 1], "a", "b", steps=64)
    assert multisi.metrics.permutation_test(moved, y[:, 2], permutations=199).p_value >= 0.01
    back = model.transport(moved, "b", "a", steps=64)
    assert (back - x[:, 1]).square().sum(1).median() < 1e-4


def test_the_cost_is_that_of_the_states_on_the_way():
    """Of a path with a scale, the states that transport returns are those at the scale."""
    model = crossed()
    model.learn_path("a", "b", **{**QUICK, "count": 1000})
    x = model.conditional_means.sample(2000, torch.Generator().manual_seed(1))[:, 1]
    states = model.transport(x, "a", "b", return_path=True, grid=np.linspace(0, 1, 201))
    energy = (states.diff(dim=0) * 200).square().sum(2).mean(1)
    found = model.transport_cost("a", "b", count=4000)
    assert float(energy.mean()) == pytest.approx(float(found), rel=0.05)
    assert energy[10:-10].std() / energy[10:-10].mean() < 0.1
    assert torch.equal(states[0], x)


def test_any_path_gives_the_same_map_in_one_dimension():
    model = gaussian([0.0, -1.0, 2.0], [1.0, 0.5, 1.5])
    x = torch.linspace(-2, 0, 9, dtype=torch.float64)[:, None]
    straight = model.transport(x, "a", "b", path="segment", steps=100)
    assert torch.allclose(2 + 3 * (x + 1), straight, atol=1e-4)
    source = torch.Generator().manual_seed(0)
    path = Learned(E[1:], [0], torch.randn(3, 5, generator=source, dtype=torch.float64))
    errors = [
        abs(model.transport(x, "a", "b", path=path, steps=n) - straight).max() for n in (50, 200)
    ]
    assert errors[0] < 5e-3 and errors[1] < errors[0] / 8


def test_searches_on_draws_and_on_a_table_agree():
    model = crossed()
    options = {**QUICK, "progress": False}
    table = model.learn_path("a", "b", **options)
    draws = model.learn_path("a", "b", **{**options, "grid": None, "most": 4})
    costs = [float(model.transport_cost("a", "b", path=p, count=1000)) for p in (table, draws)]
    assert costs[1] == pytest.approx(costs[0], rel=0.1)


def test_a_mixture_as_an_end_is_learned_and_not_kept():
    model = crossed()
    end = {"a": 0.5, "b": 0.5}
    path = model.learn_path("a", end, **{**QUICK, "most": 2})
    assert path(torch.ones(1, dtype=torch.float64))[0].tolist() == [0.0, 0.5, 0.5]
    assert not model.paths


def test_diffusions_and_given_paths_do_not_take_it():
    model = crossed()
    x = torch.tensor([[4.0, 0.0]], dtype=torch.float64)
    before = model.transport(x, "a", "b", noise=0.5, seed=0)
    model.learn_path("a", "b", **QUICK)
    assert torch.equal(model.transport(x, "a", "b", noise=0.5, seed=0), before)
    assert torch.equal(model.transport(x, "a", "b", path="auto"), model.transport(x, "a", "b"))


def test_the_path_is_in_the_file(tmp_path):
    model = crossed()
    path = model.learn_path("a", "b", **QUICK)
    model.save(tmp_path / "model.safetensors")
    again = multisi.load(tmp_path / "model.safetensors")
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    assert torch.equal(again.paths["a", "b"](t), path(t))
    x = torch.tensor([[4.0, 0.0]], dtype=torch.float64)
    assert torch.equal(again.transport(x, "a", "b"), model.transport(x, "a", "b"))
    assert torch.equal(again.transport(x, "b", "a"), model.transport(x, "b", "a"))


def test_files_of_older_versions_have_no_paths(tmp_path):
    model = crossed()
    tensors, description = model.parts()
    del description["paths"]
    multisi.files.checkpoint.write(tmp_path / "old.safetensors", tensors, description)
    again = multisi.load(tmp_path / "old.safetensors")
    assert isinstance(again.learn_path("a", "b", **QUICK), Learned)


def test_a_model_without_noise_searches_the_simplex():
    field = multisi.GaussianMixtureMeans(*[part[1:] for part in mixture_parts(4)])
    model = multisi.Model(field, ["a", "b", "c", "d"])
    for options in ({"corners": ["c"]}, {"most": 3}):
        path = model.learn_path("a", "b", **{**QUICK, **options})
        assert set(path.corners) <= {2, 3}
        learned = float(model.transport_cost("a", "b", path=path, count=500))
        assert learned <= float(model.transport_cost("a", "b", path="segment", count=500)) * 1.02


def mixture_parts(count):
    source, parts = torch.Generator().manual_seed(0), [[], [], []]
    for _ in range(count + 1):
        parts[0].append(torch.full((2,), 0.5, dtype=torch.float64))
        parts[1].append(2 * torch.randn(2, 2, generator=source, dtype=torch.float64))
        parts[2].append(0.3 * torch.eye(2, dtype=torch.float64).repeat(2, 1, 1))
    return parts


def test_two_marginals_alone_have_the_best_clock_and_scale():
    model = gaussian([0.0, 0.0], [1.0, 3.0], noise=None)
    model.learn_path("a", "b", progress=False, count=4000)
    found = model.transport_cost("a", "b", count=20_000)
    assert float(found) == pytest.approx(4.0, rel=0.05)


def test_a_model_that_was_just_fitted_or_read_from_a_file(tmp_path):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(500, 2)) * [2, 0.2], rng.normal(size=(500, 2)) * [0.2, 2]
    data = {"noise": multisi.StandardNormal(), "a": a, "b": b}
    model = multisi.fit(data, coupling="independent", steps=150, progress=False)
    assert float(model.transport_cost("a", "b", count=400)) > 0
    model.save(tmp_path / "model.safetensors")
    again = multisi.load(tmp_path / "model.safetensors")
    for options in ({}, {"samples": {"a": a}}, {"samples": {"b": multisi.Marginal(b)}}):
        few = {**QUICK, "grid": 4, "count": 50}
        assert isinstance(again.learn_path("a", "b", **few, **options), Learned)
        assert float(again.transport_cost("a", "b", count=200, **options)) > 0


def test_all_pairs(tmp_path):
    parts = mixture_parts(3)
    model = multisi.Model(multisi.GaussianMixtureMeans(*parts), ["z", "a", "b", "c"])
    costs = model.learn_paths(["a", "b", "c"], corners=["z"], progress=False)
    assert set(costs.learned) == {("a", "b"), ("a", "c"), ("b", "c")}
    for pair, cost in costs.learned.items():
        assert cost <= costs.straight[pair] * 1.05
        assert model.paths[pair] is costs.paths[pair]
        assert pair[::-1] in model.paths
    assert json.loads(json.dumps(costs.to_dict()))["pairs"][0]["source"] == "a"
    assert "of the learned path" in str(costs) and costs.picture()[1:4] == b"PNG"
    with pytest.raises(ConfigError, match="figure must be 'learned' or 'straight'"):
        costs.table("fast")


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("a", "a"), {}, ConfigError, "the same point"),
        (("a", "z"), {}, ConfigError, "z"),
        (("a", "b"), {"form": "sines"}, ConfigError, "form must be one of fourier"),
        (("a", "b"), {"coefficients": 1}, ConfigError, "coefficients must be an integer of at"),
        (("a", "b"), {"grid": 2}, ConfigError, "grid must be an integer of at least 4"),
        (("a", "b"), {"grid": 10**7}, ConfigError, "GiB. Use a smaller grid"),
        (("a", "b"), {"corners": ["c"]}, ConfigError, "c"),
        (("a", {"b": 1.5}), {}, multisi.errors.SimplexError, "simplex|sum"),
    ],
)
def test_wrong_options(arguments, options, error, message):
    with pytest.raises(error, match=message):
        mixture_model().learn_path(*arguments, progress=False, **options)


def test_names_of_pairs():
    model = mixture_model()
    with pytest.raises(ConfigError, match="names must differ"):
        model.learn_paths(["a", "a"])
    with pytest.raises(DataError, match="two marginals or more"):
        model.learn_paths(["a"])


def test_a_table_agrees_with_the_moments_between_its_points():
    model = crossed()
    source = states(model, [0, 1, 2], None, 300, 0)
    points = torch.tensor([[0.2, 0.5, 0.3], [0.05, 0.6, 0.35], [0.6, 0.2, 0.2]]).double()
    exact = torch.stack([gram(model, source, alpha, [1, 2, 0]) for alpha in points])
    errors = [
        (Table(model, source, (1, 2, 0), size)(points[:, [1, 2, 0]]) - exact).abs().max()
        for size in (8, 32)
    ]
    assert errors[1] < errors[0] / 3 and errors[1] < 0.03 * exact.max()


def test_constant_speed_wants_a_path():
    with pytest.raises(ConfigError, match="path"):
        mixture_model().constant_speed("segment")
    assert isinstance(Segment(torch.eye(2)), multisi.Path)
