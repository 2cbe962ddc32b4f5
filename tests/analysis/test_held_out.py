"""Weights, labels, conditions and units of what a model is judged by."""

import math

import pytest
import torch

import multisi
from multisi.analysis.evaluation import evaluate, ring
from multisi.analysis.held_out import HeldOut
from multisi.errors import ConfigError, DataError
from tests.closed_forms import mixtures, sample_mixture

PARTS = mixtures(d=2)
EXACT = multisi.Model(multisi.GaussianMixtureMeans(*PARTS), ["z", "a", "b"], noise="z")
A, B = (sample_mixture(*(p[k] for p in PARTS), 600, k) for k in (1, 2))


def still(x, source, target, grid=None, return_path=False, **options):
    """A model that does nothing."""
    return x.expand(len(grid), *x.shape) if return_path else x


def far(share):
    """Samples of b, and as many far away, of which each counts as `share` of a sample."""
    weights = torch.cat([torch.ones(600), torch.full((600,), share)])
    return multisi.Marginal(torch.cat([B, B + 30]), weights=weights)


def test_rows_without_weight_are_not_there():
    report = EXACT.evaluate({"a": A, "b": far(0.0)}, units="data")
    whole = EXACT.evaluate({"a": A, "b": B}, units="data")
    for pair, same in zip(report.pairs, whole.pairs, strict=True):
        assert abs(pair.energy_distance) < 0.01
        assert pair.energy_distance == pytest.approx(same.energy_distance, abs=1e-6)
        assert pair.wrong_count == 0 and pair.p_value > 0.01
    assert EXACT.evaluate({"a": A, "b": far(1.0)}, units="data").pairs[0].energy_distance > 5


def test_weight_two_is_a_row_twice():
    weights = 1.0 + (torch.arange(600) % 2)
    twice = torch.cat([B, B[1::2]])
    data = [{"a": A, "b": b} for b in (multisi.Marginal(B, weights=weights), twice)]
    by_weight, by_rows = (EXACT.evaluate(one, units="data") for one in data)
    for pair, same in zip(by_weight.pairs, by_rows.pairs, strict=True):
        assert pair.energy_distance == pytest.approx(same.energy_distance, abs=0.02)
        assert pair.sliced_w2 == pytest.approx(same.sliced_w2, abs=0.1)


def test_the_ring_takes_rows_by_their_weights():
    data = {"a": multisi.Marginal(A), "b": far(0.0)}
    assert ring(EXACT.transport, HeldOut(data, samples=1000)) < 0.01
    wrong = {"a": multisi.Marginal(A), "b": far(1.0)}
    assert ring(EXACT.transport, HeldOut(wrong, samples=1000)) > 0.3


def test_weights_that_leave_too_few_rows():
    weights = torch.tensor([1.0, 1e-9] + [0.0] * 598)
    with pytest.raises(DataError, match="'b' must have at least 4 rows; got 1, which is what"):
        EXACT.evaluate({"a": A, "b": multisi.Marginal(B, weights=weights)})


class Conditional(torch.nn.Module):
    """Means of a ~ N(0, 1), b ~ N(2c, .25) and d ~ N(3, 1), independent given c."""

    def forward(self, x, alpha, condition):
        w = alpha.unbind(1)
        means = [torch.zeros_like(condition), 2 * condition, torch.full_like(condition, 3.0)]
        variances = (1.0, 0.25, 1.0)
        centre = sum(u[:, None] * m for u, m in zip(w, means, strict=True))
        variance = sum(u**2 * v for u, v in zip(w, variances, strict=True))[:, None]
        pull = (x - centre) / variance
        each = zip(w, means, variances, strict=True)
        return torch.stack([m + u[:, None] * v * pull for u, m, v in each], 1)


def conditional(n=1500, seed=0):
    source = torch.Generator().manual_seed(seed)
    a, b, d, c = torch.randn(4, n, 1, generator=source, dtype=torch.float64)
    return {"a": a, "b": multisi.Marginal(2 * c + b / 2, condition=c), "d": d + 3}


CONDITIONAL = multisi.Model(Conditional(), ["a", "b", "d"])


def test_moved_rows_have_conditions():
    """Their own ones, or those of random rows of the marginal that has them."""
    report = CONDITIONAL.evaluate(conditional(), steps=8)
    for pair in report.pairs:
        assert abs(pair.energy_distance) < 0.01 and pair.p_value > 0.001, pair
        assert pair.wrong_count == 0 and pair.cycle_error < 1e-3
    held = HeldOut(evaluated(conditional()), samples=1000)
    assert abs(ring(CONDITIONAL.transport, held, steps=8)) < 0.01


def evaluated(data):
    return {
        n: m if isinstance(m, multisi.Marginal) else multisi.Marginal(m) for n, m in data.items()
    }


def test_a_condition_in_the_options_comes_first():
    report = CONDITIONAL.evaluate(conditional(), steps=8, condition=[0.0])
    to_b = [pair for pair in report.pairs if pair.target == "b"]
    assert all(pair.energy_distance > 0.1 for pair in to_b)
    assert all(pair.wrong_spreads[0] == pytest.approx(0.5 / 4.25**0.5, rel=0.1) for pair in to_b)


