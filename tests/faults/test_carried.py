"""Names, weights and conditions wherever they are used: points, pairs, bounds and couplings."""

import numpy as np
import pandas as pd
import pytest
import torch

import multisi
from multisi import Marginal, StandardNormal
from multisi.analysis import bounds
from multisi.couplings import Rectified
from multisi.data.labels import label_numbers
from multisi.data.prepare import prepare
from multisi.errors import ConfigError, DataError, ShapeError
from multisi.metrics import gaussian_map

RNG = np.random.default_rng(0)
PEOPLE = pd.DataFrame({"age": RNG.normal(45, 5, 200), "income": RNG.normal(60000, 9000, 200)})
OTHERS = pd.DataFrame({"age": RNG.normal(25, 5, 200), "income": RNG.normal(30000, 9000, 200)})
DATA = {"a": PEOPLE, "b": OTHERS}
TURNED = ["income", "age"]
YEARS = pd.DataFrame({"year": RNG.integers(1990, 2026, 200), "warmth": RNG.normal(size=200)})
X = RNG.normal(size=(200, 2))
HALF = np.repeat([1.0, 0.0], 100)
PAIR = {"year": 2000.0, "warmth": 1.0}


def fit(data, **options):
    small = {"network_options": {"width": 16, "depth": 2}, "batch_size": 32}
    return multisi.fit(data, **{"steps": 5, "progress": False} | small | options)


@pytest.fixture(scope="module")
def people():
    data = {"z": StandardNormal()} | DATA
    return [fit(data, seed=seed) for seed in (0, 1)]


@pytest.fixture(scope="module")
def forecasts():
    data = {"z": StandardNormal(), "a": Marginal(X, condition=YEARS), "b": X + 1}
    return [fit(data, seed=seed) for seed in (0, 1)]


def test_names_of_a_condition(forecasts):
    model, options = forecasts[0], {"steps": 4, "seed": 0}
    right = model.transport(X[:5], "b", "a", condition=[2000.0, 1.0], **options)
    for told in (PAIR, dict(reversed(PAIR.items())), pd.Series(PAIR), pd.Series(PAIR)[::-1]):
        moved = model.transport(X[:5], "b", "a", condition=told, **options)
        assert np.array_equal(moved, right)
    two = pd.DataFrame(X[:2])  # A Series that is as long as the table goes with no rows.
    assert len(model.transport(two, "b", "a", condition=pd.Series(PAIR), **options)) == 2
    with pytest.raises(DataError, match=r"Missing: 'year'. Not expected: 'month'"):
        model.transport(X[:5], "b", "a", condition={"month": 3.0, "warmth": 1.0})


def test_names_of_points(people):
    model, weights = people[0], {"z": 0.2, "a": 0.5, "b": 0.3}
    table = pd.DataFrame([weights] * len(PEOPLE))[["b", "z", "a"]]
    right = model.transport(PEOPLE, "a", weights, steps=4)
    pd.testing.assert_frame_equal(model.transport(PEOPLE, "a", table, steps=4), right)
    partly = pd.DataFrame({"b": [0.3] * len(PEOPLE), "a": 0.7})
    means = (model.means(PEOPLE, where) for where in (partly, {"b": 0.3, "a": 0.7}))
    assert np.allclose(*means)
    places = model.transport(PEOPLE, "a", table[["z", "a", "b"]].to_numpy(), steps=4)
    pd.testing.assert_frame_equal(places, right)
    with pytest.raises(ConfigError, match="no marginal is named 'c'"):
        model.transport(PEOPLE, "a", table.rename(columns={"b": "c"}))


def test_rows_of_another_index_of_points_and_numbers(people):
    model, back = people[0], range(len(PEOPLE), 0, -1)
    where = pd.Series(["a", "b"] * 100, index=back)
    with pytest.raises(DataError, match="source must have the index of the samples"):
        model.transport(PEOPLE, where, "b")
    with pytest.raises(DataError, match="rows must have the index of the samples"):
        model.transport(PEOPLE, "a", "b", rows=pd.Series(back, index=back), noise=0.1, seed=0)


def test_rows_of_another_index_in_pairs():
    data = {"a": PEOPLE, "b": OTHERS.iloc[::-1]}
    with pytest.raises(DataError, match=r"Paired tables must have the same index.*b.loc\[a.index"):
        fit(data, coupling="paired")
    fit({"a": PEOPLE, "b": OTHERS}, coupling="paired")


def test_weights_of_pairs():
    one, two = Marginal(X, weights=HALF), Marginal(X + 1, weights=1 - HALF)
    with pytest.raises(DataError, match="weights must be the same in all datasets"):
        fit({"a": one, "b": two}, coupling="paired")
    fit({"a": one, "b": Marginal(X + 1, weights=2 * HALF)}, coupling="paired")


