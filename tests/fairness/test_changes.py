import numpy as np
import pandas
import pytest

from multisi import fairness
from multisi.errors import DataError

RANDOM = np.random.default_rng(2)
GROUPS = np.repeat(["a", "b", "c"], [80, 60, 40])
X = RANDOM.normal(size=(180, 3)) * [1, 10, 0.1]
SHIFT = {"a": 0.0, "b": 1.0, "c": 3.0}


class Shifts:
    """A repair which adds a number to every value, and loses something on each way."""

    def __init__(self, lost=0.0):
        self.lost = lost

    def transform(self, X, *, sensitive_features):
        return X - np.array([SHIFT[group] for group in sensitive_features])[:, None]

    def inverse_transform(self, Z, *, sensitive_features):
        return self.transform(Z, sensitive_features=sensitive_features) * -1 + 2 * Z + self.lost

    def counterfactual(self, X, *, from_, to):
        return X + SHIFT[to] - SHIFT[from_] + self.lost


def test_distortion_says_who_was_moved():
    moved = X + X.std(0) * np.where(GROUPS == "c", 2, 0)[:, None]
    found = fairness.distortion(X, moved, sensitive_features=GROUPS)
    assert found.to_dict() == pytest.approx({"overall": 160 / 180, "a": 0, "b": 0, "c": 4})


def test_orders_and_neighbours_are_kept_by_a_change_of_units_in_each_group():
    moved = X * 3 + (GROUPS == "b")[:, None]
    assert fairness.rank_preservation(X, moved, sensitive_features=GROUPS) == pytest.approx(1)
    assert fairness.neighbour_preservation(X, X * 3, sensitive_features=GROUPS) == 1
    assert fairness.rank_preservation(X, -X, sensitive_features=GROUPS) == pytest.approx(-1)


def test_orders_and_neighbours_are_lost_in_noise():
    noise = RANDOM.normal(size=X.shape)
    assert abs(fairness.rank_preservation(X, noise, sensitive_features=GROUPS)) < 0.2
    kept = fairness.neighbour_preservation(X, noise, sensitive_features=GROUPS, k=5)
    assert kept == pytest.approx(5 / 60, abs=0.05)


def test_columns_that_do_not_vary():
    flat = np.where(GROUPS == "a", 1.0, RANDOM.normal(size=180))
    assert fairness.rank_preservation(flat, flat, sensitive_features=GROUPS) == pytest.approx(1)
    assert fairness.rank_preservation(flat, 0 * flat, sensitive_features=GROUPS) == 0
    assert np.isnan(fairness.rank_preservation(0 * flat, flat, sensitive_features=GROUPS))


def test_ties_count_as_neighbours():
    counts = RANDOM.integers(0, 2, size=(180, 2))
    order = np.argsort(GROUPS, kind="stable")
    assert fairness.neighbour_preservation(counts, counts[order], sensitive_features=GROUPS) == 1


def test_the_way_back():
    assert fairness.cycle_error(Shifts(), X, sensitive_features=GROUPS) < 1e-12
    lost = fairness.cycle_error(Shifts(0.1), X, sensitive_features=GROUPS)
    assert lost == pytest.approx(np.sqrt(np.mean((0.1 / X.std(0)) ** 2)))


@pytest.mark.parametrize("kind", [np.asarray, pandas.DataFrame])
def test_the_way_by_a_third_group(kind):
    assert fairness.composition_defect(Shifts(), kind(X), sensitive_features=GROUPS) < 1e-20
    found = fairness.composition_defect(Shifts(0.1), kind(X), sensitive_features=GROUPS)
    units = X / X.std(0)
    sizes = [units[GROUPS == group].var(0).sum() for group in "abc"]
    assert found == pytest.approx(np.mean(np.sum((0.1 / X.std(0)) ** 2) / sizes))


def test_two_groups_have_no_way_by_a_third():
    with pytest.raises(DataError, match="needs three groups"):
        fairness.composition_defect(Shifts(), X[:140], sensitive_features=GROUPS[:140])


def test_values_that_could_not_have_been():
    before = pandas.DataFrame(
        {"count": [0, 1, 2, 5], "size": [0.5, 1.0, 1.5, 2.0], "text": list("abab")}
    )
    after = before.assign(count=[0.5, 1, 2, 6], size=[3.0, -1.0, 1.0, 1.0], text=list("abac"))
    found = fairness.support_violations(before, after)
    assert list(found.index) == ["count", "size", "text"]
    assert found["outside"].tolist() == [0.25, 0.5, 0.25]
    assert found["off_lattice"].tolist()[0] == 0.25 and np.isnan(found["off_lattice"].iloc[1])


def test_columns_go_by_their_names():
    table = pandas.DataFrame(X, columns=["u", "v", "w"])
    turned = table[["w", "u", "v"]]
    assert fairness.distortion(table, turned, sensitive_features=GROUPS)["overall"] == 0
    with pytest.raises(DataError, match="only one has r, w"):
        fairness.distortion(table, table.rename(columns={"w": "r"}), sensitive_features=GROUPS)
    with pytest.raises(DataError, match="got 3 and 1"):
        fairness.distortion(table, X[:, 0], sensitive_features=GROUPS)
    with pytest.raises(DataError, match="same rows; got 180 and 5"):
        fairness.rank_preservation(table, X[:5], sensitive_features=GROUPS)