def test_conditions_are_those_of_the_chosen_rows():
    held = HeldOut(evaluated(conditional()), samples=50)
    rows = held.rows["b"]
    assert (rows.samples - 2 * rows.condition).std() < 0.7
    assert held.condition("b") is rows.condition
    drawn = held.condition("a")
    assert drawn.shape == (50, 1) and not torch.equal(drawn, held.condition("d"))


def test_classes_that_are_exchanged():
    """Two classes that mirror each other: the whole law is right, that of each class is not."""
    source = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2
    data = {
        name: multisi.Marginal(
            torch.randn(400, 2, generator=source) + (10.0 * labels - 5)[:, None], labels=labels
        )
        for name in "ab"
    }
    kept = evaluate(still, data)
    exchanged = evaluate(lambda x, *names, **options: still(-x, *names, **options), data)
    assert abs(kept.mean("within_labels")) < 0.01
    assert exchanged.mean("energy_distance") < 0.05 and exchanged.mean("within_labels") > 2
    bare = {"a": data["a"], "b": data["b"].samples}
    assert all(math.isnan(pair.within_labels) for pair in evaluate(still, bare).pairs)
    other = multisi.Marginal(data["b"].samples, labels=labels + 7)
    assert math.isnan(evaluate(still, {"a": data["a"], "b": other}).mean("within_labels"))


def test_labels_count_by_their_shares_in_the_target():
    """Label 0 is right in 300 rows, label 1 is one off in 100; the only row of label 2 is left."""
    x = torch.arange(401.0, dtype=torch.float64)[:, None]
    x[:300], x[300:400] = 0, 5
    labels = torch.tensor([0] * 300 + [1] * 100 + [2])
    y = x.clone()
    y[300:400] += 1
    data = {"a": multisi.Marginal(x, labels=labels), "b": multisi.Marginal(y, labels=labels)}
    pair = evaluate(still, data, units="data").pairs[0]
    assert pair.within_labels == pytest.approx(100 / 400 * 2)


def test_distances_in_standardised_units():
    scaled, shifted = torch.tensor([1e6, 1e-3]), torch.tensor([5.0, 7e3])
    own = EXACT.evaluate({"a": A, "b": B}, units="data")
    for units in ("standardised", "data"):
        data = {"a": A * scaled + shifted, "b": B * scaled + shifted}
        report = evaluate(still, data, units=units)
        assert report.units == report.to_dict()["units"] == units
        assert f"in {units} units" in str(report) and f"units={units!r}" in repr(report)
        apart = torch.tensor([1e3, 1.0])  # So that each feature has its own unit here too.
        same = evaluate(still, {"a": A * apart, "b": B * apart}, units=units)
        equal = report.pairs[0].energy_distance == pytest.approx(
            same.pairs[0].energy_distance, rel=1e-3
        )
        assert equal == (units == "standardised")
    assert own.units == "data"
    with pytest.raises(ConfigError, match="units must be 'standardised' or 'data'; got 'pounds'"):
        EXACT.evaluate({"a": A, "b": B}, units="pounds")


def test_features_are_named_in_the_order_of_the_model():
    names = {"event_shape": [2], "features": ["age", "income"]}
    model = multisi.Model(lambda x, alpha: x[:, None].expand(-1, 2, -1), ["a", "b"], **names)
    source = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 300, 2, generator=source)
    data = {
        "a": multisi.Marginal(a * torch.tensor([1e6, 1.0]), features=["income", "age"]),
        "b": multisi.Marginal(b * torch.tensor([1e6, 1.0]) + torch.tensor([0, 3.0]),
                              features=["income", "age"]),
    }  # fmt: skip
    pair = model.evaluate(data).pairs[0]
    assert (pair.wrong_count, pair.wrong_features) == (1, ("age",))
    assert pair.energy_distance > 0.5 and pair.p_value == 0.001
    other = {name: multisi.Marginal(m.samples, features=["x", "age"]) for name, m in data.items()}
    with pytest.raises(DataError, match="Missing: 'income'"):
        model.evaluate(other)


def test_wrong_pixels_have_places():
    source = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 200, 3, 4, 5, generator=source)
    b[:, 2, 3, 1] *= 4
    report = evaluate(still, {"a": a, "b": b})
    assert [pair.wrong_features for pair in report.pairs] == [("2,3,1",)] * 2
    assert "a to b: 2,3,1 (mean " in str(report) and "spread × 0.2" in str(report)
    assert "no feature is found" in str(evaluate(still, {"a": a, "b": b[:100] * 0 + a[100:]}))


def test_an_exact_model_has_no_wrong_features():
    wrong = 0
    for seed in range(40):
        a, b = (sample_mixture(*(p[k] for p in PARTS), 150, 100 + 2 * seed + k) for k in (1, 2))
        report = EXACT.evaluate({"a": a, "b": b}, steps=8)
        wrong += any(pair.wrong_count for pair in report.pairs)
    assert wrong <= 40 * 0.01 + 4 * (40 * 0.01) ** 0.5


def test_paths_in_parts_have_the_same_energy(monkeypatch):
    whole = EXACT.evaluate({"a": A, "b": B}, steps=6)
    monkeypatch.setattr("multisi.analysis.evaluation._NUMBERS", 7 * 2 * 130)
    parts = EXACT.evaluate({"a": A, "b": B}, steps=6)
    for pair, same in zip(parts.pairs, whole.pairs, strict=True):
        assert pair.path_energy == pytest.approx(same.path_energy)
        assert pair.w2 == pytest.approx(same.w2)
