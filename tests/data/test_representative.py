import numpy as np
import pytest
import torch

from multisi import Marginal
from multisi.data.representative import representative


def chosen(weights, count, seed=0):
    """How often each row is chosen."""
    marginal = Marginal(torch.zeros(len(weights), 1), weights=weights)
    rows = marginal.choose_rows(count, torch.Generator().manual_seed(seed))
    return np.bincount(rows.numpy(), minlength=len(weights))


@pytest.mark.parametrize("seed", range(20))
def test_each_row_comes_as_often_as_its_weight_asks(seed):
    weights = np.random.default_rng(seed).exponential(size=50) ** 2
    shares = weights / weights.sum()
    worth = 1 / np.square(shares).sum()
    for count in (7, 1000):
        times = chosen(weights, count, seed)
        assert times.sum() == min(count, int(worth))
        asked = times.sum() * shares
        assert (times >= np.floor(asked)).all() and (times <= np.ceil(asked)).all()


def test_equal_weights_choose_every_row_once():
    assert (chosen(np.full(37, 0.1), 1000) == 1).all()
    half = np.repeat([1.0, 0.0], 40)
    assert (chosen(half, 1000) == half).all()
    plain = Marginal(torch.zeros(37, 1)).choose_rows(1000, torch.Generator().manual_seed(0))
    assert plain.sort().values.tolist() == list(range(37)) and plain[0] != 0


def test_rows_are_chosen_in_proportion_to_their_weights():
    weights = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    counts = np.zeros(4)
    for seed in range(4000):
        rows = representative(4, weights, 2, torch.Generator().manual_seed(seed))
        counts += np.bincount(rows.numpy(), minlength=4)
    assert counts / 8000 == pytest.approx(weights.numpy(), abs=4 * (0.25 / 8000) ** 0.5)


def test_the_same_seed_chooses_the_same_rows():
    weights = np.arange(30.0)
    assert (chosen(weights, 9, seed=3) == chosen(weights, 9, seed=3)).all()
    assert (chosen(weights, 9, seed=3) != chosen(weights, 9, seed=4)).any()
