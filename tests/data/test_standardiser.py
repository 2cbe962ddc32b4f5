import pytest
import torch

from multisi import Marginal
from multisi.data.standardiser import Standardiser

CORNER, MIXED, NOISE = (
    torch.tensor(w, dtype=torch.float64) for w in ([0, 1, 0], [0.2, 0.3, 0.5], [1, 0, 0])
)


def test_pooled_and_per_feature():
    source = torch.Generator().manual_seed(0)
    x = torch.randn(5000, 2, generator=source) * torch.tensor([1.0, 10.0])
    units = Standardiser.of([Marginal(x), Marginal(x + 4)])
    y = torch.cat([units.enter(part, CORNER, True) for part in (x, x + 4)])
    assert torch.allclose(y.mean(0), torch.zeros(2), atol=1e-5)
    assert torch.allclose(y.std(0), torch.ones(2), atol=1e-3)


def test_row_weights_count():
    x = torch.tensor([[0.0], [1.0], [100.0]])
    units = Standardiser.of([Marginal(x, weights=[1, 1, 0]), Marginal(x, weights=[1, 1, 0])])
    assert units.shift.tolist() == pytest.approx([0.5])


def test_constant_features_keep_their_scale():
    x = torch.full((10, 2), 7.0)
    units = Standardiser.of([Marginal(x), Marginal(x)])
    assert (units.scale == 1).all() and (units.enter(x, CORNER, True) == 0).all()


def test_images_share_one_scale():
    units = Standardiser.of([Marginal(torch.rand(6, 3, 4, 4)), Marginal(torch.rand(5, 3, 4, 4))])
    assert units.shift.shape == units.scale.shape == ()


def test_noise_is_raw_and_the_rest_is_inverted():
    units = Standardiser(torch.tensor([3.0, 1.0]), torch.tensor([2.0, 5.0]))
    x = torch.randn(7, 2)
    assert torch.equal(units.enter(x, NOISE, True), x)
    assert not torch.equal(units.enter(x, NOISE, False), x)
    for weights in (
        CORNER,
        MIXED,
        NOISE,
        3 * MIXED,
        torch.stack([CORNER, MIXED, NOISE] * 2 + [NOISE]),
    ):
        back = units.leave(units.enter(x, weights, True), weights, True)
        assert torch.allclose(back, x, atol=1e-5)
