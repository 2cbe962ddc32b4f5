import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from multisi import metrics
from multisi.common import seeds
from multisi.errors import ConfigError, DataError, ShapeError


def normal(seed, n, d=3):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(("n", "m"), [(40, 30), (2100, 1030)], ids=["whole", "in parts"])
def test_energy_distance_against_all_pairs(n, m, biased):
    x, y = normal(0, n).numpy(), normal(1, m).numpy() + 1
    one = 0 if biased else 1  # The pairs of a row with itself count, or do not.
    within = [cdist(a, a).sum() / (len(a) * (len(a) - one)) for a in (x, y)]
    expected = 2 * cdist(x, y).mean() - sum(within)
    assert metrics.energy_distance(x, y, biased=biased) == pytest.approx(expected)


@pytest.mark.parametrize("far", [0.0, 1e3, 1e9])
def test_distances_of_long_rows(far):
    """Clusters far from each other and from zero, equal rows among them."""
    x, y = normal(0, 20, 300), normal(1, 30, 300)
    x[:8], y[3:9], y[:3] = x[:8] + far, y[3:9] + far, x[10:13]
    for a, b in ((x, y), (x, x), (x + 7e3, y + 7e3)):
        found, expected = metrics._distances(a, b).numpy(), cdist(a.numpy(), b.numpy())
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-15)


