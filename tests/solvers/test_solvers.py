import itertools

import numpy as np
import pytest
import torch

from multisi import (
    ConditionalMeans,
    Diffusion,
    FixedStep,
    ProbabilityFlow,
    Solver,
    registry,
)
from multisi import noise as noises
from multisi.common.seeds import RowGenerator
from multisi.interpolants.barycentric import Barycentric
from multisi.interpolants.smoothed import Smoothed
from multisi.metrics import permutation_test
from multisi.paths.bow import Bow
from multisi.sampling.integrate import time_grid
from multisi.solvers.torchsde_methods import Euler, Heun, Midpoint
from tests.closed_forms import gaussian_model, gaussians, law_errors, pushed_law, w2_errors

SOLVERS = ("euler", "heun", "midpoint", "milstein", "srk")
FLOW_SOLVERS = ("adams", "adams4", "ab2", "ab3", "rk4")
CALLS = {"euler": 1, "milstein": 1, "adams": 1, "adams4": 1, "ab2": 1, "ab3": 1, "rk4": 4}
PATH = Bow([torch.eye(3)[1].double(), torch.eye(3)[2].double()])


class Counting(torch.nn.Module):
    """Heads of zero that count how often they are asked for."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x, alpha):
        self.calls += 1
        return x.new_zeros(len(x), 3, *x.shape[1:])


COUNTED = [
    (name, noise, steps)
    for name, noise in (*itertools.product(SOLVERS, (0.0, 0.5)), *((n, 0.0) for n in FLOW_SOLVERS))
    for steps in (1, 2, 3, 7, 10, 33, 49, 100, 101, 1000)
]
COUNTED += [("midpoint", 0.5, 20_000), ("heun", 0.0, 20_000), ("adams", 0.0, 20_000)]


@pytest.mark.parametrize(("name", "noise", "steps"), COUNTED)
def test_network_calls_are_exact(name, noise, steps):
    solver, network = registry.create("solver", name, Solver), Counting()
    dynamics = ProbabilityFlow(ConditionalMeans(network), PATH, Barycentric())
    if noise:
        dynamics = Diffusion(ConditionalMeans(network), PATH, Barycentric(), noise)
    grid = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    with torch.no_grad():
        solver.integrate(dynamics, torch.zeros(1, 2), grid, generator=torch.Generator())
    assert network.calls == steps * solver.calls_per_step == steps * CALLS.get(name, 2)


def test_default_solver_is_accurate():
    """Three single Gaussians, d = 4, condition number 20: every directed pair, ten problems."""
    for seed in range(10):
        means, covariances = gaussians(seed)
        model = gaussian_model(means, covariances)
        for calls, bound in ((16, 5e-4), (64, 4e-5)):
            assert law_errors(model, means, covariances, steps=calls).max() <= bound


ORDERS = [
    ("euler", 1), ("milstein", 1), ("heun", 2), ("midpoint", 2), ("srk", 2), ("ab2", 2),
    ("ab3", 3), ("adams", 3), ("adams4", 3), ("rk4", 4),
]  # fmt: skip


@pytest.mark.parametrize(("name", "order"), ORDERS)
def test_observed_order(name, order):
    """Of the law at the end, along an edge that latent noise has bent."""
    means, covariances = gaussians(0, noise=True)
    model = gaussian_model(means, covariances, noise="noise")
    errors = []
    for steps in (64, 256):
        options = dict(interpolant=Smoothed("quadratic"), solver=name, steps=steps)
        _, covariance = pushed_law(model, means, covariances, 1, 2, **options)
        errors.append((covariance - covariances[2]).norm())
    assert abs((errors[0] / errors[1]).log2() / 2 - order) <= 0.3


MEASURES = [
    ("barycentric", 16, 2e-4, 2e-3),
    ("barycentric", 5, 1.2e-2, 1.0),
    (Smoothed("sine"), 16, 2e-3, 1.0),
    (Smoothed("sqrt"), 16, 2e-3, 1.0),
]


@pytest.mark.parametrize(("interpolant", "calls", "median", "worst"), MEASURES, ids=str)
def test_best_solver_on_exact_fields(interpolant, calls, median, worst):
    """Relative 2-Wasserstein errors, five problems, condition number 20, all pairs of data."""
    noise, errors = interpolant != "barycentric", []
    for seed in range(5):
        means, covariances = gaussians(seed, marginals=3 + noise, noise=noise)
        names = ("noise", "a", "b", "c")[not noise :]
        model = gaussian_model(means, covariances, noise="noise" if noise else None, names=names)
        pairs = itertools.permutations(range(noise, 3 + noise), 2)
        options = dict(solver="adams4", steps=calls, interpolant=interpolant)
        errors += w2_errors(model, means, covariances, pairs, **options)
    errors = torch.tensor(errors)
    assert errors.median() <= median and errors.max() <= worst


@pytest.mark.parametrize("name", SOLVERS)
def test_noise_keeps_the_law(name):
    means, covariances = gaussians(1, noise=True)
    model = gaussian_model(means, covariances, noise="noise")
    source = torch.Generator().manual_seed(0)
    roots = torch.linalg.cholesky(covariances)
    z = torch.randn(2, 2000, 4, generator=source, dtype=torch.float64)
    x, fresh = (means[k] + z[k - 1] @ roots[k].T for k in (1, 2))
    moved = model.transport(x, "a", "b", noise=1.0, steps=128, solver=name, seed=0)
    assert permutation_test(moved, fresh, permutations=499).p_value > 1e-2
    assert not torch.allclose(moved, model.transport(x, "a", "b"), atol=0.1)


def test_images_are_packed():
    class Halves(torch.nn.Module):
        def forward(self, x, alpha):
            return torch.stack([x, x / 2, -x], 1)

    y = torch.randn(3, 2, 4, 4)
    grid = torch.linspace(0, 1, 9, dtype=torch.float64)
    for solver in (Euler(), Heun(), Midpoint()):
        ends = [
            solver.integrate(
                Diffusion(ConditionalMeans(Halves()), PATH, Barycentric(), 0.3),
                state,
                grid,
                generator=torch.Generator().manual_seed(3),
            )
            for state in (y, y.flatten(1))
        ]
        assert ends[0].shape == y.shape
        assert torch.allclose(ends[0].flatten(1), ends[1], atol=1e-6)


def test_a_solver_is_one_step():
    class Plain(FixedStep):
        def step(self, dynamics, y, t, u, generator):
            return y + (u - t).to(y) * dynamics.drift(y, t)

    means, covariances = gaussians(0)
    model = gaussian_model(means, covariances)
    x = torch.randn(5, 4, dtype=torch.float64)
    own = model.transport(x, "a", "b", solver=Plain(), steps=50)
    assert torch.allclose(own, model.transport(x, "a", "b", solver="euler", steps=50))
    assert repr(Plain()) == "Plain()"


def test_global_generators_are_left_alone():
    means, covariances = gaussians(1, noise=True)
    model = gaussian_model(means, covariances, noise="noise")
    x = torch.randn(5, 4, dtype=torch.float64)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    for noise in (0.0, 0.5):
        model.transport(x, "a", "b", noise=noise)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()


class Responses(RowGenerator):
    """Noise that is zero but for one unit number a row, so that its effect can be summed."""

    def normal(self, like):
        d = like.shape[1]
        rows = torch.arange(d) + 1 + d + self._draw * d
        noise = torch.zeros_like(like)
        noise[rows, torch.arange(d)] = 1.0
        self._draw += 1
        return noise


def sde_law_error(name, steps, draws):
    """Error of the covariance at the end of an SDE of Gaussians, propagated without sampling."""
    means, covariances = gaussians(0, noise=True)
    exact = gaussian_model(means, covariances, noise="noise").conditional_means
    dynamics = Diffusion(exact, PATH, Smoothed("quadratic"), noises.sine(1.0))
    d = means.shape[1]
    y = torch.zeros(1 + d + draws * steps * d, d, dtype=torch.float64)
    y[1 : 1 + d] = torch.eye(d)
    generator = Responses(torch.device("cpu"), 0, torch.arange(len(y)))
    solver = registry.create("solver", name, Solver)
    end = solver.integrate(dynamics, y, time_grid(dynamics, steps), generator=generator)
    matrix, kicks = (end[1 : 1 + d] - end[0]).T, end[1 + d :] - end[0]
    law = matrix @ covariances[1] @ matrix.T + kicks.T @ kicks
    return (law - covariances[2]).norm().item()


@pytest.mark.parametrize(
    ("name", "order"), [("euler", 1), ("milstein", 1), ("heun", 2), ("midpoint", 2), ("srk", 2)]
)
def test_observed_weak_order(name, order):
    errors = [sde_law_error(name, steps, 2 if name == "srk" else 1) for steps in (32, 128)]
    assert abs(np.log2(errors[0] / errors[1]) / 2 - order) <= 0.3
