import pytest
import torch

import multisi
from multisi.errors import ConfigError, ShapeError
from multisi.testing import check_network

SMALL = {"width": 16, "depth": 2, "heads": 2}


@pytest.mark.parametrize("condition", [0, 3])
@pytest.mark.parametrize(
    ("name", "event"),
    [("set-transformer", (5, 3)), ("set-transformer", (4,))],
)
def test_contract(name, event, condition):
    check_network(name, event=event, condition=condition, **SMALL)


def make(name, event, **options):
    return multisi.registry.installed().find("network", name).load()(event, 2, **SMALL, **options)


def test_the_order_of_a_set_does_not_matter():
    network, alpha = make("set-transformer", (6, 2)), torch.full((4, 2), 0.5)
    x, order = torch.randn(4, 6, 2), torch.randperm(6)
    assert torch.allclose(network(x[:, order], alpha), network(x, alpha)[:, :, order], atol=1e-5)


def test_entries_of_a_vector_have_places():
    network, alpha = make("set-transformer", (4,)), torch.full((1, 2), 0.5)
    heads = network(torch.zeros(1, 4), alpha)
    assert not torch.allclose(heads[..., :2], heads[..., 2:])


def test_shapes_that_do_not_fit():
    with pytest.raises(ShapeError, match="needs sets"):
        make("set-transformer", (3, 8, 8))
    with pytest.raises(ConfigError, match="multiple of heads"):
        multisi.registry.installed().find("network", "set-transformer").load()((4,), 2, width=10)


def test_fit_transport_save_and_load(tmp_path):
    source = torch.Generator().manual_seed(0)
    dark, bright = (torch.rand(64, 6, 2, generator=source) + shift for shift in (0, 1))
    model = multisi.fit(
        {"dark": dark, "bright": bright},
        network="set-transformer",
        network_options=SMALL,
        steps=150,
        batch_size=16,
        progress=False,
    )
    moved = model.transport(dark, "dark", "bright")
    assert 0.7 < (moved.mean() - dark.mean()).item() < 1.3
    model.save(tmp_path / "m.safetensors")
    again = multisi.load(tmp_path / "m.safetensors").transport(dark, "dark", "bright")
    assert torch.equal(again, moved)