@given(shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_energy_distance_moves_and_scales(shift, scale):
    x, y = normal(0, 20), normal(1, 20) + 1
    one = metrics.energy_distance(x, y)
    assert metrics.energy_distance(x * scale + shift, y * scale + shift) == pytest.approx(
        scale * one
    )
    assert metrics.energy_distance(y, x) == pytest.approx(one)
    assert metrics.energy_distance(x, x, biased=True) == pytest.approx(0, abs=1e-12)


def test_energy_distance_is_unbiased():
    values = [
        metrics.energy_distance(normal(2 * i, 20), normal(2 * i + 1, 20)) for i in range(400)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / 20


def test_permutation_test_has_its_level():
    p = [
        metrics.permutation_test(normal(2 * i, 25), normal(2 * i + 1, 25), 39, seed=i).p_value
        for i in range(200)
    ]
    # Under equal laws p is uniform on 1/40 ... 1; 200 draws, bounds at four standard errors.
    assert abs(np.mean(p) - 0.5125) < 4 * 0.289 / 200**0.5
    assert np.mean(np.array(p) <= 0.1) < 0.1 + 4 * (0.09 / 200) ** 0.5
    assert metrics.permutation_test(normal(0, 50), normal(1, 50) + 1, 99).p_value == 0.01


@pytest.mark.parametrize("n", [60, 1100], ids=["whole", "in parts"])
def test_permutation_test_by_hand(n):
    """As large as the statistic are as many as the energy distances of the same splits."""
    x, y = normal(0, n, 1), normal(1, n, 1) + 1 / n**0.5
    found = metrics.permutation_test(x, y, 19, seed=3)
    both, source = torch.cat([x, y]), seeds.generator(3)
    splits = [torch.randperm(2 * n, generator=source) for _ in range(19)]
    each = [metrics.energy_distance(both[s[:n]], both[s[n:]], biased=True) for s in splits]
    as_large = sum(value >= metrics.energy_distance(x, y, biased=True) for value in each)
    assert found.p_value == pytest.approx((1 + as_large) / 20)
    assert found.statistic == pytest.approx(metrics.energy_distance(x, y))


def test_gaussian_map_matches_moments():
    x, y = normal(0, 500) @ normal(5, 3), normal(1, 400) @ normal(6, 3) + 2
    moved = metrics.gaussian_map(x, y)(x)
    assert torch.allclose(moved.mean(0), y.mean(0))
    assert torch.allclose(torch.cov(moved.T), torch.cov(y.T))
    flat = x.clone()
    flat[:, 1] = 3
    assert torch.isfinite(metrics.gaussian_map(flat, y)(flat)).all()
    one = metrics.gaussian_map(x[:, :1], y[:, :1])(x[:, :1])
    assert torch.allclose(one.std(0), y[:, :1].std(0))


def test_images_and_lists():
    assert metrics.energy_distance(torch.zeros(3, 2, 2), torch.ones(3, 2, 2)) == pytest.approx(4)
    with pytest.raises(ShapeError, match="same event shape"):
        metrics.energy_distance(normal(0, 4, 2), normal(0, 4, 3))
    with pytest.raises(DataError, match="At least 2 rows"):
        metrics.energy_distance(normal(0, 1), normal(0, 4))
    with pytest.raises(DataError, match="y must be finite"):
        metrics.energy_distance([[0.0], [1.0]], [[0.0], [float("nan")]])


def test_wasserstein_of_sorted_rows():
    x, y = normal(0, 60, 1), normal(1, 60, 1) * 2 + 1
    expected = (x.sort(0).values - y.sort(0).values).square().mean().sqrt().item()
    assert metrics.wasserstein(x, y) == pytest.approx(expected)
    assert metrics.sliced_wasserstein(x, y) == pytest.approx(expected)


@given(shift=st.floats(-5, 5))
def test_wasserstein_of_a_shift_is_the_shift(shift):
    x = normal(0, 40)
    moved = x[torch.randperm(40)] + shift
    assert metrics.wasserstein(x, moved) == pytest.approx(abs(shift) * 3**0.5, abs=1e-6)
    sliced = metrics.sliced_wasserstein(x, moved, projections=4000)
    assert sliced == pytest.approx(abs(shift), rel=0.05, abs=1e-6)


def test_wasserstein_of_gaussians():
    x, y = normal(0, 1500, 2), normal(1, 1500, 2) * 3 + 1
    assert metrics.wasserstein(x, y) ** 2 == pytest.approx(2 * 4 + 2, rel=0.08)


def test_wasserstein_of_sets_of_two_sizes():
    x, y = normal(0, 30), normal(1, 20)
    assert metrics.wasserstein(x, y) == pytest.approx(metrics.wasserstein(x[:20], y))
    with pytest.raises(ShapeError, match=r"same event shape.*\[3\].*\[2\]"):
        metrics.sliced_wasserstein(x, y[:, :2])


@pytest.mark.parametrize("unit", [1e200, 1e-200, 2.0**-1000])
def test_any_scale(unit):
    source = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 40, 2, generator=source, dtype=torch.float64)
    y = y + 2
    for metric in (
        metrics.energy_distance,
        metrics.wasserstein,
        metrics.sliced_wasserstein,
        lambda a, b: metrics.permutation_test(a, b, 99).statistic,
    ):
        assert metric(unit * x, unit * y) == pytest.approx(unit * metric(x, y), rel=1e-12)
    assert metrics.permutation_test(unit * x, unit * y, 99).p_value == 0.01
    mapped = metrics.gaussian_map(unit * x, y / unit)(unit * x)
    assert torch.allclose(unit * mapped, metrics.gaussian_map(x, y)(x))


def test_the_ends_of_float64():
    big = torch.full((2, 2), sys.float_info.max, dtype=torch.float64)
    assert metrics.wasserstein(big, big) == metrics.energy_distance(big, big) == 0
    for metric in (metrics.wasserstein, metrics.energy_distance, metrics.sliced_wasserstein):
        with pytest.raises(DataError, match="too large for float64"):
            metric(big, -big)


def test_differences_that_are_small_beside_the_values():
    assert metrics.wasserstein([[1.0, 0.0]] * 2, [[1.0, 1e-170]] * 2) == pytest.approx(1e-170)
    x, y = normal(0, 60) + 1e9, normal(1, 60) + 1e9 + 1
    assert metrics.permutation_test(x, y, 99).p_value == 0.01


@pytest.mark.parametrize("count", [0, -1, 2.5, "x", None, True])
def test_counts_that_are_none(count):
    x = torch.zeros(3, 1)
    with pytest.raises(ConfigError, match="projections"):
        metrics.sliced_wasserstein(x, x, projections=count)
    with pytest.raises(ConfigError, match="permutations"):
        metrics.permutation_test(x, x, permutations=count)


def test_the_gaussian_map_is_of_one_dimension():
    x = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ShapeError, match="rows of 2 numbers; got 3"):
        metrics.gaussian_map(x, x)(torch.zeros(2, 3))
    with pytest.raises(DataError, match="must not be empty"):
        metrics.gaussian_map(x[:, :0], x[:, :0])
