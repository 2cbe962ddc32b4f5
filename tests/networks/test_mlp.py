import pytest
import torch

from multisi.errors import ConfigError
from multisi.networks import MLP


@pytest.mark.parametrize("event", [(), (2,), (3, 4, 4)])
def test_heads_for_any_event(event):
    network = MLP(event, 3, width=8, depth=2).eval()
    x, alpha = torch.randn(5, *event), torch.rand(5, 3)
    heads = network(x, alpha)
    assert heads.shape == (5, 3, *event)
    assert torch.allclose(network(x[1:2], alpha[1:2]), heads[1:2], atol=1e-6)


def test_one_point_for_the_whole_batch_is_the_same():
    network = MLP((2,), 3)
    x, alpha = torch.randn(5, 2), torch.rand(1, 3)
    shared, repeated = network(x, alpha.expand(5, 3)), network(x, alpha.repeat(5, 1))
    assert torch.allclose(shared, repeated, atol=1e-6)


@pytest.mark.parametrize("option", ["width", "depth", "embedding"])
def test_sizes_are_positive(option):
    with pytest.raises(ConfigError, match=f"{option} must be an integer of at least 1; got 0"):
        MLP((2,), 3, **{option: 0})


@pytest.mark.parametrize("option", ["width", "depth", "embedding", "frequencies"])
@pytest.mark.parametrize("size", [10**9, 10**30])
def test_sizes_beyond_the_memory_are_refused_before_any_layer_is_made(option, size):
    with pytest.raises(ConfigError, match=r"this machine has .* Use a smaller width"):
        MLP((2000,), 3, **{option: size})


def test_many_features_need_a_smooth_network():
    few, many = MLP((31,), 2), MLP((4, 8), 2, blur=0.45)
    assert few.frequencies is not None
    assert many.frequencies is None
    x, alpha = torch.randn(5, 4, 8), torch.rand(5, 2)
    assert not torch.equal(many(x, alpha), many(x, alpha))
    many.eval()
    assert torch.equal(many(x, alpha), many(x, alpha))
    sharp = MLP((4, 8), 2, frequencies=3)
    assert sharp.frequencies is not None
    assert torch.equal(sharp(x, alpha), sharp(x, alpha))


def test_the_size_suits_the_number_of_features():
    assert MLP((2,), 2).heads.in_features == 128
    assert MLP((64,), 2).heads.in_features == 256
    assert MLP((64,), 2, preset="small").heads.in_features == 64


@pytest.mark.parametrize("blur", [-1, float("nan"), "much"])
def test_the_blur_is_a_number(blur):
    with pytest.raises(ConfigError, match="blur must be"):
        MLP((2,), 3, blur=blur)
