import numpy as np
import pandas
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from multisi import fairness
from multisi.errors import ConfigError, DataError

RANDOM = np.random.default_rng(4)
GROUPS = np.repeat(["a", "b"], [300, 200])
SHIFT = np.where(GROUPS == "b", 2.0, 0.0)
X = pandas.DataFrame({"u": RANDOM.normal(size=500) + SHIFT, "v": RANDOM.normal(size=500)})
Y = (X["u"] + RANDOM.normal(size=500) > 1).astype(int)
FITS = []


class Centre(TransformerMixin, BaseEstimator):
    """A repair that moves the means of the groups to the common mean."""

    def __init__(self, amount=1.0):
        self.amount = amount

    def fit(self, X, y=None, *, sensitive_features=None):
        FITS.append(self.amount)
        X, groups = np.asarray(X), np.asarray(sensitive_features)
        self.shifts_ = {group: X[groups == group].mean(0) - X.mean(0) for group in set(groups)}
        return self

    def transform(self, X, *, sensitive_features=None, amount=None):
        amount = self.amount if amount is None else amount
        return X - amount * np.stack([self.shifts_[group] for group in sensitive_features])

    def fit_transform(self, X, y=None, *, sensitive_features=None):
        return self.fit(X, y, sensitive_features=sensitive_features).transform(
            X, sensitive_features=sensitive_features
        )


class Scores(ClassifierMixin, BaseEstimator):
    """A classifier whose features are centred, as one object."""

    def __init__(self, predictor, amount=1.0):
        self.predictor, self.amount = predictor, amount

    def fit(self, X, y, *, sensitive_features):
        self.repair_ = Centre(self.amount).fit(X, sensitive_features=sensitive_features)
        rows = self.repair_.transform(X, sensitive_features=sensitive_features)
        self.model_ = self.predictor.fit(rows, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X, *, sensitive_features):
        chances = self.predict_proba(X, sensitive_features=sensitive_features)
        return self.classes_[chances.argmax(1)]

    def predict_proba(self, X, *, sensitive_features):
        rows = self.repair_.transform(X, sensitive_features=sensitive_features)
        return self.model_.predict_proba(rows)


def frontier(estimator, y=Y, **options):
    options = {"amounts": (0, 0.5, 1), "cv": 3, **options}
    return fairness.pareto_frontier(estimator, X, y, sensitive_features=GROUPS, **options)


def test_more_repair_is_fairer_and_costs():
    table = frontier((Centre(), LogisticRegression()))
    assert list(table.columns) == [
        "amount",
        "split",
        "utility",
        "ks",
        "leakage",
        "demographic_parity_difference",
    ]
    assert len(table) == 9 and table.attrs == {"utility": "AUC", "chance": 0.5}
    medians = table.groupby("amount").median()
    for figure in ("utility", "ks", "leakage", "demographic_parity_difference"):
        assert medians[figure].is_monotonic_decreasing
    assert medians.loc[1, "leakage"] == pytest.approx(0.5, abs=0.1)


def test_a_pipeline_is_fitted_once_a_split_and_gives_the_same():
    FITS.clear()
    pipeline = make_pipeline(StandardScaler(), Centre(), LogisticRegression(C=1e6))
    table = frontier(pipeline)
    assert len(FITS) == 3
    pair = frontier((Centre(), LogisticRegression(C=1e6)))
    np.testing.assert_allclose(table, pair, atol=0.02)


def test_other_estimators_are_fitted_anew_with_the_groups_routed():
    FITS.clear()
    columns = ColumnTransformer([("repair", Centre(), ["u", "v"])])
    table = frontier(make_pipeline(columns, LogisticRegression(C=1e6)))
    assert FITS == [0, 0.5, 1] * 3
    pair = frontier((Centre(), LogisticRegression(C=1e6)))
    np.testing.assert_allclose(table, pair, atol=0.02)


def test_a_search_is_judged_by_its_best_estimator():
    model = make_pipeline(Centre(), LogisticRegression())
    search = GridSearchCV(model, {"logisticregression__C": [0.1, 1]}, cv=2)
    table = frontier(search, amounts=(0, 1), cv=2)
    pair = frontier((Centre(), LogisticRegression()), amounts=(0, 1), cv=2)
    np.testing.assert_allclose(table["leakage"], pair["leakage"], atol=0.02)
    assert table["ks"].iloc[0] > table["ks"].iloc[1] + 0.1


def test_scores_that_cannot_be_taken_apart_are_judged_themselves():
    table = frontier(Scores(LogisticRegression()), amounts=(0, 1), cv=2)
    medians = table.groupby("amount").median()
    assert medians.loc[0, "leakage"] > medians.loc[1, "leakage"] + 0.1


def test_numbers_and_several_classes():
    table = frontier((Centre(), LinearRegression()), X["u"].to_numpy(), amounts=(0,))
    assert table.attrs["utility"] == "R²" and (table["utility"] > 0.99).all()
    assert table["demographic_parity_difference"].isna().all()
    whole = frontier((Centre(), LinearRegression()), Y, amounts=(0,))
    assert whole.attrs["utility"] == "R²"
    classes = np.array(["x", "y", "z"])[Y + (X["v"] > 1)]
    table = frontier((Centre(), LogisticRegression()), classes, amounts=(0, 1))
    assert table.attrs["utility"] == "accuracy" and table["utility"].between(0.4, 1).all()


def test_splitters_and_tables_of_groups():
    splitter = StratifiedShuffleSplit(2, test_size=0.3, random_state=0)
    found = frontier((Centre(), LogisticRegression()), cv=splitter, amounts=[1])
    rows = list(splitter.split(X, GROUPS))
    again = frontier((Centre(), LogisticRegression()), cv=rows, amounts=[1])
    pandas.testing.assert_frame_equal(found, again)


def test_wrong_options():
    pair = (Centre(), LogisticRegression())
    with pytest.raises(ConfigError, match=r"amount must be in \[0, 1\]; got 2"):
        frontier(pair, amounts=(0, 2))
    with pytest.raises(ConfigError, match="it has none"):
        frontier(LogisticRegression())
    with pytest.raises(ConfigError, match="it has centre-1__amount, centre-2__amount"):
        frontier(make_pipeline(Centre(), Centre(), LogisticRegression()))
    with pytest.raises(ConfigError, match="got 3 parts"):
        frontier((*pair, None))
    with pytest.raises(DataError, match=r"must have 400|400 rows"):
        frontier(pair, Y[:400])
