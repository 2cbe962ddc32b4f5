"""How states are moved: over any grid, each row by itself, whatever callers bring along."""

import gc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import multisi
from multisi import Diffusion, ProbabilityFlow
from multisi.data.standardiser import Standardiser
from multisi.errors import (
    ConfigError,
    PluginError,
    ShapeError,
    SolverError,
)
from multisi.interpolants.barycentric import Barycentric
from multisi.interpolants.smoothed import Smoothed
from multisi.paths import Path
from multisi.paths.bow import Bow
from multisi.paths.polyline import Polyline, Segment
from multisi.sampling.grid import time_grid
from tests.closed_forms import gaussian_model, gaussians, mixtures, sample_mixture

MEANS, COVARIANCES = gaussians(1, d=2, condition=4.0, noise=True)
MODEL = gaussian_model(MEANS, COVARIANCES, "noise")
X = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MIXED = multisi.Model(multisi.GaussianMixtureMeans(*mixtures()), ("noise", "a", "b"), "noise")
ROWS = sample_mixture(*(part[1] for part in mixtures()), 6, seed=0)
E = torch.eye(3, dtype=torch.float64)


class Heads(torch.nn.Module):
    """Heads by a function of `(x, alpha)`."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x, alpha):
        return self.function(x, alpha)


def model(function):
    return multisi.Model(Heads(function), ("noise", "a", "b"), "noise")


class Lambda(Path):
    def __init__(self, function):
        self.function = function

    def __call__(self, t):
        return self.function(t)


@pytest.mark.parametrize("interpolant", ["barycentric", "smoothed", "encoding-decoding"])
def test_a_row_ends_where_it_ends_in_another_batch(interpolant):
    options = dict(interpolant=interpolant, steps=16)
    inner = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.2, 0.3], [0, 1, 0], [1, 0, 0], [0.3, 0.7, 0]])
    few = MODEL.transport(X[:2], inner[:2], ["b"] * 2, **options)
    many = MODEL.transport(X, inner, ["b"] * 5, **options)
    assert torch.allclose(few, many[:2], atol=1e-10)


@pytest.mark.parametrize("pair", [("noise", "a"), ("a", "b"), ("a", "noise")])
def test_rows_of_their_own_are_as_accurate_with_latent_noise(pair):
    exact = MODEL.transport(X, *pair, interpolant=Smoothed(), steps=2000)
    ends = [[name] * 5 for name in pair]
    moved = MODEL.transport(X, *ends, interpolant=Smoothed(), steps=64)
    assert (moved - exact).abs().max() < 2e-4


def test_many_rows_with_kinks_need_no_memory_to_speak_of():
    x = torch.zeros(4000, 2, dtype=torch.float64)
    moved = MODEL.transport(
        x, ["a"] * 4000, ["b"] * 4000, interpolant="encoding-decoding", steps=8
    )
    assert torch.allclose(moved, moved[:1].expand_as(moved))


def test_the_noise_corner_may_be_reached_up_to_rounding():
    units = Standardiser(
        torch.tensor([10.0, -5.0]).double(), torch.tensor([3.0, 3.0]).double(), True
    )
    scaled = multisi.Model(MODEL.conditional_means, MODEL.marginals, "noise", standardiser=units)
    half = torch.pi / 2
    path = Lambda(
        lambda t: torch.stack([torch.sin(half * t) ** 2, torch.cos(half * t) ** 2, 0 * t], -1)
    )
    x = scaled.transport(X, "noise", "a")
    ends = [scaled.transport(x, "a", "noise", steps=64, **more) for more in ({}, {"path": path})]
    assert torch.allclose(*ends, atol=1e-3)


def test_knots_are_added_to_a_grid():
    options = dict(via="noise", solver="rk4")
    exact = MODEL.transport(X, "a", "b", steps=1000, **options)
    grid = torch.linspace(0, 1, 66)
    assert (MODEL.transport(X, "a", "b", grid=grid, **options) - exact).abs().max() < 1e-5
    path = MODEL.transport(X, "a", "b", grid=grid, return_path=True, **options)
    assert path.shape == (66, 5, 2)
    assert (path[-1] - exact).abs().max() < 1e-5


@pytest.mark.parametrize("solver", ["euler", "heun", "midpoint", "milstein", "srk"])
def test_a_network_that_draws_may_go_on_drawing(solver):
    drawn = []

    def heads(x, alpha):
        drawn.append(torch.rand(()).item())
        return x[:, None].expand(-1, 3, -1)

    for _ in range(2):
        model(heads).transport(X.float(), "a", "b", solver=solver, steps=2, noise=0.5)
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize("solver", ["adams", "midpoint", "srk", "rk4"])
def test_states_are_freed_without_the_garbage_collector(solver):
    moving = model(lambda x, alpha: x[:, None].tanh().expand(-1, 3, -1))
    big, held = torch.randn(64, 4096), []
    gc.collect()
    gc.disable()
    try:
        for _ in range(4):
            moving.transport(big, "a", "b", solver=solver, steps=4)
            held.append(
                sum(o.numel() >= big.numel() for o in gc.get_objects() if type(o) is torch.Tensor)
            )
    finally:
        gc.enable()
    assert held[-1] == held[0]


def test_paths_of_short_floats_and_of_rounding():
    path = Lambda(lambda t: torch.stack([0 * t, 1 - t, t], -1).float())
    for solver in ("adams", "midpoint", "rk4"):
        moved = MODEL.transport(X, "a", "b", path=path, solver=solver, steps=64)
        assert torch.allclose(
            moved, MODEL.transport(X, "a", "b", solver=solver, steps=64), atol=1e-3
        )
    rounded = Lambda(lambda t: torch.stack([1 - 0.9 * t - 0.1 * t, 0.9 * t, 0.1 * t], -1))
    assert torch.isfinite(MODEL.transport(X, "noise", [0, 0.9, 0.1], path=rounded)).all()


def test_paths_and_rows_that_do_not_fit():
    one = MODEL.transport(X, ["a"] * 5, ["b"] * 5, path=Segment([E[1], E[2]]))
    assert torch.allclose(one, MODEL.transport(X, "a", "b"), atol=1e-3)
    three = Segment([E[1].expand(3, 3), E[2].expand(3, 3)])
    with pytest.raises(ShapeError, match="has 3 rows; x has 5"):
        MODEL.transport(X, "a", "b", path=three)
    with pytest.raises(ShapeError, match="has 3 rows"):
        MODEL.transport(X, ["a"] * 5, ["b"] * 5, path=three)


def test_noise_that_is_needed_is_missed():
    plain = gaussian_model(MEANS, COVARIANCES)
    with pytest.raises(ConfigError, match="needs a noise marginal"):
        plain.transport(X, "a", "b", path="bow")
    with pytest.raises(ConfigError, match="needs a noise marginal"):
        plain.velocity(X, Segment([E[1], E[2]]), 0.5, interpolant="smoothed")


def test_heads_of_another_type():
    exact = model(lambda x, alpha: x[:, None].expand(-1, 3, -1) + alpha[..., None])
    short = model(lambda x, alpha: x[:, None].expand(-1, 3, -1).double() + alpha[..., None])
    for solver in ("adams", "midpoint", "srk", "rk4", "adaptive"):
        moved = short.transport(X.float(), "a", "b", solver=solver)
        assert moved.dtype == torch.float32
        assert torch.allclose(
            moved, exact.transport(X.float(), "a", "b", solver=solver), atol=1e-5
        )


def test_empty_batches_and_scalars():
    empty = X[:0]
    assert MODEL.means(empty, "a").shape == (0, 3, 2)
    assert MODEL.score(empty, "noise").shape == (0, 2)
    assert MODEL.transport(empty, "a", "b", noise=0.5, rows=[]).shape == (0, 2)
    scalar = model(lambda x, alpha: x[:, None] + alpha)
    assert scalar.transport(torch.zeros(4), "a", "b", solver="adaptive").shape == (4,)


def test_options_that_are_nonsense():
    with pytest.raises(ConfigError, match="batch_size must be an integer of at least 1"):
        MODEL.log_prob(X, "a", batch_size=0)
    with pytest.raises(ConfigError, match="rows must be one integer per row"):
        MODEL.transport(X, "a", "b", noise=0.5, rows=["q"] * 5)
    with pytest.raises(ShapeError, match="condition must have one vector"):
        MODEL.transport(X, "a", "b", condition=torch.tensor(3))
    with pytest.raises(ConfigError, match="takes no condition"):
        MODEL.transport(X, "a", "b", condition=torch.zeros(5, 1))


class Wrong(multisi.Solver):
    def integrate(self, dynamics, y, times, *, generator):
        return y[:1]


@given(steps=st.integers(2, 200), depth=st.floats(0.05, 0.95))
def test_grid_is_even_in_arc_length(steps, depth):
    path = Bow([E[1], E[2]], depth)
    flow = ProbabilityFlow(MIXED.conditional_means, path, Barycentric())
    times = time_grid(flow, steps)
    assert len(times) == steps + 1 and times[0] == 0 and times[-1] == 1
    assert (times.diff() > 0).all()
    fine = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    travelled = torch.cat([fine[:1], path(fine).diff(dim=0).norm(dim=-1).cumsum(0)])
    at = travelled[(times * 20_000).round().long()]
    assert torch.allclose(at.diff(), at[-1] / steps, rtol=0.05, atol=1e-3)


def test_knots_are_on_the_grid():
    path = Polyline([E[1], E[0], E[0] * 0.9 + E[2] * 0.1])
    times = time_grid(ProbabilityFlow(MIXED.conditional_means, path, Barycentric()), 12)
    assert any(abs(times - knot).min() == 0 for knot in path.knots)
    assert (times < path.knots[1]).sum() == 11
    still = Segment([E[1], E[1]])
    grid = time_grid(ProbabilityFlow(MIXED.conditional_means, still, Barycentric()), 4)
    assert torch.allclose(grid, torch.linspace(0, 1, 5, dtype=torch.float64))


@pytest.mark.parametrize("solver", ["euler", "heun", "adams", "adams4", "ab3", "rk4", "adaptive"])
def test_any_grid(solver):
    """Uneven, with steps that are tiny or none but for rounding."""
    start, middle, end = (np.linspace(*ends, 80) for ends in ((0, 0.1), (0.1, 0.9), (0.9, 1)))
    grid = [*start, np.nextafter(0.1, 1), *middle[1:], 0.9 + 1e-9, *end[1:]]
    moved = MIXED.transport(ROWS, "a", "b", grid=grid, solver=solver)
    exact = MIXED.transport(ROWS, "a", "b", steps=500)
    assert torch.allclose(moved, exact, atol=0.05 if solver == "euler" else 5e-3)
    path = MIXED.transport(ROWS, "a", "b", grid=grid, solver=solver, return_path=True)
    assert path.shape[0] == len(grid) and torch.allclose(path[-1], moved, atol=2e-3)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_values_that_are_not_finite_are_found(noise):
    class Late(torch.nn.Module):
        def forward(self, x, alpha):
            g = torch.zeros(len(x), 3, 2)
            g[4] = float("nan") if alpha[0, 2] > 0.5 else 0.0
            return g

    model = multisi.Model(Late(), ("noise", "a", "b"), "noise")
    with pytest.raises(SolverError, match=r"in step [5-9] of 10, t = 0\.\d+: 1 of 6 rows.* row 4"):
        model.transport(ROWS.float(), "a", "b", steps=10, noise=noise, seed=0)


def test_solvers_that_break_their_contract():
    with pytest.raises(PluginError, match=r"must return a state of shape \(6, 2\); got \(1, 2\)"):
        MIXED.transport(ROWS, "a", "b", solver=Wrong())


def test_the_last_step_may_be_a_mean():
    options = dict(noise=0.5, seed=0, steps=6)
    path = MIXED.transport(ROWS, "a", "b", return_path=True, **options)
    moved = MIXED.transport(ROWS, "a", "b", denoise=True, **options)
    flow = Diffusion(MIXED.conditional_means, Bow([E[1], E[2]]), Barycentric(), 0.5)
    last = time_grid(flow, 6)[-2]
    assert torch.allclose(moved, flow.means(path[-2], flow.alpha(last))[:, 2])
    whole = MIXED.transport(ROWS, "a", "b", denoise=True, return_path=True, **options)
    assert torch.allclose(whole[:-1], path[:-1]) and torch.allclose(whole[-1], moved)
    one = MIXED.transport(ROWS, "a", "b", noise=0.5, denoise=True, steps=1)
    assert torch.allclose(
        one, MIXED.transport(ROWS, "a", "b", path="bow", solver="euler", steps=1)
    )
    assert torch.equal(
        MIXED.transport(ROWS, "a", "b", denoise=True), MIXED.transport(ROWS, "a", "b")
    )


def test_the_row_that_breaks_is_named_in_parts():
    def network(x, alpha):
        return torch.where(x[:, None, :1] > 9, torch.nan, x[:, None]).expand(-1, 2, -1)

    x = torch.zeros(10, 2)
    x[7] = 10
    with pytest.raises(SolverError, match="the first is row 7"):
        multisi.Model(network, ("a", "b")).transport(x, "a", "b", batch_size=3)
