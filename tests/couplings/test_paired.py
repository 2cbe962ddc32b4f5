import pytest
import torch

from multisi import Marginal, StandardNormal
from multisi.couplings.paired import Paired
from multisi.errors import DataError

A = torch.arange(10.0).reshape(10, 1)


def test_paired_rows_stay_together():
    coupling = Paired([Marginal(A), StandardNormal(), Marginal(A + 100)])
    xs = coupling.sample(100, seed=0, step=0)
    assert torch.equal(xs[:, 2], xs[:, 0] + 100)
    with pytest.raises(DataError, match="same number of rows; got 10, 9"):
        Paired([Marginal(A), Marginal(A[1:])])
