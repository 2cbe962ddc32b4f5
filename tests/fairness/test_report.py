import numpy as np
import pandas
import pytest
from fairlearn.metrics import (
    demographic_parity_difference,
    demographic_parity_ratio,
    equalized_odds_difference,
)
from sklearn.metrics import r2_score, roc_auc_score

from multisi import fairness
from multisi.errors import DataError
from multisi.fairness.outcomes import parity, quick_parity, read_outcomes

RANDOM = np.random.default_rng(3)
GROUPS = np.repeat(["men", "women", "others"], [200, 150, 50])
SCORES = RANDOM.random(400) * np.where(GROUPS == "men", 1, 0.7)
TRUE = (RANDOM.random(400) < SCORES).astype(int)
X = np.stack([SCORES, RANDOM.normal(size=400)], 1)


def value(report, figure):
    return report.loc[figure, "value"]


@pytest.mark.parametrize("labels", [(0, 1), ("no", "yes"), (False, True)])
def test_gaps_of_decisions_are_those_of_fairlearn(labels):
    true, chosen = np.array(labels)[TRUE], np.array(labels)[(SCORES > 0.5).astype(int)]
    report = fairness.fairness_report(true, chosen, sensitive_features=GROUPS)
    plain = TRUE, (SCORES > 0.5).astype(int)
    for figure in (
        demographic_parity_difference,
        demographic_parity_ratio,
        equalized_odds_difference,
    ):
        expected = figure(*plain, sensitive_features=GROUPS)
        assert value(report, figure.__name__) == pytest.approx(expected, rel=1e-12)
    assert value(report, "accuracy (women)") == np.mean((plain[0] == plain[1])[GROUPS == "women"])
    assert value(report, "selection_rate (men)") == plain[1][GROUPS == "men"].mean()


def test_the_report_says_what_repair_cannot_change():
    report = fairness.fairness_report(TRUE, SCORES, sensitive_features=GROUPS)
    rates = [TRUE[GROUPS == group].mean() for group in np.unique(GROUPS)]
    assert value(report, "base_rate_difference") == pytest.approx(max(rates) - min(rates))
    assert set(report["kind"]) == {"labels", "outcome"}
    assert (report["movable"] == (report["kind"] != "labels")).all()
    assert "no repair" in report.loc["base_rate_difference", "meaning"]
    assert list(report.columns) == ["value", "floor", "kind", "movable", "meaning"]


def test_scores_and_probabilities():
    report = fairness.fairness_report(TRUE, SCORES, sensitive_features=GROUPS)
    pairs = np.stack([1 - SCORES, SCORES], 1)
    pandas.testing.assert_frame_equal(
        report, fairness.fairness_report(TRUE, pairs, sensitive_features=GROUPS)
    )
    assert value(report, "AUC") == pytest.approx(roc_auc_score(TRUE, SCORES))
    distance = fairness.ks_distance(SCORES, sensitive_features=GROUPS)
    assert value(report, "ks_distance (scores)") == distance
    decision = fairness.fairness_report(TRUE, SCORES * 8 - 4, sensitive_features=GROUPS)
    assert value(decision, "accuracy") == value(report, "accuracy")


def test_fair_predictions_are_at_their_floor():
    chance = RANDOM.permutation(SCORES)
    report = fairness.fairness_report(TRUE, chance, sensitive_features=GROUPS)
    gap = report.loc["demographic_parity_difference"]
    assert gap["value"] < 1.5 * gap["floor"]
    ratio = report.loc["demographic_parity_ratio"]
    assert ratio["floor"] < 1 and ratio["value"] > 0.8 * ratio["floor"]


def test_counting_gives_what_fairlearn_gives():
    for true, predicted in (
        (TRUE, SCORES),
        (RANDOM.integers(0, 3, size=400), RANDOM.dirichlet([1, 2, 4], size=400)),
        (TRUE * (GROUPS == "men"), TRUE * (GROUPS == "women")),
        (TRUE, TRUE * 0),
    ):
        outcomes = read_outcomes(true, predicted)
        codes = np.unique(GROUPS, return_inverse=True)[1]
        expected = pytest.approx(parity(outcomes, codes), rel=1e-12, nan_ok=True)
        assert quick_parity(outcomes, codes) == expected


