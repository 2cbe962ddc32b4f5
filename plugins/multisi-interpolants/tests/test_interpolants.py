import pytest
import torch

import multisi
from multisi.errors import ConfigError
from multisi.testing import check_interpolant


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("power", {}),
        ("power", {"p": 1}),
        ("power", {"p": 5}),
        ("cosine", {}),
        ("bump", {"a": 0.5}),
    ],
)
def test_contract(name, options):
    check_interpolant(name, **options)


def test_power_of_one_is_straight():
    alpha = torch.tensor([0.2, 0.3, 0.5])
    straight = multisi.registry.create("interpolant", "power", multisi.Interpolant, p=1)
    assert torch.allclose(straight.weights(alpha), alpha)


def test_cosine_keeps_the_variance_on_the_way_from_the_noise():
    t = torch.linspace(0, 1, 9)
    cosine = multisi.registry.create("interpolant", "cosine", multisi.Interpolant)
    weights = cosine.weights(torch.stack([1 - t, t, 0 * t], -1))
    assert torch.allclose(weights.square().sum(-1), torch.ones(9))


@pytest.mark.parametrize(("name", "options"), [("power", {"p": 0.5}), ("bump", {"a": -1})])
def test_bad_options(name, options):
    with pytest.raises(ConfigError, match="must be a finite number of at least"):
        multisi.registry.create("interpolant", name, multisi.Interpolant, **options)


def test_in_a_transport():
    source = torch.Generator().manual_seed(0)
    a, b = (torch.randn(500, 2, generator=source) + shift for shift in (0, 3))
    data = {"noise": multisi.StandardNormal(), "a": a, "b": b}
    model = multisi.fit(data, steps=50, progress=False)
    straight = model.transport(a[:9], "a", "b", steps=64)
    for name in ("power", "cosine"):  # The same curve at another speed: the same end.
        moved = model.transport(a[:9], "a", "b", interpolant=name, steps=64)
        assert torch.allclose(moved, straight, atol=0.05)
    assert model.transport(a[:9], "a", "b", interpolant="bump", noise=0.5, seed=0).shape == (9, 2)
