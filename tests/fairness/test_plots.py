import sys

import matplotlib
import numpy as np
import pandas
import pytest

from multisi import fairness
from multisi.errors import ConfigError, DataError

matplotlib.use("agg")
RANDOM = np.random.default_rng(5)
GROUPS = np.repeat(["Asian", "Black", "Hispanic", "White"], [60, 80, 90, 300])
X = pandas.DataFrame({"LSAT $": RANDOM.normal(size=530), "count": RANDOM.poisson(3, size=530)})
X.loc[GROUPS == "Black", "LSAT $"] -= 1.2
X.loc[GROUPS == "Hispanic", "LSAT $"] = X.loc[GROUPS == "Hispanic", "LSAT $"] * 1.5 - 0.6
Z = X.assign(**{"LSAT $": X["LSAT $"].groupby(GROUPS).rank(pct=True)})
AMOUNTS = np.tile([0, 0.25, 0.5, 0.75, 1], 5)
TABLE = pandas.DataFrame({"amount": AMOUNTS, "split": np.repeat(range(5), 5)})
TABLE["utility"] = 0.73 - 0.02 * AMOUNTS**2 + 0.002 * RANDOM.normal(size=25)
TABLE["ks"] = 0.3 - 0.22 * AMOUNTS + 0.01 * RANDOM.normal(size=25)
TABLE["leakage"] = 0.43 - 0.1 * AMOUNTS + 0.01 * RANDOM.normal(size=25)
TABLE.attrs = {"utility": "AUC", "chance": 1 / 3}
ALPHAS = np.array([[i, j, 6 - i - j] for i in range(7) for j in range(7 - i)]) / 6
PATH = np.stack([X + t * (Z - X) ** 2 for t in np.linspace(0, 1, 5)])
OTHERS = {"quantile": (0.12, 0.712), "Gaussian": TABLE.assign(ks=0.2)[TABLE["amount"] == 1]}

ONE = {
    "pareto": lambda **o: fairness.plot_pareto(TABLE, OTHERS, **o),
    "leakage": lambda **o: fairness.plot_leakage(TABLE, **o),
    "ternary": lambda **o: fairness.plot_ternary(
        ALPHAS, (ALPHAS**2).sum(1), names=("a", "$b", "c"), label="KS distance", **o
    ),
    "path": lambda **o: fairness.plot_counterfactuals(PATH, **o),
    "pairs": lambda **o: fairness.plot_counterfactuals(
        (X, Z), columns=("count", "LSAT $"), names=("Black", "White"), **o
    ),
}
TWO = {
    "distances": lambda **o: fairness.plot_distances(X, Z, sensitive_features=GROUPS, **o),
    "energies": lambda **o: fairness.plot_distances(
        X, Z, sensitive_features=GROUPS, metric=fairness.energy_distance, **o
    ),
    "densities": lambda **o: fairness.plot_densities(
        X, Z, sensitive_features=GROUPS, column="LSAT $", **o
    ),
    "counts": lambda **o: fairness.plot_densities(X, Z, sensitive_features=GROUPS, column=-1, **o),
}


@pytest.fixture(autouse=True)
def closed():
    yield
    sys.modules.get("matplotlib.pyplot") and sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.parametrize("plot", [*ONE, *TWO])
def test_a_picture_is_drawn(plot, tmp_path):
    ax = {**ONE, **TWO}[plot]()
    figure = np.ravel(ax)[0].figure
    assert np.ravel(ax).shape == ((2,) if plot in TWO else (1,))
    figure.savefig(tmp_path / f"{plot}.png", dpi=110)


@pytest.mark.parametrize("plot", [*ONE, *TWO])
def test_given_axes_are_used_and_nothing_else(plot, monkeypatch):
    from matplotlib.figure import Figure

    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    before = dict(matplotlib.rcParams)
    axes = Figure(layout="constrained").subplots(1, 2)
    given = axes if plot in TWO else axes[1]
    found = {**ONE, **TWO}[plot](ax=given)
    assert np.array_equal(np.ravel(found), np.ravel(given))
    axes[0].figure.savefig(__import__("io").BytesIO())
    assert dict(matplotlib.rcParams) == before


def test_what_is_shown():
    ax = fairness.plot_leakage(TABLE)
    np.testing.assert_allclose(
        ax.lines[0].get_ydata(), TABLE.groupby("amount")["leakage"].median()
    )
    assert set(ax.lines[1].get_ydata()) == {1 / 3}
    ax = fairness.plot_pareto(TABLE, OTHERS)
    assert [text.get_text() for text in ax.get_legend().get_texts()][1:] == list(OTHERS)
    assert ax.get_ylabel() == "AUC"
    before, after = fairness.plot_distances(X, Z, sensitive_features=GROUPS)
    part = np.isin(GROUPS, ["Asian", "White"])
    expected = fairness.ks_distance(X[part], sensitive_features=GROUPS[part])
    assert before.images[0].get_array()[0, 3] == expected
    assert before.images[0].get_clim() == after.images[0].get_clim()
    curves = fairness.plot_densities(X, Z, sensitive_features=GROUPS)[0].lines
    x, y = curves[3].get_data()
    assert np.sum(y) * (x[1] - x[0]) == pytest.approx(1, abs=0.05)


def test_extreme_columns():
    flat = pandas.DataFrame({"x": np.where(GROUPS == "Asian", 1.0, RANDOM.normal(size=530))})
    flat["constant"] = 0.0
    for column in ("x", "constant"):
        fairness.plot_densities(flat, flat, sensitive_features=GROUPS, column=column)
    fairness.plot_distances(flat[["constant"]], flat[["constant"]], sensitive_features=GROUPS)
    fairness.plot_counterfactuals((X, X), columns=("count", "count"))
    fairness.plot_ternary(np.eye(3), [1, 1, 1])
    fairness.plot_leakage(TABLE[TABLE["amount"] == 1], 0.25)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fairness.plot_pareto(TABLE, unfairness="w1"), "no column 'w1'"),
        (lambda: fairness.plot_leakage(TABLE.drop(columns="leakage")), "no column 'leakage'"),
        (lambda: fairness.plot_ternary([[1, 1, 0]] * 3, [1, 2, 3]), "on the simplex"),
        (lambda: fairness.plot_ternary(ALPHAS, [1, 2]), "three weights and one value"),
        (lambda: fairness.plot_ternary(ALPHAS[:3], [1, 2, 3]), "not on one line"),
        (lambda: fairness.plot_counterfactuals([X]), "two states or more; got 1"),
        (lambda: fairness.plot_counterfactuals((X, Z[:9])), "columns must be two of"),
        (
            lambda: fairness.plot_counterfactuals((X.to_numpy(), Z[:9].to_numpy())),
            "must have the same rows",
        ),
        (
            lambda: fairness.plot_densities(X, Z, sensitive_features=GROUPS, column="age"),
            "no column 'age'; it has LSAT",
        ),
    ],
)
def test_wrong_tables(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_wrong_axes():
    with pytest.raises(ConfigError, match="ax must be 2 Axes"):
        fairness.plot_distances(X, Z, sensitive_features=GROUPS, ax=3)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"Plots need matplotlib.*multisi\[plots\]"):
        fairness.plot_leakage(TABLE)
