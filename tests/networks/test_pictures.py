from types import SimpleNamespace

import pytest
import torch

from multisi import fit
from multisi.common.derivatives import jvp
from multisi.errors import ConfigError, ShapeError
from multisi.networks import Adapted, Transformer, UNet
from multisi.testing import check_network

SMALL = {
    "unet": {"channels": 8, "multiples": (1, 2)},
    "transformer": {"width": 16, "depth": 2, "attention_heads": 2, "patch": 2},
}
KINDS = {"unet": UNet, "transformer": Transformer}


def network(name, event, marginals=3, **options):
    """A small network whose weights are perturbed, as some start at zero."""
    torch.manual_seed(0)
    made = KINDS[name](event, marginals, **{**SMALL[name], **options}).eval()
    for parameter in made.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter.data)
    return made


def inputs(event, n=4, marginals=3):
    source = torch.Generator().manual_seed(1)
    alpha = torch.rand(n, marginals, generator=source)
    return torch.randn(n, *event, generator=source), alpha / alpha.sum(1, keepdim=True)


@pytest.mark.parametrize("name", KINDS)
def test_activations_that_are_computed_again_give_the_same_gradients(name):
    event = (2, 6, 6)
    kept = network(name, event)
    again = network(name, event, checkpointed=True)
    x, alpha = inputs(event)
    for each in (kept, again):
        each.train()
        each(x, alpha).square().sum().backward()
    for a, b in zip(kept.parameters(), again.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_attention_has_the_same_derivative_forward_and_backward(name):
    made = network(name, (1, 6, 6)).double()
    x, alpha = (t.double() for t in inputs((1, 6, 6), n=2))
    v = torch.ones_like(x)
    _, rate = jvp(lambda state: made(state, alpha), x, v)
    near = (made(x + 1e-6 * v, alpha) - made(x - 1e-6 * v, alpha)) / 2e-6
    assert torch.allclose(rate, near, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", KINDS)
def test_every_pixel_sees_every_other(name):
    made = network(name, (1, 8, 8)).double()
    x, alpha = (t.double() for t in inputs((1, 8, 8), n=1))
    x.requires_grad_()
    made(x, alpha)[0, 0, 0, 0, 0].backward()
    assert (x.grad != 0).all()


def test_levels_suit_the_size_of_the_pictures():
    assert [UNet((1, side, side), 2, channels=4).multiple for side in (3, 7, 8, 64)] == [
        1,
        1,
        2,
        2,
    ]
    assert UNet((1, 64, 64), 2, preset="medium", channels=4).multiple == 4
    assert UNet((1, 64, 64), 2, channels=4).look is not None
    assert UNet((1, 256, 256), 2, channels=4).look is None
    patches = [
        Transformer((1, side, side), 2, **SMALL["transformer"] | {"patch": None}).multiple
        for side in (1, 8, 9, 28, 64)
    ]
    assert patches == [1, 1, 2, 4, 8]


@pytest.mark.parametrize("name", KINDS)
def test_pictures_only(name):
    with pytest.raises(ConfigError, match=r"takes pictures, .*network='mlp'"):
        KINDS[name]((2,), 3)
    with pytest.raises(ConfigError, match=r"preset must be one of small, medium, large"):
        KINDS[name]((1, 8, 8), 3, preset="huge")
    with pytest.raises(ConfigError, match=r"this machine has .* Use a smaller"):
        KINDS[name]((1, 8, 8), 3, **{"channels" if name == "unet" else "width": 3 * 10**6})
    with pytest.raises(ShapeError, match="condition of 0 features; got 2"):
        network(name, (1, 8, 8))(*inputs((1, 8, 8)), torch.zeros(4, 2))


def test_sizes_that_do_not_fit():
    with pytest.raises(ConfigError, match="4 x 9 pixels are smaller than a patch of 8"):
        Transformer((1, 4, 9), 2, patch=8)
    with pytest.raises(ConfigError, match="width must be a multiple of attention_heads"):
        Transformer((1, 8, 8), 2, width=10, attention_heads=3)
    for options in ({"multiples": ()}, {"dropout": 1.0}):
        with pytest.raises(ConfigError, match="multiples needs one level"):
            UNet((1, 8, 8), 2, **options)


@pytest.mark.parametrize("name", KINDS)
def test_squares_are_moved_to_crosses(name):
    """A short training brings pictures of one kind nearer to those of another."""
    source = torch.Generator().manual_seed(0)
    square, cross = torch.zeros(2, 1, 8, 8)
    square[0, 2:6, 2:6] = 1
    cross[0, 3:5], cross[0, :, 3:5] = 1, 1
    a, b = (s + 0.1 * torch.randn(200, 1, 8, 8, generator=source) for s in (square, cross))
    options = {
        "network_options": SMALL[name],
        "batch_size": 64,
        "steps": 60 if name == "unet" else 150,
    }
    model = fit({"a": a, "b": b}, network=name, progress=False, coupling="ot", seed=0, **options)
    moved = model.transport(a[:20], "a", "b", steps=8)
    assert (moved - cross).square().mean() < 0.4 * (a - cross).square().mean()


class Other(torch.nn.Module):
    """A network of another package, of a state, a time and a condition."""

    def __init__(self, outputs=2 * 3):
        super().__init__()
        self.layer = torch.nn.Conv2d(2 + 3, outputs, 3, padding=1)

    def forward(self, x, t, y=None):
        told = 0 if y is None else y.sum(1).reshape(-1, 1, 1, 1)
        return SimpleNamespace(sample=self.layer(x) * (1 + t.reshape(-1, 1, 1, 1)) + told)


def test_networks_of_other_packages():
    def factory(event, marginals, condition=0):
        return Adapted(Other(), marginals) if marginals == 3 else UNet(event, marginals, 4)

    check_network(factory, event=(2, 6, 6), skip=["mix"])
    x, alpha = inputs((2, 6, 6))
    told = Adapted(Other(), 3, time=lambda a: 1000 * a[:, 0])
    assert told(x, alpha, torch.ones(4, 2)).shape == (4, 3, 2, 6, 6)
    with pytest.raises(ShapeError, match=r"must return all heads, shape \(4, 6, 6, 6\)"):
        Adapted(Other(5), 3)(x, alpha)
    with pytest.raises(ShapeError, match=r"States must be pictures.*got \(4, 2\)"):
        told(torch.zeros(4, 2), alpha)
    with pytest.raises(ConfigError, match="module must be an instance of Module"):
        Adapted(3, 3)
