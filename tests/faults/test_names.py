"""Meaning is in names: tables, their columns and indexes, labels and conditions."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

import multisi
from multisi import Marginal, StandardNormal
from multisi.errors import ConfigError, DataError, ShapeError

RNG = np.random.default_rng(0)
PEOPLE = pd.DataFrame(
    {"age": RNG.normal(45, 5, 300), "income": RNG.normal(60000, 9000, 300)},
    index=[f"r{i}" for i in range(300)],
)
GAP = PEOPLE.astype("Float64").replace({"age": PEOPLE.loc["r3", "age"]}, pd.NA)
OTHERS = pd.DataFrame({"income": RNG.normal(30000, 9000, 200), "age": RNG.normal(25, 5, 200)})
SMALL = {"width": 16, "depth": 2}


def fit(data, **options):
    return multisi.fit(
        data,
        **{"steps": 5, "progress": False, "batch_size": 32, "network_options": SMALL} | options,
    )


@pytest.fixture(scope="module")
def model():
    return fit({"z": StandardNormal(), "a": PEOPLE, "b": OTHERS}, steps=300)


def test_columns_in_another_order(model):
    assert model.features == ("age", "income")
    moved = model.transport(PEOPLE, "a", "b")
    assert abs(moved["age"].mean() - 25) < 2 and abs(moved["income"].mean() - 30000) < 4000
    turned = model.transport(PEOPLE[["income", "age"]], "a", "b")
    pd.testing.assert_frame_equal(turned, moved[["income", "age"]])
    plain = model.transport(PEOPLE.to_numpy(), "a", "b")
    assert np.array_equal(plain, moved.to_numpy())
    assert np.array_equal(model.means(PEOPLE[["income", "age"]], "a")[..., ::-1],
                          model.means(PEOPLE, "a"))  # fmt: skip
    logs = model.log_prob(PEOPLE[["income", "age"]].head(), "a", steps=4)
    assert logs.equals(model.log_prob(PEOPLE.head(), "a", steps=4))
    assert logs.index.equals(PEOPLE.index[:5])


def test_columns_in_another_order_after_loading(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    again = multisi.load(tmp_path / "m.safetensors")
    assert again.features == model.features and again.event_shape == (2,)
    turned = again.transport(PEOPLE[["income", "age"]], "a", "b")
    pd.testing.assert_frame_equal(turned[["age", "income"]], model.transport(PEOPLE, "a", "b"))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (PEOPLE.rename(columns={"age": "years"}),
         "'age', 'income'; got 'years', 'income'. Missing: 'age'. Not expected: 'years'"),
        (PEOPLE[["age"]], "Missing: 'income'"),
        (PEOPLE.assign(sex=1), "Not expected: 'sex'"),
        (PEOPLE[["age", "age"]], "different name for each feature; repeated: 'age'"),
        (PEOPLE.assign(age="old"), "column 'age' must hold numbers"),
        (PEOPLE.assign(age=pd.Categorical(["old"] * 300)), "'age' .* category.*get_dummies"),
        (PEOPLE.assign(age=pd.Timestamp("2020-01-01")), "'age' must hold numbers; got datetime"),
        (PEOPLE.assign(age=PEOPLE["age"].where(PEOPLE.index != "r7")),
         "column 'age' must be finite; 1 of 300 rows are missing, the first is row 7"),
        (GAP, "column 'age' must be finite; 1 of 300 rows are missing, the first is row 3"),
    ],
)  # fmt: skip
def test_other_columns(model, table, message):
    with pytest.raises(DataError, match=message):
        model.transport(table, "a", "b")
    with pytest.raises(DataError, match=message):
        fit({"a": PEOPLE, "b": table})


def test_other_columns_between_tables_and_arrays():
    with pytest.raises(DataError, match=r"all marginals must name .*'a' has 'age', 'income'"):
        fit({"a": PEOPLE, "b": OTHERS.to_numpy()})
    named = Marginal(OTHERS.to_numpy(), features=["income", "age"])
    assert fit({"a": PEOPLE, "b": named}).features == ("age", "income")
    mere_places = pd.DataFrame(PEOPLE.to_numpy())
    assert fit({"a": mere_places, "b": OTHERS.to_numpy()}).features == ("0", "1")
    with pytest.raises(ShapeError, match="name the columns of vectors"):
        Marginal(np.zeros((4, 2, 2)), features=["a", "b"])
    with pytest.raises(DataError, match="a name for each of 2 features; got 1: 'a'"):
        Marginal(np.zeros((4, 2)), features=["a"])
    with pytest.raises(ConfigError, match="features must be a list"):
        Marginal(np.zeros((4, 2)), features="ab")


def test_columns_in_another_order_in_metrics():
    turned, plain = PEOPLE[["income", "age"]], PEOPLE.to_numpy()
    for name in ("energy_distance", "wasserstein", "sliced_wasserstein"):
        metric = getattr(multisi.metrics, name)
        assert metric(OTHERS, turned) == metric(OTHERS, PEOPLE) == metric(OTHERS, plain[:, ::-1])
    assert np.allclose(
        multisi.metrics.gaussian_map(PEOPLE, OTHERS)(plain),
        multisi.metrics.gaussian_map(plain, OTHERS[["age", "income"]].to_numpy())(plain),
    )
    with pytest.raises(DataError, match="y must have the features 'income', 'age'"):
        multisi.metrics.energy_distance(OTHERS, PEOPLE[["age"]])


def test_table_comes_out_as_it_went_in(model):
    table = PEOPLE.astype({"age": "float32", "income": "Float64"})
    table.attrs["source"] = "census"
    moved = model.transport(table, "a", "b")
    assert moved.index.equals(table.index) and moved.columns.equals(table.columns)
    assert moved.dtypes.equals(table.dtypes) and moved.attrs == table.attrs
    same = model.transport(table, "a", "a")
    pd.testing.assert_frame_equal(same, table)
    path = model.transport(table, "a", "b", steps=3, return_path=True)
    assert path.shape == (4, 300, 2)
    assert set(model.couple(table.head(), "a")) == {"z", "a", "b"}
    whole = pd.DataFrame({"age": range(300), "income": [True, False] * 150})
    assert (model.transport(whole, "a", "b").dtypes == "float64").all()
    nullable = whole.astype({"age": "Int64", "income": "boolean"})
    pd.testing.assert_frame_equal(
        model.transport(nullable, "a", "b").astype("float64"), model.transport(whole, "a", "b")
    )
    assert model.transport(PEOPLE.head(0), "a", "b").shape == (0, 2)


def test_series_and_indexes_are_arrays_with_names(model):
    column = pd.Series(RNG.normal(size=50), index=range(50, 100), name="height")
    one = fit({"a": column, "b": column + 1})
    moved = one.transport(column, "a", "b")
    assert moved.name == "height" and moved.index.equals(column.index)
    few, ends = PEOPLE.head(4), ["b", "a", "b", "z"]
    expected = model.transport(few, "a", ends)
    for names in (pd.Series(ends, index=few.index), pd.Categorical(ends), pd.Index(ends)):
        assert model.transport(few, "a", names).equals(expected)
    mixture = pd.Series({"b": 0.25, "a": 0.75})
    assert model.transport(few, "a", mixture).equals(
        model.transport(few, "a", {"a": 0.75, "b": 0.25})
    )
    assert multisi.Model(model.conditional_means, pd.Index(["u", "v", "w"])).marginals[2] == "w"


def test_labels_as_text():
    kinds = np.array(["cat", "dog", "owl"])
    of_a, of_b = RNG.integers(3, size=300), RNG.integers(3, size=200)
    x = np.stack([of_a, RNG.normal(size=300)], 1)
    y = np.stack([10.0 + of_b, RNG.normal(size=200)], 1)
    for form in (list, pd.Series, pd.Categorical, np.array, pd.Index):
        a, b = Marginal(x, labels=form(kinds[of_a])), Marginal(y, labels=form(kinds[of_b]))
        coupling = multisi.couplings.ClassAware([a, b])
        xs = coupling.sample(200, seed=0, step=0)
        assert (xs[:, 0, 0] + 10 == xs[:, 1, 0]).double().mean() > 0.85
    numbers = pd.array([1, 2, 1], dtype="Int64")
    assert Marginal(np.zeros((3, 1)), labels=numbers).labels.tolist() == [1, 2, 1]
    for bad in (["a", None, "b"], ["a", 1, "b"], pd.array([1, None, 2], dtype="Int64")):
        with pytest.raises(DataError, match="labels must be"):
            Marginal(np.zeros((3, 1)), labels=bad)


def test_rows_of_another_index():
    weights = pd.Series(np.arange(1.0, 301), index=PEOPLE.index)
    assert Marginal(PEOPLE, weights=weights).shares[-1] > Marginal(PEOPLE).shares[-1]
    with pytest.raises(DataError, match=r"weights must have the index .* weights.loc\[samples"):
        Marginal(PEOPLE, weights=weights[::-1])
    told = fit({"z": StandardNormal(), "a": Marginal(PEOPLE, condition=PEOPLE[["age"]])})
    with pytest.raises(DataError, match="condition must have the index"):
        told.transport(PEOPLE, "a", "a", condition=PEOPLE[["age"]][::-1])


def test_columns_of_a_condition_in_another_order(tmp_path):
    told = pd.DataFrame({"year": RNG.uniform(1990, 2025, 300), "size": RNG.normal(size=300)})
    model = fit({"z": StandardNormal(), "a": Marginal(PEOPLE.to_numpy(), condition=told)})
    model.save(tmp_path / "m.safetensors")
    for each in (model, multisi.load(tmp_path / "m.safetensors")):
        x = RNG.normal(size=(300, 2))
        moved = each.transport(x, "z", "a", condition=told)
        assert np.array_equal(each.transport(x, "z", "a", condition=told[["size", "year"]]), moved)
        assert np.array_equal(each.transport(x, "z", "a", condition=told.to_numpy()), moved)
        with pytest.raises(DataError, match="condition must have the features 'year', 'size'"):
            each.transport(x, "z", "a", condition=told.rename(columns={"size": "length"}))


class Table:
    """A table of another library, as far as it is looked at."""

    column_names = ("a", "b")

    def __array__(self, dtype=None, copy=None):
        return np.zeros((4, 2))


class Sparse:
    """A sparse matrix, as far as it is looked at."""

    shape, nnz = (10**6, 10**5), 3

    def toarray(self):
        raise MemoryError


def test_other_kinds_of_tables():
    for x, message in (
        (
            scipy.sparse.csr_matrix(np.eye(4)),
            r"sparse csr_matrix of shape \(4, 4\). Call .toarray",
        ),
        (scipy.sparse.coo_array(np.eye(4)), "Call .toarray"),
        (Sparse(), r"needs 8e\+02 GB"),
        (Table(), "whose names would be lost. Call .to_pandas"),
        (torch.eye(4).to_sparse(), "plain, dense array"),
    ):
        with pytest.raises(DataError, match=message):
            Marginal(x)
