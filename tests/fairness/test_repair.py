"""The repair of tables: closed forms, invariants, kinds of columns, frames, bad input."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars
import pytest
import sklearn
from scipy.stats import ks_2samp, kstest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from multisi.errors import CheckpointError, ConfigError, DataError, DataWarning, SimplexError
from multisi.fairness import BarycentricRepair, FairPredictor, load
from multisi.fairness.columns import Scored, column_of
from multisi.fairness.detection import detect
from multisi.fairness.maps import Affine, shrunk
from multisi.fairness.refined import Refined

RNG = np.random.default_rng(0)
N = 300
S = np.repeat(["a", "b", "c"], N // 3)
G = np.repeat([0, 1, 2], N // 3)


def table(seed=0):
    source = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": source.integers(18, 60, N) + 3 * G,
            "member": (source.random(N) < 0.3 + 0.2 * G).astype(int),
            "grade": np.round(source.normal(3, 0.4, N) + 0.1 * G, 1),
            "size": source.normal(size=N) * (1 + G),
            "spent": np.where(source.random(N) < 0.7, 0, source.gamma(2, 1, N) * (1 + G)),
            "income": np.exp(3 * source.normal(size=N)) + G,
            "city": pd.Categorical(source.choice(["x", "y", "z"], N)),
            "country": 1.0,
        },
        index=[f"person {i}" for i in range(N)],
    )


def made(field="affine", X=None, s=S, **options):
    X = table() if X is None else X
    return BarycentricRepair(field=field, random_state=0, **options).fit(X, sensitive_features=s)


@parametrize_with_checks([BarycentricRepair()])
def test_scikit_learn_s_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.mark.parametrize("field", ["affine", "quantile", "copula", "flow"])
def test_the_very_table_comes_back(field):
    X = table()
    repair = made(field, max_iter=30, solver="rk4", n_steps=24)
    Z = repair.transform(X, sensitive_features=S)
    back = repair.inverse_transform(Z, sensitive_features=S)
    assert list(back.columns) == list(X.columns) and back.index.equals(X.index)
    for name in ("age", "member", "grade", "city", "country"):
        assert (back[name].to_numpy() == X[name].to_numpy()).all(), name
        assert back[name].dtype == X[name].dtype
    for name in ("size", "spent", "income"):
        assert np.abs(back[name] - X[name]).max() < 1e-4 * X[name].std()


def test_a_map_between_gaussians_is_the_closed_form():
    parts = [RNG.normal(size=(n, 3)) @ RNG.normal(size=(3, 3)) for n in (600, 900)]
    X, s = np.concatenate(parts), np.repeat([0, 1], [600, 900])
    Z = made("affine", X, s, target="uniform").transform(X, sensitive_features=s)
    a, b = (np.cov(Z[s == k].T) for k in (0, 1))
    np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(Z[s == 0].mean(0), (parts[0].mean(0) + parts[1].mean(0)) / 2)


def test_one_column_is_moved_to_the_quantile_barycentre():
    a, b = RNG.normal(size=500), RNG.gamma(2, 1, 500)
    X, s = np.concatenate([a, b])[:, None], np.repeat([0, 1], 500)
    Z = made("quantile", X, s).transform(X, sensitive_features=s)[:, 0]
    truth = (np.sort(a) + np.sort(b)) / 2
    np.testing.assert_allclose(np.sort(Z[:500]), truth, atol=1e-7)
    np.testing.assert_allclose(np.sort(Z[500:]), truth, atol=1e-7)


@pytest.mark.parametrize("field", ["affine", "quantile", "flow"])
def test_amounts(field):
    X = table()
    repair = made(field, max_iter=20)
    still = repair.transform(X, sensitive_features=S, amount=0)
    for name in X.columns.drop("city"):
        assert (still[name].to_numpy() == X[name].to_numpy()).all()
    half = repair.transform(X, sensitive_features=S, amount=0.5)
    back = repair.inverse_transform(half, sensitive_features=S, amount=0.5)
    assert (back["age"] == X["age"]).all() and (back["city"] == X["city"]).all()


def test_a_row_is_repaired_in_the_same_way_in_any_batch():
    X = table()
    repair = made("quantile")
    whole = repair.transform(X, sensitive_features=S)
    order = RNG.permutation(N)[:50]
    part = repair.transform(X.iloc[order], sensitive_features=S[order])
    pd.testing.assert_frame_equal(part, whole.iloc[order])
    A = X[["age", "grade"]].to_numpy(float)
    named = made("quantile", A)
    whole = named.transform(A, sensitive_features=S, row_ids=np.arange(N))
    part = named.transform(A[order], sensitive_features=S[order], row_ids=order)
    np.testing.assert_array_equal(part, whole[order])


def test_equal_rows_get_noise_of_their_own():
    X = pd.DataFrame({"n": np.repeat([0, 1, 2], N // 3), "m": np.tile([0, 1], N // 2)})
    groups = np.tile(["a", "a", "b", "b"], N // 4)
    Z = made("affine", X, groups).transform(X, sensitive_features=groups)
    assert Z["n"].nunique() == N


def test_targets():
    X = table()[["size", "income"]]
    repair = made("affine", X)
    to_b = repair.transform(X, sensitive_features=S, target="b")
    assert np.allclose(to_b[S == "b"], X[S == "b"])
    for target in ("uniform", {"a": 0.5, "c": 0.5}, [0.2, 0.3, 0.5], "prior"):
        Z = repair.transform(X, sensitive_features=S, target=target)
        assert np.isfinite(Z).all(axis=None)
    with pytest.raises(ConfigError, match="target must be 'prior'"):
        repair.transform(X, sensitive_features=S, target="d")
    with pytest.raises(SimplexError, match="with the sum 1"):
        repair.transform(X, sensitive_features=S, target=[0.5, 0.2, 0.2])
    with pytest.raises(DataError, match="no group 'd'"):
        repair.transform(X, sensitive_features=S, target={"d": 1})


def test_counterfactuals_agree_when_composed():
    X = table()
    repair = made("affine")
    direct = repair.counterfactual(X, from_=S, to="c")
    assert (direct[S == "c"] == X[S == "c"]).all(axis=None)
    assert set(direct["city"]) <= {"x", "y", "z"} and (direct["age"] % 1 == 0).all()
    each = repair.counterfactual(X, from_=S)
    assert list(each) == ["a", "b", "c"]
    pd.testing.assert_frame_equal(each["c"], direct)
    way = repair.path(X, from_=S, to="a", n_points=5)
    assert len(way) == 5 and way[0].equals(X)
    Y = X[["size", "income"]]
    plain = made("affine", Y)
    two = plain.counterfactual(Y[S == "a"], from_="a", to="b")
    three = plain.counterfactual(two, from_="b", to="c")
    np.testing.assert_allclose(three, plain.counterfactual(Y[S == "a"], from_="a", to="c"))


def test_restored_values_are_on_the_lattice():
    X = table()
    repair = made("quantile", restore=True)
    Z = repair.transform(X, sensitive_features=S)
    assert list(Z.columns) == list(X.columns) and Z["age"].dtype == X["age"].dtype
    assert set(Z["member"]) <= {0, 1} and (np.round(Z["grade"], 1) == Z["grade"]).all()
    with pytest.raises(ConfigError, match="cannot be inverted exactly"):
        repair.inverse_transform(Z, sensitive_features=S)


def test_polars_and_set_output():
    X = table().drop(columns="city").reset_index(drop=True)
    frame = polars.from_pandas(X)
    repair = made("affine", frame)
    Z = repair.transform(frame, sensitive_features=S)
    assert isinstance(Z, polars.DataFrame)
    back = repair.inverse_transform(Z, sensitive_features=S)
    assert back["age"].to_list() == X["age"].tolist() and back.schema == frame.schema
    array = made("affine", X.to_numpy(float)).set_output(transform="pandas")
    out = array.transform(X.to_numpy(float), sensitive_features=S)
    assert isinstance(out, pd.DataFrame) and out.shape == X.shape


def test_several_columns_and_ordered_groups():
    X = table()[["size"]]
    both = pd.DataFrame({"sex": np.tile(["f", "m"], N // 2), "band": S})
    with pytest.warns(DataWarning, match="fewer than 50 rows"):
        repair = made("affine", X.iloc[:60], both.iloc[:60])
    assert list(repair.groups_) == ["f & a", "m & a"]
    bands = pd.Series(pd.Categorical(S, categories=["c", "a", "b"], ordered=True))
    assert list(made("affine", X, bands).groups_) == ["c", "a", "b"]


def test_a_copula_gives_groups_of_one_gaussian_copula_one_law():
    z = np.random.default_rng(2).normal(size=(3000, 2))
    X = np.exp(np.column_stack([z[:, 0], 0.8 * z[:, 0] + 0.6 * z[:, 1]]))
    s = np.arange(3000) % 2
    X[s == 1] = np.log(X[s == 1, ::-1]) ** 3 * [1, -1]
    Z = made("copula", X, s, target="uniform").transform(X, sensitive_features=s)
    ranks = np.stack([pd.DataFrame(Z[s == k]).rank().to_numpy() for k in (0, 1)])
    dependence = [np.corrcoef(r.T)[0, 1] for r in ranks]
    assert abs(dependence[0] - dependence[1]) < 0.05
    for column in Z.T:
        assert ks_2samp(column[s == 0], column[s == 1]).statistic < 0.03


def test_scores_are_inverted_and_normal():
    source = np.random.default_rng(0)
    tables = {
        "counts": source.poisson(2.0, 4000).astype(float),
        "two": (source.random(4000) < 0.3).astype(float),
        "zeros": np.where(source.random(4000) < 0.6, 0, source.gamma(2, 1, 4000)),
    }
    for name, values in tables.items():
        column = detect(values)
        assert isinstance(column, Scored), name
        z = column.spread(values, source.random((4000, 1)))
        assert kstest(z[:, 0] / column.scale, "norm").statistic < 0.03, name
        assert (column.restore(z) == values).all() or name == "zeros"
        np.testing.assert_allclose(column.restore(z), values, atol=1e-9)
        far = np.linspace(-3 * np.ptp(z), 3 * np.ptp(z), 101)[:, None]
        np.testing.assert_allclose(column.bend(column.unbend(far)), far, atol=1e-6)
        assert column_of(column.to_dict()) == column
    assert not isinstance(detect(source.normal(size=4000)), Scored)


def test_a_column_that_hardly_varies_in_one_group_is_not_stretched():
    source = np.random.default_rng(0)
    X = source.normal(size=(300, 2))
    s = np.repeat([0, 1], 150)
    X[s == 1, 0] = 1 + 1e-7 * X[s == 1, 0]
    new = source.normal(size=(50, 2))
    for field in ("quantile", "copula"):
        repair = made(field, X, s)
        Z = repair.transform(new, sensitive_features=np.ones(50))
        assert np.abs(Z).max() < 20, field
        back = repair.inverse_transform(Z, sensitive_features=np.ones(50))
        np.testing.assert_allclose(back, new, atol=1e-6)


def test_a_lone_row_goes_to_the_middle():
    source = np.random.default_rng(0)
    X = source.normal(size=(101, 2))
    s = np.repeat([0, 1], [100, 1])
    with pytest.warns(DataWarning):
        repair = made("quantile", X, s, target=0)
    with (
        pytest.warns(DataWarning),
        pytest.raises(DataError, match=r"2 rows of each group .*; 1 has one"),
    ):
        made("flow", X, s)
    lone = repair.transform(X[100:], sensitive_features=[1])[0]
    np.testing.assert_allclose(lone, np.median(X[:100], 0), atol=0.1)


def test_more_columns_than_rows_are_moved_as_by_whole_covariances():
    source = np.random.default_rng(0)
    rows = [source.normal(size=(n, 60)) * (1 + k) + k for k, n in enumerate((15, 20, 18))]
    few = Affine.of(rows)
    whole = Affine(few.means, np.stack([shrunk(x)[0] for x in rows]))
    x, ends = source.normal(size=(7, 60)), ([1.0, 0, 0], [0.5, 0.2, 0.3])
    source, target = map(np.array, ends)
    np.testing.assert_allclose(few.move(x, source, target), whole.move(x, source, target))
    np.testing.assert_allclose(few.sizes(target), whole.sizes(target))
    again = few.move(few.move(x, source, target), target, source)
    np.testing.assert_allclose(again, x, atol=1e-10)


def test_a_mended_map_ends_at_one_law_and_composes():
    source = np.random.default_rng(4)
    rows = [source.normal(size=(500, 2)) @ np.diag([1, k + 1.0]) + k for k in range(3)]
    weights = np.array([0.5, 0.3, 0.2])
    first = Affine.of([rows[0], rows[0] * 2 + 1, rows[0] - 3])  # Not the map of these rows.
    mended = Refined.of(first, rows, weights)
    moved = [mended.move(x, e, weights) for x, e in zip(rows, np.eye(3), strict=True)]
    for x in moved[1:]:
        np.testing.assert_allclose(np.sort(x, 0)[5:-5], np.sort(moved[0], 0)[5:-5], atol=1e-4)
    for e, x, there in zip(np.eye(3), rows, moved, strict=True):
        np.testing.assert_allclose(mended.move(there, weights, e), x, atol=1e-8)
        half = (e + weights) / 2
        np.testing.assert_allclose(mended.move(mended.move(x, e, half), half, e), x, atol=1e-8)


def test_the_choice_is_told():
    rows = np.concatenate([RNG.normal(size=(200, 2)), RNG.normal(size=(200, 2)) * 3 + 5])
    s = np.repeat([0, 1], 200)
    repair = made("auto", rows, s)
    assert repair.field_ == "affine" and "cross-fitted leakage" in repair.reason_


def test_few_rows_and_many_columns():
    for n, d in ((12, 40), (40, 3), (20, 200)):
        X = RNG.normal(size=(n, d)) + 3 * (np.arange(n) % 2)[:, None]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            repair = made("auto", X, np.arange(n) % 2)
        Z = repair.transform(X, sensitive_features=np.arange(n) % 2)
        back = repair.inverse_transform(Z, sensitive_features=np.arange(n) % 2)
        np.testing.assert_allclose(back, X, atol=1e-6)
        assert abs(Z[::2].mean() - Z[1::2].mean()) < 1


def test_a_column_that_is_constant_in_one_group():
    X = RNG.normal(size=(N, 2))
    X[S == "b", 0] = 7.0
    for field in ("affine", "quantile", "auto"):
        Z = made(field, X).transform(X, sensitive_features=S)
        assert np.isfinite(Z).all()


def test_pipelines_searches_and_copies():
    X, y = table().drop(columns="city"), (G + RNG.normal(size=N) > 1).astype(int)
    with sklearn.config_context(enable_metadata_routing=True):
        step = (
            BarycentricRepair(field="affine", random_state=0)
            .set_fit_request(sensitive_features=True)
            .set_transform_request(sensitive_features=True)
        )
        columns = ColumnTransformer([("repair", step, ["age", "size"])], remainder="passthrough")
        pipe = Pipeline([("columns", columns), ("predict", LogisticRegression(max_iter=5000))])
        folds = StratifiedKFold(2, shuffle=True, random_state=0)
        search = GridSearchCV(
            pipe, {"columns__repair__amount": [0, 1.0]}, cv=list(folds.split(X, S))
        )
        search.fit(X, y, sensitive_features=S)
        assert search.best_estimator_.predict(X, sensitive_features=S).shape == (N,)
    repair = made("affine")
    again = pickle.loads(pickle.dumps(repair))
    pd.testing.assert_frame_equal(
        again.transform(table(), sensitive_features=S),
        repair.transform(table(), sensitive_features=S),
    )
    assert clone(repair).get_params() == repair.get_params()


@pytest.mark.parametrize("field", ["affine", "quantile", "copula", "flow"])
def test_a_file_holds_a_repair(field, tmp_path):
    repair = made(field, max_iter=20)
    repair.save(tmp_path / "repair.safetensors")
    again = load(tmp_path / "repair.safetensors")
    pd.testing.assert_frame_equal(
        again.transform(table(), sensitive_features=S),
        repair.transform(table(), sensitive_features=S),
    )
    with pytest.raises(CheckpointError, match=r"cannot be read"):
        load(tmp_path / "other.safetensors")


def test_bad_input():
    X = table()
    with pytest.raises(DataError, match=r"column 'group'|it has 1"):
        made("affine", X, np.where(np.arange(N) == 7, None, S))
    broken = X.copy()
    broken.loc["person 5", "size"] = np.nan
    with pytest.raises(DataError, match="Column 'size' in row 5 of group 'a'"):
        made("affine", broken)
    repair = made("affine")
    with pytest.raises(DataError, match="group 'd' of row 2"):
        repair.transform(X, sensitive_features=np.where(np.arange(N) == 2, "d", S))
    with pytest.raises(DataError, match="sensitive_features is missing"):
        repair.transform(X)
    with pytest.raises(ValueError, match="feature names"):
        repair.transform(X[X.columns[::-1]], sensitive_features=S)
    with pytest.raises(ValueError, match="feature names"):
        repair.transform(X.drop(columns="age"), sensitive_features=S)
    with pytest.raises(ConfigError, match="amount must be a number from 0"):
        repair.transform(X, sensitive_features=S, amount=1.5)
    with pytest.raises(DataError, match="Column 'city' must have numbers; got"):
        made("affine", X.astype({"city": object}))
    with pytest.raises(DataError, match="Column 'city' has 'w'"):
        repair.transform(X.assign(city=["w"] * N), sensitive_features=S)
    with pytest.raises(ConfigError, match="field must be one of"):
        made("spline")
    with pytest.raises(DataError, match="one value for each of the 300 rows"):
        made("affine", X, S[:-1])
    with pytest.warns(DataWarning, match="without sensitive_features"):
        BarycentricRepair().fit(X).transform(X, sensitive_features=S)


def test_more_bad_input():
    X = table()[["age", "size"]]
    with pytest.raises(DataError, match="a value beyond 1e100: Column 'size'"):
        made("affine", X.assign(size=X["size"] * 1e300))
    with pytest.raises(DataError, match="Column 'day' must have numbers; got times"):
        made("affine", X.assign(day=pd.Timestamp("2020-01-01")))
    with pytest.raises(DataError, match="must have different names"):
        made("affine", pd.concat([X, X], axis=1))
    with pytest.raises(ConfigError, match="must be numbers; got 'x'"):
        made("affine", X, target={"a": "x"})
    with pytest.raises(ConfigError, match="must be numbers"):
        made("affine", X, target=["a", "b", "c"])
    with pytest.raises(ConfigError, match="n_points must be an integer of at least 2"):
        made("affine", X).path(X, from_=S, to="a", n_points=1)
    with pytest.raises(DataError, match=r"NaN: Column 'age' in row 3"):
        made("affine", X.astype({"age": "Int64"}).mask(np.arange(N)[:, None] == [3, -1]))
    with pytest.warns(DataWarning, match="Column 'group': each group has a value of its own"):
        made("affine", X.assign(group=G))


def test_unseen_groups_may_stay_as_they_are():
    X = table()[["age", "size"]]
    repair = made("affine", X, unseen="identity")
    groups = np.where(np.arange(N) < 5, "d", S)
    Z = repair.transform(X, sensitive_features=groups)
    assert (Z.iloc[:5].to_numpy() == X.iloc[:5].to_numpy()).all()
    assert (repair.inverse_transform(Z, sensitive_features=groups)["age"] == X["age"]).all()


@pytest.mark.parametrize("classes", [2, 3])
def test_predictions_are_repaired(classes):
    X = RNG.normal(size=(N, 2)) + G[:, None]
    y = np.digitize(X[:, 0] + RNG.normal(size=N), [1.0, 2.0][: classes - 1])
    fair = FairPredictor(LogisticRegression(), BarycentricRepair(field="affine"))
    fair.fit(X, y, sensitive_features=S)
    shares = fair.predict_proba(X, sensitive_features=S)
    np.testing.assert_allclose(shares.sum(1), 1)
    before = LogisticRegression().fit(X, y).predict(X)
    after = fair.predict(X, sensitive_features=S)
    gap = [abs((p[G == 0] == 0).mean() - (p[G == 2] == 0).mean()) for p in (before, after)]
    assert gap[1] < 0.5 * gap[0]
    with pytest.raises(DataError, match="sensitive_features is missing"):
        fair.predict(X)