def test_several_classes_count_by_the_worst():
    true = RANDOM.integers(0, 3, size=400)
    shares = RANDOM.dirichlet([1, 1, 1], size=400)
    shares[GROUPS == "men", 2] += 0.4
    report = fairness.fairness_report(true, shares, sensitive_features=GROUPS)
    chosen = shares.argmax(1)
    gaps = [
        demographic_parity_difference(true == k, chosen == k, sensitive_features=GROUPS)
        for k in range(3)
    ]
    assert value(report, "demographic_parity_difference") == pytest.approx(max(gaps))
    assert value(report, "accuracy") == (true == chosen).mean()
    assert "selection_rate (men)" not in report.index
    labels = fairness.fairness_report(true, chosen, sensitive_features=GROUPS)
    assert value(labels, "demographic_parity_difference") == pytest.approx(max(gaps))


def test_numbers_are_regressed():
    true = SCORES + RANDOM.normal(size=400)
    report = fairness.fairness_report(true, SCORES, sensitive_features=GROUPS)
    assert value(report, "R²") == pytest.approx(r2_score(true, SCORES))
    part = GROUPS == "others"
    assert value(report, "R² (others)") == pytest.approx(r2_score(true[part], SCORES[part]))
    assert value(report, "ks_distance (y_pred)") == fairness.ks_distance(
        SCORES, sensitive_features=GROUPS
    )
    assert not report.loc["ks_distance (y_true)", "movable"]
    assert report.loc["ks_distance (y_pred)", "movable"]
    assert "demographic_parity_difference" not in report.index
    two = fairness.fairness_report(
        np.stack([true, -true], 1), np.stack([SCORES, SCORES], 1), sensitive_features=GROUPS
    )
    assert value(two, "ks_distance (y_pred)") == value(report, "ks_distance (y_pred)")


def test_features_before_and_after():
    repaired = X.copy()
    repaired[:, 0] /= np.where(GROUPS == "men", 1, 0.7)
    report = fairness.fairness_report(TRUE, SCORES, sensitive_features=GROUPS, X=X, Z=repaired)
    for figure in ("ks_distance", "wasserstein_distance", "energy_distance", "leakage"):
        assert value(report, f"{figure} (Z)") < value(report, f"{figure} (X)")
        assert set(report.loc[[f"{figure} (X)", f"{figure} (Z)"], "kind"]) == {"representation"}
    assert report.loc["leakage (Z)", "floor"] == 1 / 3
    assert value(report, "rank_preservation") == pytest.approx(1)
    assert value(report, "distortion (men)") == 0 < value(report, "distortion (women)")
    assert 0 <= value(report, "support_violations") < 1


@pytest.mark.parametrize(
    ("true", "predicted", "classes", "kind"),
    [
        ([0, 1, 1], [0.2, 0.7, 0.4], (1,), "scores"),
        ([0, 1, 1], [-2.0, 1.5, 0.1], (1,), "scores"),
        ([[0], [1], [1]], [0, 1, 0], (1,), "labels"),
        (["a", "b", "a"], ["a", "c", "b"], ("a", "b", "c"), "labels"),
        ([0, 2, 0], np.eye(3), (0, 1, 2), "scores"),
        ([3, 7, 11], [2.5, 7.1, 9.9], (), "labels"),
        ([0.5, 1.5, 2], [0, 1, 2], (), "labels"),
        ([[0, 1], [1, 1], [1, 0]], [[0, 1], [1, 0], [1, 0]], (0, 1), "labels"),
        (pandas.Series(["a", "b", "a"], dtype="category"), ["a", "b", "b"], ("b",), "labels"),
    ],
)
def test_kinds_of_predictions(true, predicted, classes, kind):
    found = read_outcomes(true, predicted)
    assert found.classes == classes
    assert (found.scores is not None) == (kind == "scores")
    assert found.true.shape == found.predicted.shape


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ([0, 1], [0, 1, 1], "same rows; got 2 and 3"),
        ([0, None], [0, 1], "y_true must have no missing"),
        ([0.5, np.nan], [0, 1], "y_true must have no missing"),
        (["a", "b"], [0, 1], "must hold labels as y_true does"),
        ([0.5, 1.5], ["a", "b"], "must hold numbers of the shape"),
        (["a", "b", "c"], np.eye(3)[:, :2], "a column for each of 3 classes; got 2"),
    ],
)
def test_wrong_predictions(true, predicted, message):
    with pytest.raises(DataError, match=message):
        fairness.fairness_report(true, predicted, sensitive_features=range(len(true)))


def test_extreme_labels():
    for label in (0, 1):
        report = fairness.fairness_report(
            [label] * 4, [1, 1, 0, 0], sensitive_features=list("aabb")
        )
        assert value(report, "base_rate_difference") == 0
    nobody = fairness.fairness_report([0, 1] * 2, [0] * 4, sensitive_features=list("aabb"))
    assert np.isnan(value(nobody, "demographic_parity_ratio"))