def test_columns_in_another_order_of_a_marginal():
    turned = Marginal(PEOPLE, features=TURNED)
    assert turned.features == ("income", "age")
    assert np.array_equal(turned.samples.numpy(), PEOPLE[TURNED].to_numpy())
    with pytest.raises(DataError, match="Not expected: 'age'"):
        Marginal(PEOPLE, features=["years", "income"])


def test_columns_in_another_order_of_a_map():
    found = gaussian_map(PEOPLE, OTHERS)
    assert torch.equal(found(PEOPLE[TURNED]), found(PEOPLE))
    with pytest.raises(DataError, match="Missing: 'age'"):
        found(PEOPLE.rename(columns={"age": "years"}))


def test_columns_in_another_order_in_rectified_rows():
    model = fit(DATA)

    def drawn(order):
        marginals = prepare({name: table[order] for name, table in DATA.items()})
        rectified = Rectified(list(marginals.values()), model, rows=32, steps=4)
        return rectified.sample(32, seed=0, step=1)

    assert torch.equal(drawn(TURNED).flip(-1), drawn(["age", "income"]))
    renamed = prepare({n: t.rename(columns={"income": "pay"}) for n, t in DATA.items()})
    with pytest.raises(DataError, match="Missing: 'income'"):
        Rectified(list(renamed.values()), model)


def test_condition_of_rectified_rows(forecasts):
    model, table = forecasts[0], YEARS[["warmth", "year"]]
    data = {"z": StandardNormal(), "a": Marginal(X, condition=table), "b": X + 1}
    rectified = Rectified(list(prepare(data).values()), model, rows=32, steps=4)
    for step in (0, 1, 2):
        xs, told = (part(8, seed=0, step=step) for part in (rectified.sample, rectified.condition))
        assert told.shape == (8, 2) and set(told[:, 1].tolist()) <= set(YEARS["year"])
    marginals = list(prepare(data).values())
    whole = Rectified(marginals, model, rows=8, pool=1, steps=4)
    xs, told = whole.sample_at(torch.eye(3)[[0] * 8], seed=0, step=0)
    moved = model.transport(xs[:, 0], "z", "a", condition=told.flip(-1), steps=4)
    assert torch.allclose(moved, xs[:, 1].to(moved), atol=1e-5)
    assert fit(data, coupling="rectified", coupling_options={"model": model, "rows": 32})
    bare = {"z": StandardNormal(), "a": X, "b": X + 1}
    with pytest.raises(ConfigError, match="must have a condition, or neither; got one"):
        Rectified(list(prepare(bare).values()), model)


def test_model_of_other_units_in_a_bound(people):
    model, twin = people
    turned = fit({"z": StandardNormal(), "a": PEOPLE[TURNED], "b": OTHERS[TURNED]})
    with pytest.raises(ConfigError, match="the same features in the same order"):
        bounds(model, turned, DATA, "z", "a", exact=False)
    with pytest.raises(ConfigError, match="the same units and conditions"):
        model.calibrate(fit({"z": StandardNormal(), "a": PEOPLE, "b": 2 * OTHERS}), DATA)
    assert model.calibrate(twin, DATA)
    bounded = [bounds(model, twin, DATA, "z", "a", exact=False, count=50)]
    turned = {name: Marginal(table[TURNED]) for name, table in DATA.items()}
    bounded.append(bounds(model, twin, turned, "z", "a", exact=False, count=50))
    assert bounded[0] == bounded[1]


def test_what_samples_carry_in_a_bound(people, forecasts):
    model, twin = people
    options = {"exact": False, "count": 400, "path": "polyline"}
    far = pd.concat([PEOPLE[:100], PEOPLE[:100] * 3], ignore_index=True)
    right = bounds(model, twin, {"a": PEOPLE[:100]}, "z", "a", **options).velocity
    weighted = {"a": Marginal(far, weights=HALF)}
    found = bounds(model, twin, weighted, "z", "a", **options).velocity
    assert abs(found.value - right.value) < 4 * (found.standard_error + right.standard_error)
    blind = bounds(model, twin, {"a": far}, "z", "a", **options).velocity
    assert blind.value > found.value + 4 * found.standard_error


def test_condition_of_samples_in_a_bound(forecasts):
    model, twin = forecasts
    with pytest.raises(DataError, match=r"takes a condition.*Marginal\(samples, condition"):
        bounds(model, twin, {"a": X, "b": X}, "z", "a", exact=False)
    data = {"a": Marginal(X, condition=YEARS[["warmth", "year"]]), "b": X}
    one = bounds(model, twin, data, "z", "a", exact=False, count=50).velocity
    two = bounds(model, twin, data | {"a": Marginal(X, condition=YEARS)}, "z", "a", exact=False,
                 count=50).velocity  # fmt: skip
    assert one == two and one.value > 0
    model.calibrate(twin, data)
    auto = {"noise": "auto", "steps": 4, "seed": 0, "condition": PAIR}
    assert np.isfinite(model.transport(X, "b", "a", **auto)).all()


