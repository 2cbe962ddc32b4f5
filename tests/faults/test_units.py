"""Units: of conditions, of channels, and of features without variance."""

import numpy as np
import pytest

import multisi
from multisi import Marginal, StandardNormal
from multisi.data import Standardiser
from multisi.errors import ConfigError, DataError, ShapeError

RNG = np.random.default_rng(0)
SMALL = {"width": 8, "depth": 1}


def fit(data, **options):
    return multisi.fit(
        data,
        **{"steps": 2, "progress": False, "batch_size": 16, "network_options": SMALL} | options,
    )


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (1990, 2025), (1.6e9, 1.7e9)])
def test_units_of_a_condition(low, high):
    """What is learned does not depend on the units: 1.6 up or down where it is 80 %."""
    middle, half = (low + high) / 2, (high - low) / 2
    told = RNG.uniform(low, high, (3000, 1))
    y = 2 * (told - middle) / half + 0.1 * RNG.normal(size=(3000, 1))
    model = fit({"z": StandardNormal(), "y": Marginal(y, condition=told)}, steps=300,
                batch_size=256, network_options={"width": 64})  # fmt: skip
    z = RNG.normal(size=(200, 1))
    for side in (-1, 1):
        moved = model.transport(z, "z", "y", condition=[middle + 0.8 * side * half])
        assert abs(moved.mean() - 1.6 * side) < 0.15


def test_units_of_a_condition_that_float32_cannot_hold():
    x = RNG.normal(size=(30, 2))
    with pytest.raises(DataError, match=r"The condition of 'a': The standard deviation .* units"):
        fit({"z": StandardNormal(), "a": Marginal(x, condition=x * [1, 1e40])})


def test_units_of_a_condition_in_the_coupling():
    """A feature of a condition does not count more because its units are smaller."""
    told = RNG.normal(size=(200, 2))
    xs = []
    for scale in (1.0, 1e6):
        a = Marginal(RNG.normal(size=(200, 2)) * 0 + told, condition=told * [1, scale])
        ends = [a, Marginal(told + 1)]
        coupling = multisi.couplings.OptimalTransport(ends, rows=64, condition=1.0)
        xs.append(coupling.sample(64, seed=0, step=0))
    same = (xs[0] == xs[1]).flatten(1).all(1).double().mean()
    assert same > 0.9  # A row that is drawn twice may be matched either way.


@pytest.mark.parametrize(
    ("condition", "got"),
    [
        ([0, 1, 0], r"\(3,\)"),
        ([[0.0], [1.0]], r"\(2, 1\)"),
        (1.0, None),
        ([[1.0, 2.0]], r"\(1, 2\)"),
    ],
)
def test_shape_of_a_condition(condition, got):
    x = RNG.normal(size=(30, 2))
    model = fit({"z": StandardNormal(), "a": Marginal(x, condition=x[:, :1])})
    for rows in (3, 5):
        message = rf"one vector of 1 features, shape \(1,\), or .*\({rows}, 1\); got {got}"
        message = "condition must have an axis of rows" if got is None else message
        with pytest.raises(ShapeError, match=message):
            model.transport(x[:rows], "z", "a", condition=condition)
    assert model.transport(x[:3], "z", "a", condition=[[0], [1], [0]]).shape == (3, 2)


@pytest.mark.parametrize("axis", [1, 3])
def test_channels_of_different_size(axis):
    bands = [RNG.normal(0.2, 0.05, (300, 6, 6)), RNG.normal(1000, 200, (300, 6, 6))]
    a = np.stack(bands, axis)
    b = np.stack([bands[0] + 0.2, bands[1]], axis)
    model = fit({"a": a, "b": b}, steps=200, batch_size=128, network_options={"width": 64})
    moved = np.moveaxis(model.transport(a, "a", "b"), axis, 0)
    assert model.standardiser.scale.numel() == 2
    assert abs(moved[0].mean() - 0.4) < 0.01 and abs(moved[0].std() - 0.05) < 0.02
    assert abs(moved[1].mean() - 1000) < 50 and abs(moved[1].std() - 200) < 80


def test_channels_of_like_size_share_one_unit():
    picture = RNG.uniform(size=(50, 3, 8, 8)) * np.array([1, 0.8, 0.6])[:, None, None]
    grey, series = RNG.normal(size=(50, 28, 28)), RNG.normal(size=(50, 100, 3)) * [1, 10, 1000]
    for x, units, shape in (
        (picture, "auto", ()),
        (picture, "channels", (3, 1, 1)),
        (picture, "features", (3, 8, 8)),
        (grey, "auto", ()),
        (series, "auto", (1, 3)),
        (series, "whole", ()),
        (series[:, 0], "auto", (3,)),
        (series[:, 0], "whole", ()),
    ):
        assert Standardiser.of([Marginal(x)], units).scale.shape == shape
    with pytest.raises(ConfigError, match="channels; got shape \\(28, 28\\)"):
        Standardiser.of([Marginal(grey)], "channels")
    with pytest.raises(ConfigError, match=r"units must be one of auto, features.*; got 'pixels'"):
        Standardiser.of([Marginal(grey)], "pixels")


