import subprocess
import sys

import pytest
import torch

import multisi
from multisi.errors import ConfigError, SolverError
from multisi.testing import check_solver

NAMES = ("dopri5", "dopri8", "bosh3", "adaptive-heun")
STIFF = """
import multisi, torch

class Spike(torch.nn.Module):
    def forward(self, x, alpha):
        pull = 1e7 * torch.sin(1e5 * alpha[:, :1])[..., None]
        return pull * x[:, None].expand(-1, 2, -1) * torch.tensor([1.0, -1.0])[None, :, None]

model = multisi.Model(Spike(), ["a", "b"])
try:
    print(model.transport(torch.ones(1, 2), "a", "b", solver="dopri5"))
except multisi.errors.SolverError as error:
    print("SolverError", error)
"""


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    check_solver(name)


def model(factor=1.0):
    one = torch.ones(1, dtype=torch.float64)
    means = [torch.zeros(1, 2).double(), torch.tensor([[2.0, -1.0]]).double()]
    spread = [torch.eye(2, dtype=torch.float64)[None] * c for c in (1.0, 3.0 * factor)]
    return multisi.Model(multisi.GaussianMixtureMeans([one, one], means, spread), ["a", "b"])


@pytest.mark.parametrize("name", NAMES[:3])
def test_tolerance_is_accuracy(name):
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = model().transport(x, "a", "b", solver="rk4", steps=500)
    solver = multisi.registry.create("solver", name, multisi.Solver, rtol=1e-7, atol=1e-7)
    assert torch.allclose(model().transport(x, "a", "b", solver=solver), exact, atol=1e-5)


def test_calls_are_bounded():
    solver = multisi.registry.create("solver", "dopri8", multisi.Solver, most_calls=20)
    with pytest.raises(SolverError, match="did not meet its tolerance within 20 network calls"):
        model().transport(torch.ones(1, 2), "a", "b", solver=solver)


def test_a_field_that_cannot_be_followed_ends_also_without_assertions():
    done = subprocess.run(
        [sys.executable, "-O", "-c", STIFF], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.startswith("SolverError"), done.stdout + done.stderr


def test_noise_and_bad_options_are_refused():
    with pytest.raises(ConfigError, match="rtol must be a finite number above 0; got 0"):
        multisi.registry.create("solver", "dopri5", multisi.Solver, rtol=0)
    noisy = multisi.Model(model().conditional_means, ["noise", "b"], "noise")
    with pytest.raises(ConfigError, match="integrates the flow only"):
        noisy.transport(torch.ones(1, 2), "noise", "b", solver="dopri5", noise=0.5)
