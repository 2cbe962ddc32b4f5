import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from multisi.analysis.marginal_tests import LEVEL, SHOWN, statistics, wrong_features


def normal(seed, n, d=1):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def found(x, y, rounding=0.0, tests=None):
    d = x.shape[1]
    rounding = torch.full((d,), rounding, dtype=torch.float64)
    return wrong_features(x, y, [f"f{i}" for i in range(d)], rounding=rounding, tests=tests or d)


@pytest.mark.parametrize(("n", "m"), [(40, 40), (25, 60), (5, 4)])
def test_the_statistic_is_that_of_scipy_without_a_tolerance(n, m):
    x, y = normal(0, n, 6), normal(1, m, 6) + 0.3
    y[: m // 2] = y[:1]  # Ties, and interquartile ranges of zero.
    y[m // 2 :] = y[-1:]
    y[:, :3] = y[:1, :3]
    expected = [ks_2samp(a, b).statistic for a, b in zip(x.T.numpy(), y.T.numpy(), strict=True)]
    assert statistics(x, y, torch.zeros(6))[:3].tolist() == pytest.approx(expected[:3])
    assert (statistics(x, y, torch.zeros(6)) <= torch.tensor(expected) + 1e-12).all()


def test_the_level_holds_over_all_features():
    pairs = [(normal(2 * i, 60, 20), normal(2 * i + 1, 90, 20)) for i in range(400)]
    wrong = sum(found(x, y).count > 0 for x, y in pairs)
    assert wrong <= 400 * LEVEL + 4 * (400 * LEVEL) ** 0.5
    at_three_tenths = sum(found(x, y, tests=20 * LEVEL / 0.3).count > 0 for x, y in pairs) / 400
    assert 0.1 < at_three_tenths <= 0.3 + 4 * (0.21 / 400) ** 0.5


def test_constants_and_ties_are_not_found_wrong():
    random = np.random.default_rng(0)

    def draw(n):
        columns = [random.poisson(2, n), random.integers(0, 2, n), random.random(n) < 0.01]
        constant = 1e6 * (1 + 5e-7 * random.random(n))  # A constant, up to the float32 rounding.
        zero = 1e-7 * random.random(n)
        return torch.tensor(np.stack([*columns, constant, zero], 1), dtype=torch.float64)

    for _ in range(20):
        x, y = draw(300), draw(400)
        rounding = torch.tensor([0, 0, 0, 0.6, 1e-6], dtype=torch.float64)
        assert wrong_features(x, y, list("abcde"), rounding=rounding, tests=5).count == 0
    same = torch.zeros(50, 2, dtype=torch.float64)
    assert found(same, same).count == 0
    assert found(same, same + 0.01).names == ("f0", "f1")


def test_the_worst_come_first_with_what_is_wrong_about_them():
    x, y = normal(0, 800, 4), normal(1, 900, 4)
    x[:, 1] *= 2
    x[:, 3] += 3
    wrong = found(x, y)
    assert (wrong.count, wrong.names) == (2, ("f3", "f1"))
    assert wrong.shifts == pytest.approx([3, 0], abs=0.2)
    assert wrong.spreads == pytest.approx([1, 2], rel=0.1)


def test_many_wrong_features_are_counted():
    x, y = normal(0, 100, 50), normal(1, 100, 50) + 9
    wrong = found(x, y)
    assert wrong.count == 50
    assert len(wrong.names) == len(wrong.shifts) == len(wrong.spreads) == SHOWN


def test_a_spread_beside_a_constant():
    y = torch.zeros(60, 2, dtype=torch.float64)
    x = y.clone()
    x[:, 1] = normal(0, 60)[:, 0]
    wrong = found(x, y)
    assert wrong.names == ("f1",) and wrong.spreads == (np.inf,)


def test_laws_far_apart_do_not_hide_a_wrong_spread():
    """The tolerance is that of the target alone."""
    x, y = 1e6 + 3 * normal(0, 500), 1e6 + normal(1, 500)
    assert found(x, y, rounding=1e-3).count == 1