def test_condition_without_variance():
    still = YEARS.assign(year=1.7e9)
    model = fit({"a": Marginal(X, condition=still), "b": X + 1}, steps=50)
    right = model.transport(X, "b", "a", condition={"year": 1.7e9, "warmth": 1.0})
    off = model.transport(X, "b", "a", condition={"year": 1.7e9 + 3600, "warmth": 1.0})
    assert np.array_equal(off, right)
    with pytest.raises(ShapeError, match=r"condition must have .* got \(200, 0\)"):
        Marginal(X, condition=np.ones((200, 0)))


@pytest.mark.parametrize(
    "rows",
    [
        {"age": [1.0, 2.0], "income": [3.0, 4.0]},
        [{"age": 1.0, "income": 3.0}],
        list(PEOPLE[TURNED].head().itertuples(index=False)),
        PEOPLE.to_records(index=False),
    ],
)
def test_other_kinds_of_tables_with_names(people, rows):
    with pytest.raises(DataError, match=r"names, which would be lost. Call pandas.DataFrame"):
        people[0].transport(rows, "a", "b")
    table = pd.DataFrame(rows)
    assert people[0].transport(table, "a", "b", steps=4).shape == table.shape


def test_labels_as_text_of_any_characters():
    numbers = label_numbers(["a", "a\0", "\udc80", "a"])
    assert len(set(numbers.tolist())) == 3 and numbers[0] == numbers[3]
    kind = np.dtypes.StringDType() if hasattr(np.dtypes, "StringDType") else "U1"
    texts = np.array(["a", "b"], kind)
    assert torch.equal(label_numbers(texts), label_numbers(["a", "b"]))


def test_rare_types_of_torch(people):
    x = torch.tensor(PEOPLE.to_numpy())
    model = fit({"a": torch._neg_view(-x), "b": OTHERS.to_numpy()})
    assert torch.equal(
        model.transport(torch._neg_view(-x), "a", "b"), model.transport(x, "a", "b")
    )
    with pytest.raises(DataError, match=r"16 bits or more; got torch.float8_e4m3fn"):
        people[0].transport((x / 1e5).to(torch.float8_e4m3fn), "a", "b")


class Listed(torch.utils.data.Dataset):
    """Rows of an array as a dataset, each time with some noise."""

    def __init__(self, rows, noise=0.0):
        self.rows, self.noise = rows, noise

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index] + self.noise * torch.rand(1).item()


def mapped(rows, folder):
    np.save(folder / "rows.npy", rows)
    return np.load(folder / "rows.npy", mmap_mode="r")


@pytest.mark.parametrize("value", [0.0, 7.3, -1e20])
@pytest.mark.parametrize("kind", ["mapped", "listed"])
def test_column_without_variance_of_samples_in_files(value, kind, tmp_path):
    rows = np.column_stack([X[:, 0], np.full(len(X), value)])
    data = mapped(rows, tmp_path) if kind == "mapped" else Listed(rows)
    model = fit({"a": data, "b": rows + np.array([3.0, 0.0])}, steps=50)
    assert (model.transport(rows, "a", "b")[:, 1] == value).all()
    off = rows + np.array([0.0, 1e-6 * (abs(value) + 1)])
    assert np.array_equal(
        model.transport(off, "a", "b")[:, 0], model.transport(rows, "a", "b")[:, 0]
    )


def test_column_without_variance_unlike_rows_that_change():
    rows = np.column_stack([X[:, 0], np.full(len(X), 7.3)])
    model = fit({"a": Listed(rows, noise=1e-3), "b": X})
    assert model.standardiser.constants is None


@pytest.mark.parametrize("transform", [torch.func.vmap, torch.func.grad, torch.func.jacrev])
def test_transforms_of_torch(people, transform):
    x = torch.tensor(PEOPLE.to_numpy()[:3])[:, None]
    with pytest.raises(
        DataError, match=r"such as torch\.func.vmap or grad.* Call multisi outside"
    ):
        transform(lambda rows: people[0].transport(rows, "a", "b").sum())(x)
    with pytest.raises(DataError, match="Call multisi outside"):
        torch.func.vmap(Marginal)(x)


def test_other_kinds_of_tables_unlike_bare_arrays(people):
    class Bare:
        """Nothing but an array: no length, no names."""

        def __array__(self, dtype=None, copy=None):
            return PEOPLE.to_numpy()

    targets = ["b"] * len(PEOPLE)
    for call in (
        lambda x: people[0].transport(x, "a", targets, steps=4),
        lambda x: people[0].log_prob(x, "a", steps=4),
    ):
        assert np.array_equal(call(Bare()), call(PEOPLE.to_numpy()))