VALUES = [(0.0, "f4"), (0.1, "f4"), (0.1, "f8"), (-7.3, "f2"), (1e-40, "f8"), (1e30, "f8"),
          (-1e35, "f8"), (1e8 + 0.1, "f8"), (3, "i4"), (2**40, "i8"), (1, "?")]  # fmt: skip


@pytest.mark.parametrize("n", [2, 3, 500])
@pytest.mark.parametrize(("value", "kind"), VALUES)
def test_column_without_variance(value, kind, n):
    x = RNG.normal(size=(n, 3))
    x[:, 1] = value
    x = x.astype(kind)
    model = fit({"z": StandardNormal(), "a": x, "b": x[::-1]})
    for options in ({}, {"noise": 0.5, "seed": 0}, {"via": "z"}, {"interpolant": "trigonometric"}):
        moved = model.transport(x, "a", "b", steps=4, **options)
        assert np.array_equal(moved[:, 1], x[:, 1])
        path = model.transport(x, "a", "b", steps=4, return_path=True, **options)
        assert np.array_equal(path[-1][:, 1], x[:, 1])
    drawn = model.transport(RNG.normal(size=(5, 3)), "z", "b", steps=4)
    assert np.array_equal(drawn[:, 1].astype(kind), np.full(5, value, kind))
    middle = model.transport(x, "a", {"a": 0.25, "b": 0.75}, steps=4)
    assert np.array_equal(middle[:, 1], x[:, 1])


def test_column_without_variance_that_is_off_at_transport():
    """It comes out as it went in, and no other column changes."""
    x = RNG.normal(size=(200, 3)) * [1, 0, 5] + [0, 7, 1]
    model = fit({"z": StandardNormal(), "a": x, "b": x + np.array([1, 0, 2])}, steps=100)
    off = x + np.array([0, 0.25, 0])
    for options in ({}, {"noise": 0.5, "seed": 0}, {"solver": "rk4"}):
        right, moved = (model.transport(rows, "a", "b", **options) for rows in (x, off))
        assert np.array_equal(moved[:, 1], off[:, 1])
        assert np.array_equal(moved[:, [0, 2]], right[:, [0, 2]])


def test_column_without_variance_has_no_density():
    """The density is that of the features that vary."""
    x = RNG.normal(size=(2000, 2)) * [1, 0] + [0, 7]
    narrow = multisi.fit({"z": StandardNormal(), "a": x[:, :1]}, steps=300, progress=False)
    wide = multisi.fit({"z": StandardNormal(), "a": x}, steps=300, progress=False)
    logs = [narrow.log_prob(x[:200, :1], "a"), wide.log_prob(x[:200], "a")]
    truth = -(x[:200, 0] ** 2) / 2 - np.log(2 * np.pi) / 2
    for found in logs:
        assert abs(found - truth).mean() < 0.1


def test_column_without_variance_in_pictures():
    x = RNG.uniform(size=(100, 1, 5, 5))
    x[..., 0], x[..., 4] = 0.0, 0.3
    model = fit({"z": StandardNormal(), "a": x, "b": np.sqrt(x)}, steps=20)
    constant = model.standardiser.constant
    assert constant is not None and (~constant.isnan()).sum() == 5
    moved = model.transport(x, "a", "b", noise=0.5, seed=0)
    assert np.array_equal(moved[..., 0], x[..., 0])


def test_column_without_variance_of_weighted_and_mixed_types():
    x = RNG.normal(size=(50, 2))
    x[:, 1] = np.arange(50) < 40
    part = Marginal(x, weights=np.arange(50) < 40)
    assert fit({"a": part, "b": x[:40] + np.array([1, 0])}).standardiser.constant.tolist()[1] == 1
    assert fit({"a": x, "b": x[:40]}).standardiser.constant is None
    tenth = np.full((20, 1), 0.1)
    short = Marginal(np.hstack([RNG.normal(size=(20, 1)), tenth]).astype("f4"))
    both = fit({"a": short, "b": np.hstack([RNG.normal(size=(20, 1)), tenth])})
    assert both.standardiser.constant is not None
    apart = fit({"a": short, "b": np.hstack([RNG.normal(size=(20, 1)), tenth + 1e-3])})
    assert apart.standardiser.constant is None
