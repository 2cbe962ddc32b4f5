import itertools

import numpy as np
import pandas
import polars
import pytest
from scipy.stats import ks_2samp
from scipy.stats import wasserstein_distance as scipy_w1
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import balanced_accuracy_score

import multisi.metrics
from multisi import fairness
from multisi.errors import ConfigError, DataError
from multisi.fairness.probe import held_out_leakage

RANDOM = np.random.default_rng(1)
GROUPS = np.repeat(["a", "b", "c"], [150, 90, 60])
X = RANDOM.normal(size=(300, 2)) * [1, 5] + np.round(RANDOM.exponential(size=(300, 2)))
X[GROUPS == "b"] += [0.8, 0]
METRICS = [
    fairness.ks_distance,
    fairness.wasserstein_distance,
    fairness.energy_distance,
    fairness.sliced_wasserstein_distance,
]


def worst(figure, values):
    """The largest figure of two groups, as in the definition."""
    parts = [values[GROUPS == group] for group in "abc"]
    return max(figure(one, other) for one, other in itertools.combinations(parts, 2))


def of_columns(figure, values):
    return max(worst(figure, column) for column in values.T)


UNITS = (X - X.mean(0)) / X.std(0)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (fairness.ks_distance, of_columns(lambda a, b: ks_2samp(a, b).statistic, X)),
        (fairness.wasserstein_distance, of_columns(scipy_w1, UNITS)),
        (fairness.energy_distance, worst(multisi.metrics.energy_distance, UNITS)),
    ],
)
def test_they_agree_with_other_libraries(metric, expected):
    assert metric(X, sensitive_features=GROUPS) == pytest.approx(expected, rel=1e-9)


def test_sliced_distances_use_all_rows_of_groups_of_other_sizes():
    repeated = np.concatenate([X[:60], X[:60], X[:60], X[60:120]])
    groups = np.repeat(["a", "b"], [180, 60])
    one = fairness.sliced_wasserstein_distance(repeated, sensitive_features=groups)
    other = fairness.sliced_wasserstein_distance(X[:120], sensitive_features=groups[120:])
    units = repeated.std(0), X[:120].std(0)
    assert one == pytest.approx(other, rel=0.2) and not np.allclose(*units)
    shift = np.concatenate([X[:60], X[:60] + np.array([3, 0])])
    moved = fairness.sliced_wasserstein_distance(shift, sensitive_features=groups[120:])
    assert moved == pytest.approx(3 / shift[:, 0].std() / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("metric", METRICS)
def test_units_and_the_order_of_rows_do_not_matter(metric):
    order = RANDOM.permutation(300)
    expected = metric(X, sensitive_features=GROUPS)
    found = metric(X[order] * [1e30, 1e-30], sensitive_features=GROUPS[order])
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_a_constant_column_has_no_distance(metric):
    assert metric(np.full(300, 0.1), sensitive_features=GROUPS) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("metric", [*METRICS, fairness.leakage])
def test_tables_of_all_kinds_give_the_same(metric):
    table = pandas.DataFrame(X, columns=["u", "v"])
    expected = metric(X, sensitive_features=GROUPS)
    lists = {"u": X[:, 0].tolist(), "v": X[:, 1].tolist()}
    for given in (table, X.tolist(), polars.DataFrame(lists)):
        assert metric(given, sensitive_features=list(GROUPS)) == expected


@pytest.mark.parametrize("metric", METRICS)
def test_above_its_floor_there_is_something_to_repair(metric):
    assert metric(X, sensitive_features=GROUPS) > fairness.floor(
        metric, X, sensitive_features=GROUPS
    )
    order = RANDOM.permutation(GROUPS)
    top = fairness.floor(metric, X, sensitive_features=order, quantile=1.0)
    assert metric(X, sensitive_features=order) <= top


def test_the_floor_is_the_one_of_the_protocol():
    source = np.random.default_rng(0)
    score = X[:, 0]
    found = []
    for _ in range(60):
        groups = source.permutation(GROUPS)
        parts = [score[groups == group] for group in "abc"]
        pairs = itertools.combinations(parts, 2)
        found.append(max(ks_2samp(a, b).statistic for a, b in pairs))
    floor = fairness.floor(fairness.ks_distance, score, sensitive_features=GROUPS)
    assert floor == pytest.approx(np.quantile(found, 0.9), rel=1e-12)


def test_the_floor_of_the_energy_distance_is_that_of_the_same_metric():
    def plain(X, *, sensitive_features):
        return fairness.energy_distance(X, sensitive_features=sensitive_features)

    one, other = (
        fairness.floor(metric, X, sensitive_features=GROUPS)
        for metric in (plain, fairness.energy_distance)
    )
    assert other == pytest.approx(one, rel=0.2)


def test_many_rows_are_thinned_alike_in_all_groups():
    many = np.concatenate([X] * 40)
    groups = np.concatenate([GROUPS] * 40)
    for metric in METRICS[2:]:
        found = metric(many, sensitive_features=groups)
        assert found == pytest.approx(metric(X, sensitive_features=GROUPS), abs=0.1)
        assert found == metric(many, sensitive_features=groups)


def test_leakage_is_chance_for_one_law_and_one_for_groups_apart():
    groups = RANDOM.permutation(np.repeat(["a", "b", "c"], [400, 150, 50]))
    noise = RANDOM.normal(size=(600, 3))
    assert fairness.leakage(noise, sensitive_features=groups) == pytest.approx(1 / 3, abs=0.08)
    noise[:, 1] += 20 * (groups == "a") - 20 * (groups == "c")
    assert fairness.leakage(noise, sensitive_features=groups) > 0.97


def test_leakage_on_held_out_rows_is_the_one_of_the_protocol():
    train, test = np.arange(300) % 3 > 0, np.arange(300) % 3 == 0
    weights = 1 / np.array([(GROUPS[train] == group).mean() for group in GROUPS[train]])
    probe = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, random_state=0)
    probe.fit(X[train], GROUPS[train], sample_weight=weights)
    expected = balanced_accuracy_score(GROUPS[test], probe.predict(X[test]))
    found = held_out_leakage(X[train], GROUPS[train], X[test], GROUPS[test])
    assert found == pytest.approx(expected, abs=0.03)  # Values are ranked before.


