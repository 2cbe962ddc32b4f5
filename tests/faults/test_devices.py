"""Devices that lack what the CPU has."""

import subprocess
import sys

import pytest
import torch
from torch.utils import backend_registration

from multisi.common import seeds

TRANSPORT = """
import torch, multisi
from tests.devices import NAME, WithoutFloat64

x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
data = {"z": multisi.StandardNormal(), "a": x, "b": x / 2 + 2}
options = {"progress": False, "device": "cpu", "network_options": {"width": 8}}
model = multisi.fit(data, steps=3, **options)
noise = {"noise": 0.5, "seed": 0, "rows": range(60)}
CALLS = [{}, noise, {"solver": "srk", **noise}, {"return_path": True}, {"batch_size": 7, **noise}]


def figures():
    yield from (model.transport(x, "a", "b", steps=4, **options) for options in CALLS)
    yield model.means(x, model.barycenter)
    yield model.score(x, {"z": 0.5, "a": 0.5})
    path = multisi.paths.Polyline([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    yield model.velocity(x.double().numpy(), path, 0.5)


there = list(figures())
with WithoutFloat64():
    model.conditional_means.to(NAME)
    assert model.device.type == NAME
    for here, expected in zip(figures(), there, strict=True):
        assert type(here) is type(expected) and (here == expected).all()
    for ask in (lambda x: x.double(), lambda x: x.to("cpu", torch.float64)):
        try:
            ask(torch.zeros(2, device=NAME))
        except TypeError:
            pass
        else:
            raise SystemExit("the device has float64")
"""


@pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch makes no devices in Python",
)
def test_device_without_doubles():
    """Transports and fields ask for no float64 there, and have the numbers of the CPU."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", TRANSPORT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("seed", [0, 7, 2**62])
def test_device_without_doubles_has_the_same_noise(seed, monkeypatch):
    rows, like = torch.arange(50) * 3, torch.zeros(50, 4, 2)
    plain = seeds.RowGenerator(torch.device("cpu"), seed, rows).normal(like)
    monkeypatch.setattr(seeds, "WITHOUT_FLOAT64", {"cpu"})
    assert torch.equal(seeds.RowGenerator(torch.device("cpu"), seed, rows).normal(like), plain)
    assert plain.dtype == torch.float32 and plain.std() == pytest.approx(1, abs=0.1)
