import pytest
import torch

from multisi import Marginal, StandardNormal
from multisi.couplings.class_aware import ClassAware
from multisi.errors import DataError

A = torch.arange(10.0).reshape(10, 1)


def labelled(shares, n=20_000, seed=0):
    """Rows whose value is their label and a number of their own, in given shares."""
    source = torch.Generator().manual_seed(seed)
    labels = torch.multinomial(torch.tensor(shares), n, replacement=True, generator=source)
    return Marginal(torch.stack([labels.float(), torch.arange(n).float()], 1), labels)


def test_labels_meet_where_shares_agree():
    data = [StandardNormal(), labelled([0.5, 0.3, 0.2]), labelled([0.5, 0.3, 0.2], seed=1)]
    xs = ClassAware(data).sample(5000, seed=0, step=0)
    assert (xs[:, 1, 0] == xs[:, 2, 0]).float().mean() > 0.98
    assert len(xs[:, 2, 1].unique()) > 4000


def test_labels_keep_every_law_where_shares_differ():
    shares = torch.tensor([[0.7, 0.3, 0.0], [0.2, 0.3, 0.5], [0.1, 0.5, 0.4]])
    coupling = ClassAware([labelled(row.tolist(), seed=i) for i, row in enumerate(shares)])
    xs = coupling.sample(50_000, seed=0, step=0)
    for k, row in enumerate(shares):
        found = torch.bincount(xs[:, k, 0].long(), minlength=3) / len(xs)
        assert torch.allclose(found, row, atol=0.015)
    together = ((xs[:, 0, 0] == xs[:, 1, 0]) & (xs[:, 1, 0] == xs[:, 2, 0])).float().mean()
    assert together == pytest.approx(shares.amin(0).sum().item(), abs=0.03)


def test_labels_that_cannot_be_matched():
    with pytest.raises(DataError, match=r"needs labels for every dataset; marginals \[1\]"):
        ClassAware([labelled([1.0]), Marginal(A)])
    one, other = (Marginal(A, torch.full((10,), label)) for label in (0, 1))
    with pytest.raises(DataError, match="a label that occurs in every dataset"):
        ClassAware([one, other])
