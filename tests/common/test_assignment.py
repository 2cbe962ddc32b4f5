import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from multisi.common.assignment import assign


def total(cost, order):
    return cost[torch.arange(len(cost)), order].sum().item()


@given(n=st.integers(1, 40), seed=st.integers(0, 10**6), power=st.floats(-20, 20))
def test_it_is_the_least(n, seed, power):
    cost = torch.rand(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    cost = cost * 10.0**power
    order = assign(cost)
    assert sorted(order.tolist()) == list(range(n))
    best = torch.from_numpy(linear_sum_assignment(cost.numpy())[1])
    assert total(cost, order) == pytest.approx(total(cost, best), rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_potentials_change_nothing(shift):
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = x.flip(0) ** 3 + shift
    cost = torch.cdist(x, y).square()
    moved = cost + torch.arange(200.0)[:, None] * 7 - torch.arange(200.0) * 3
    assert (assign(cost) == assign(moved)).double().mean() > 0.99


def test_equal_costs_and_outliers():
    assert sorted(assign(torch.zeros(9, 9)).tolist()) == list(range(9))
    cost = torch.rand(30, 30)
    cost[0] += 1e9
    cost[:, 3] += 1e9
    best = torch.from_numpy(linear_sum_assignment(cost.double().numpy())[1])
    assert total(cost.double(), assign(cost)) == pytest.approx(total(cost.double(), best))
