import pytest
import torch

from multisi import Marginal, StandardNormal
from multisi.couplings.independent import Independent
from multisi.couplings.paired import Paired

A = torch.arange(10.0).reshape(10, 1)


@pytest.mark.parametrize("kind", [Independent, Paired])
def test_a_function_of_seed_and_step(kind):
    coupling = kind([StandardNormal(), Marginal(A), Marginal(A + 100)])
    xs = coupling.sample(50, seed=1, step=2)
    torch.manual_seed(99)
    assert xs.shape == (50, 3, 1) and xs.dtype == torch.float32
    assert torch.equal(xs, coupling.sample(50, seed=1, step=2))
    assert not torch.equal(xs, coupling.sample(50, seed=1, step=3))
    assert not torch.equal(xs, coupling.sample(50, seed=2, step=2))


def test_independent_columns_are_uncorrelated():
    xs = Independent([Marginal(A), Marginal(A)]).sample(20_000, seed=0, step=0)[..., 0]
    assert abs(torch.corrcoef(xs.T)[0, 1].item()) < 4 / 20_000**0.5


@pytest.mark.parametrize("kind", [Independent, Paired])
def test_weights_are_shares(kind):
    weights = torch.arange(10.0)
    xs = kind([Marginal(A), Marginal(A, weights=weights)]).sample(50_000, seed=0, step=0)
    shares = torch.bincount(xs[:, 1, 0].long(), minlength=10) / 50_000
    assert shares[0] == 0
    assert torch.allclose(shares, weights / weights.sum(), atol=0.01)