def test_leakage_reads_categories_text_and_missing_values():
    table = pandas.DataFrame({"level": pandas.Categorical(np.where(GROUPS == "a", "low", "high"))})
    table["text"] = np.where(GROUPS == "b", "x", "y")
    table["gaps"] = np.where(RANDOM.random(300) < 0.5, np.nan, 1.0)
    assert fairness.leakage(table, sensitive_features=GROUPS) == 1


def test_leakage_of_few_rows_uses_fewer_folds():
    groups = ["a"] * 40 + ["b"] * 2
    assert 0 <= fairness.leakage(X[:42], sensitive_features=groups) <= 1
    with pytest.raises(DataError, match=r"2 rows; group 'b' has 1\."):
        fairness.leakage(X[:41], sensitive_features=groups[:41])
    many = np.concatenate([X] * 40)
    rare = ["a"] * (len(many) - 3) + ["b"] * 3
    assert 0 <= fairness.leakage(many, sensitive_features=rare) <= 1


def test_several_sensitive_columns_are_crossed():
    two = pandas.DataFrame({"sex": ["f", "m"] * 150, "group": GROUPS})
    joined = two["sex"] + two["group"]
    for metric in (*METRICS, fairness.leakage):
        assert metric(X, sensitive_features=two) == metric(X, sensitive_features=joined)


@pytest.mark.parametrize("metric", [*METRICS, fairness.leakage])
@pytest.mark.parametrize(
    ("rows", "groups", "message"),
    [
        (X, ["a"] * 300, "At least two groups are needed; got only 'a'"),
        (np.full((300, 2), np.inf), GROUPS, "Column 0 must be finite; 300 of 300"),
        (X, GROUPS[:5], "300 rows"),
        (np.zeros((0, 2)), [], "must have rows and columns"),
        (np.zeros((300, 2, 2)), GROUPS, "must have rows and columns"),
        (np.full((300, 2), 1j), GROUPS, "must hold real numbers"),
    ],
)
def test_wrong_input(metric, rows, groups, message):
    with pytest.raises(DataError, match=message):
        metric(rows, sensitive_features=groups)


def test_wrong_options():
    with pytest.raises(DataError, match="Every group needs 2 rows; group 'b' has 1"):
        fairness.energy_distance([1, 2, 3], sensitive_features=["a", "a", "b"])
    with pytest.raises(DataError, match="Column 0 must be finite; 1 of 3"):
        fairness.ks_distance([1, np.nan, 3], sensitive_features=["a", "a", "b"])
    with pytest.raises(ConfigError, match="quantile must be in"):
        fairness.floor(fairness.ks_distance, X, sensitive_features=GROUPS, quantile=2)
    with pytest.raises(ConfigError, match="cv must be an integer of at least 2"):
        fairness.leakage(X, sensitive_features=GROUPS, cv=1)


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.ensemble", None)
    with pytest.raises(ConfigError, match=r"needs scikit-learn.*multisi\[fairness\]"):
        fairness.leakage(X, sensitive_features=GROUPS)
