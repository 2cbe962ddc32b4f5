import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import multisi
from multisi import Diffusion, ProbabilityFlow
from multisi.common.seeds import RowGenerator
from multisi.errors import (
    ConfigError,
    DataError,
    MultisiError,
    PluginError,
    ScoreError,
    ShapeError,
    SimplexError,
    SolverError,
    UnknownPluginError,
)
from multisi.interpolants.barycentric import Barycentric
from multisi.metrics import permutation_test
from multisi.paths.bow import Bow
from multisi.paths.polyline import Polyline, Segment
from multisi.sampling.integrate import time_grid
from multisi.solvers.runge_kutta import Adaptive
from tests.closed_forms import mixtures, sample_mixture

E = torch.eye(3, dtype=torch.float64)
MODEL = multisi.Model(multisi.GaussianMixtureMeans(*mixtures()), ("noise", "a", "b"), "noise")
BARE = multisi.Model(multisi.GaussianMixtureMeans(*mixtures(noise=False)), ("a", "b"))
X = sample_mixture(*(part[1] for part in mixtures()), 6, seed=0)


class Fast(multisi.Interpolant):
    """The same curve at another speed and scale."""

    def weights(self, alpha):
        return alpha**2


class NeedsNoise(Fast):
    needs_noise = True


class Wrong(multisi.Solver):
    def integrate(self, dynamics, y, times, *, generator):
        return y[:1]


class Off(multisi.Path):
    def __call__(self, t):
        return torch.stack([t - 0.5, 1.5 - t, 0 * t], -1)


@given(steps=st.integers(2, 200), depth=st.floats(0.05, 0.95))
def test_grid_is_even_in_arc_length(steps, depth):
    path = Bow([E[1], E[2]], depth)
    flow = ProbabilityFlow(MODEL._means, path, Barycentric())
    times = time_grid(flow, steps)
    assert len(times) == steps + 1 and times[0] == 0 and times[-1] == 1
    assert (times.diff() > 0).all()
    fine = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    travelled = torch.cat([fine[:1], path(fine).diff(dim=0).norm(dim=-1).cumsum(0)])
    at = travelled[(times * 20_000).round().long()]
    assert torch.allclose(at.diff(), at[-1] / steps, rtol=0.05, atol=1e-3)


def test_knots_are_on_the_grid():
    path = Polyline([E[1], E[0], E[0] * 0.9 + E[2] * 0.1])
    times = time_grid(ProbabilityFlow(MODEL._means, path, Barycentric()), 12)
    assert any(abs(times - knot).min() == 0 for knot in path.knots)
    assert (times < path.knots[1]).sum() == 11
    still = Segment([E[1], E[1]])
    grid = time_grid(ProbabilityFlow(MODEL._means, still, Barycentric()), 4)
    assert torch.allclose(grid, torch.linspace(0, 1, 5, dtype=torch.float64))


def test_there_and_back_is_the_identity():
    for target in ("b", "noise", {"a": 0.2, "b": 0.8}):
        back = MODEL.transport(MODEL.transport(X, "a", target, steps=128), target, "a", steps=128)
        assert torch.allclose(back, X, atol=1e-3)
    assert torch.allclose(MODEL.transport(X, "a", "a"), X, atol=1e-12)


def test_one_dimension_is_monotone():
    """In one dimension every path gives the same increasing map."""
    parts = mixtures(d=1)
    model = multisi.Model(multisi.GaussianMixtureMeans(*parts), ("noise", "a", "b"), "noise")
    x = torch.linspace(-3, 3, 50, dtype=torch.float64)[:, None]
    straight = model.transport(x, "a", "b", steps=512)
    assert (straight.diff(dim=0) > 0).all()
    assert torch.allclose(
        straight, model.transport(x, "a", "b", via="noise", steps=512), atol=1e-3
    )


def test_mixed_pairs_are_the_single_ones():
    sources, targets = ["a", "b", "noise", "a", "b", "a"], ["b", "a", "b", "noise", "noise", "a"]
    together = MODEL.transport(X, sources, targets)
    for i, (source, target) in enumerate(zip(sources, targets, strict=True)):
        alone = MODEL.transport(X[i : i + 1], source, target)
        assert torch.allclose(together[i : i + 1], alone, atol=1e-12)
    as_points = MODEL.transport(X, E[[1, 2, 0, 1, 2, 1]], np.array(targets))
    assert torch.allclose(as_points, together, atol=1e-12)


def test_rows_do_not_depend_on_their_batch():
    """A batch so large that it is moved in parts."""
    whole = MODEL.transport(X, "a", "b", steps=4)
    n = 18_000
    many = MODEL.transport(X.repeat(n // 6, 1), "a", "b", steps=4)
    assert torch.allclose(many, whole.repeat(n // 6, 1), atol=1e-12)
    ends = ["a"] * n, ["b"] * n
    rows = MODEL.transport(X.repeat(n // 6, 1), *ends, steps=4, return_path=True)
    assert rows.shape == (5, n, 2)
    assert torch.allclose(rows[-1], many, atol=1e-12)


@pytest.mark.parametrize("interpolant", [Barycentric(), Fast()])
def test_interpolants_do_not_change_the_end(interpolant):
    x = MODEL.transport(X, "a", {"a": 0.5, "b": 0.5}, interpolant=interpolant, steps=256)
    # Squared weights meet the barycentric edge where they are equal, at half the scale.
    scale = interpolant.weights(torch.tensor([0.0, 0.5, 0.5])).sum().item()
    expected = MODEL.transport(X, "a", {"a": 0.5, "b": 0.5}, steps=256)
    assert torch.allclose(x / scale, expected, atol=1e-4)
    middle = {"a": 0.5, "b": 0.5}
    back = MODEL.transport(x, middle, "a", interpolant=interpolant, steps=256)
    assert torch.allclose(back, X, atol=1e-3)


def test_whole_paths():
    path = MODEL.transport(X, "a", "b", return_path=True, steps=7)
    assert path.shape == (8, 6, 2)
    assert torch.allclose(path[0], X)
    assert torch.allclose(path[-1], MODEL.transport(X, "a", "b", steps=7), atol=1e-12)
    noisy = MODEL.transport(X, "a", "b", noise=1.0, seed=3, steps=7, return_path=True)
    assert torch.allclose(noisy[-1], MODEL.transport(X, "a", "b", noise=1.0, seed=3, steps=7))


def test_kind_and_type_of_arrays_are_kept():
    assert MODEL.transport(X.float(), "a", "b").dtype == torch.float32
    assert MODEL.transport(X.numpy(), "a", "b").dtype == np.float64
    assert MODEL.transport(X.numpy().astype(np.float32), "a", "b").dtype == np.float32
    assert isinstance(MODEL.transport(X.tolist(), "a", "b"), np.ndarray)
    assert MODEL.transport(X.long(), "a", "b").is_floating_point()
    assert MODEL.transport(X[:0], "a", "b").shape == (0, 2)
    assert MODEL.transport(X[:0], [], [], return_path=True).shape == (33, 0, 2)


def test_seeds():
    def run(seed):
        torch.manual_seed(torch.seed() % 1000)
        np.random.seed(seed or 0)
        return MODEL.transport(X, "a", "b", noise=0.5, seed=seed)

    assert torch.equal(run(5), run(5))
    assert not torch.equal(run(5), run(6))
    assert not torch.equal(run(None), run(None))


def test_paths_by_name_and_by_hand():
    bow = Bow([E[1], E[2]])
    assert torch.equal(
        MODEL.transport(X, "a", "b", path="bow"), MODEL.transport(X, "a", "b", path=bow)
    )
    rows = Bow([E[[1, 2, 1, 2, 1, 2]], E[[2, 1, 2, 1, 2, 1]]])
    moved = MODEL.transport(X, ["a", "b"] * 3, ["b", "a"] * 3, path=rows, steps=256)
    alone = MODEL.transport(X[:1], "a", "b", path=bow, steps=256)
    assert torch.allclose(moved[:1], alone, atol=2e-3)


def test_condition_reaches_the_network():
    seen = []

    def network(x, alpha, condition=None):
        seen.append(condition)
        return torch.zeros(len(x), 2, 2)

    model = multisi.Model(network, ("a", "b"))
    model.transport(X.float(), "a", "b", condition="c", steps=2)
    assert seen == ["c", "c"]


CASES = [
    (dict(source="c"), ConfigError, r"source: no marginal is named 'c'.* Known: noise, a, b"),
    (dict(target="nois"), ConfigError, "target: .*Did you mean 'noise'"),
    (dict(target=[0.5, 0.6, 0.1]), SimplexError, "target must sum to 1; got a sum of 1.2"),
    (dict(target=[0.5, 0.6, -0.1]), SimplexError, "target must not be negative"),
    (dict(target={"a": 0.5}), SimplexError, "target must sum to 1"),
    (dict(target={"a": "x"}), SimplexError, "weights must be numbers"),
    (dict(target=[0.5, 0.5]), SimplexError, "must have 3 coordinates"),
    (dict(target=["a", "b"]), ShapeError, "one for each of 6 rows; got shape"),
    (dict(target=object()), ConfigError, "target must be a name"),
    (dict(via="c"), ConfigError, "via: no marginal"),
    (dict(steps=0), ConfigError, "steps must be an integer of at least 1; got 0"),
    (dict(steps=2.5), ConfigError, "steps must be an integer"),
    (dict(steps=True), ConfigError, "steps must be an integer"),
    (dict(steps=1, via="noise"), ConfigError, "2 legs needs at least 2 steps; got 1"),
    (dict(noise=-1.0), ConfigError, "noise must be a finite number"),
    (dict(seed=-1), ConfigError, "seed must be a non-negative integer"),
    (dict(solver="midpiont"), UnknownPluginError, "Did you mean 'midpoint'"),
    (dict(interpolant="bary"), UnknownPluginError, "Known: barycentric"),
    (dict(path="arc"), UnknownPluginError, "Known: bow, polyline, segment"),
    (dict(solver=Wrong), ConfigError, r"not a class; got Wrong. Make one: Wrong\("),
    (dict(path=lambda t: t), ConfigError, "path must be an instance of Path"),
    (dict(interpolant=3), ConfigError, "must be an instance of Interpolant; got 3"),
    (dict(path="segment", via="noise"), SimplexError, "Use a polyline"),
    (dict(path="segment", noise=0.5), ScoreError, "path='bow'"),
    (dict(path=Segment([E[1], E[2]]), noise=0.5), ScoreError, "path='bow'"),
    (dict(path=Segment([E[2], E[1]])), SimplexError, "source as its end"),
    (dict(path=Off()), SimplexError, "must not be negative"),
    (dict(path=Bow([E[1], E[2]]), via="noise"), ConfigError, "exclude each other"),
    (dict(x=X[:, :1]), ShapeError, "vectors of 2 numbers"),
    (dict(x=X[0]), MultisiError, "shape"),
    (dict(x=1.0), ShapeError, "axis of rows"),
    (dict(x="text"), DataError, "array of numbers"),
    (dict(x=X / 0), DataError, "x must be finite; 6 of 6 rows"),
]


@pytest.mark.parametrize(("options", "error", "message"), CASES)
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        MODEL.transport(**{"x": X, "source": "a", "target": "b"} | options)


def test_models_without_noise():
    moved = BARE.transport(X, "a", "b", steps=128)
    assert torch.allclose(BARE.transport(moved, "b", "a", steps=128), X, atol=1e-3)
    with pytest.raises(ScoreError, match=r"needs a standard-normal marginal.*StandardNormal\(\)"):
        BARE.transport(X, "a", "b", noise=0.5)
    with pytest.raises(ConfigError, match="needs a noise marginal"):
        BARE.transport(X, "a", "b", interpolant=NeedsNoise())
    assert BARE.barycenter.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_values_that_are_not_finite_are_found(noise):
    class Late(torch.nn.Module):
        def forward(self, x, alpha):
            g = torch.zeros(len(x), 3, 2)
            g[4] = float("nan") if alpha[0, 2] > 0.5 else 0.0
            return g

    model = multisi.Model(Late(), ("noise", "a", "b"), "noise")
    with pytest.raises(SolverError, match=r"in step [5-9] of 10, t = 0\.\d+: 1 of 6 rows.* row 4"):
        model.transport(X.float(), "a", "b", steps=10, noise=noise, seed=0)


def test_solvers_that_break_their_contract():
    with pytest.raises(PluginError, match=r"must return a state of shape \(6, 2\); got \(1, 2\)"):
        MODEL.transport(X, "a", "b", solver=Wrong())


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ([0.0, 0.6, 0.5, 1.0], "increase from time to time; got 0.6 before 0.5"),
        ([0.0, 0.5, 0.5, 1.0], "increase from time to time; got 0.5 before 0.5"),
        ([0.0, float("nan"), 1.0], "must be finite"),
        ([0.0], r"at least 2 times; got shape \(1,\)"),
        ([[0.0, 1.0]], r"at least 2 times; got shape \(1, 2\)"),
        ([0.0, 0.5], "from 0, the source, to 1, the target; got 0 to 0.5"),
        ([-0.1, 1.0], "got -0.1 to 1"),
        ("even", "must be a list of times"),
    ],
)
def test_bad_grids(grid, message):
    with pytest.raises(ConfigError, match=message):
        MODEL.transport(X, "a", "b", grid=grid)


@pytest.mark.parametrize("solver", ["euler", "heun", "adams", "adams4", "ab3", "rk4", "adaptive"])
def test_any_grid(solver):
    """Uneven, with steps that are tiny or none but for rounding."""
    start, middle, end = (np.linspace(*ends, 80) for ends in ((0, 0.1), (0.1, 0.9), (0.9, 1)))
    grid = [*start, np.nextafter(0.1, 1), *middle[1:], 0.9 + 1e-9, *end[1:]]
    moved = MODEL.transport(X, "a", "b", grid=grid, solver=solver)
    exact = MODEL.transport(X, "a", "b", steps=500)
    assert torch.allclose(moved, exact, atol=0.05 if solver == "euler" else 5e-3)
    path = MODEL.transport(X, "a", "b", grid=grid, solver=solver, return_path=True)
    assert path.shape[0] == len(grid) and torch.allclose(path[-1], moved, atol=2e-3)


@pytest.mark.parametrize("solver", ["heun", "srk", "milstein", "midpoint", "euler"])
def test_numbered_rows_have_their_own_noise(solver):
    options = dict(noise=0.7, seed=3, solver=solver, steps=8)
    whole = MODEL.transport(X, "a", "b", rows=range(6), **options)
    for part in (slice(0, 2), slice(2, 6)):
        alone = MODEL.transport(X[part], "a", "b", rows=range(6)[part], **options)
        assert torch.allclose(alone, whole[part], atol=1e-10)
    small = MODEL.transport(X, "a", "b", rows=range(6), batch_size=2, **options)
    assert torch.allclose(small, whole, atol=1e-10)
    mixed = MODEL.transport(X, ["a"] * 6, ["b"] * 6, rows=np.arange(6), batch_size=4, **options)
    assert mixed.shape == whole.shape
    assert not torch.allclose(MODEL.transport(X, "a", "b", rows=range(1, 7), **options), whole)
    for rows, message in (([0.5] * 6, "one integer a row"), ([1, 2], r"shape \(6,\)")):
        with pytest.raises(ConfigError, match=message):
            MODEL.transport(X, "a", "b", rows=rows, **options)


def test_numbered_noise_is_standard_normal():
    generator = RowGenerator(torch.device("cpu"), 7, torch.arange(500))
    z = torch.stack([generator.normal(torch.empty(500, 40).double()) for _ in range(4)])
    fresh = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0)).double()
    assert permutation_test(z.flatten()[:2000, None], fresh, permutations=499).p_value > 1e-2
    assert abs(z.mean()) < 4 / 80_000**0.5 and abs(z.var() - 1) < 0.03
    for a, b in ((z[0], z[1]), (z[:, :-1], z[:, 1:]), (z[..., :-1], z[..., 1:])):
        assert abs(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]) < 0.02


def test_the_last_step_may_be_a_mean():
    options = dict(noise=0.5, seed=0, steps=6)
    path = MODEL.transport(X, "a", "b", return_path=True, **options)
    moved = MODEL.transport(X, "a", "b", denoise=True, **options)
    flow = Diffusion(MODEL.conditional_means, Bow([E[1], E[2]]), Barycentric(), 0.5)
    last = time_grid(flow, 6)[-2]
    assert torch.allclose(moved, flow.means(path[-2], flow.alpha(last))[:, 2])
    whole = MODEL.transport(X, "a", "b", denoise=True, return_path=True, **options)
    assert torch.allclose(whole[:-1], path[:-1]) and torch.allclose(whole[-1], moved)
    one = MODEL.transport(X, "a", "b", noise=0.5, denoise=True, steps=1)
    assert torch.allclose(one, MODEL.transport(X, "a", "b", path="bow", solver="euler", steps=1))
    assert torch.equal(MODEL.transport(X, "a", "b", denoise=True), MODEL.transport(X, "a", "b"))


def test_adaptive_meets_its_tolerance_or_says_so():
    exact = MODEL.transport(X, "a", "b", steps=500, solver="rk4")
    errors = [
        (MODEL.transport(X, "a", "b", solver=Adaptive(tol, tol)) - exact).abs().max().item()
        for tol in (1e-2, 1e-4, 1e-6)
    ]
    assert errors[0] < 0.1 and errors[1] < 1e-2 and errors[2] < 1e-3
    with pytest.raises(
        SolverError, match=r"within 28 network calls; it came to 0\.\d+ of the way"
    ):
        MODEL.transport(X, "a", "b", solver=Adaptive(1e-12, 1e-12, most_calls=30))
    nan = multisi.Model(lambda x, a: (x / 0)[:, None].expand(-1, 2, -1), ("a", "b"))
    with pytest.raises(SolverError, match="did not meet its tolerance"):
        nan.transport(X.float(), "a", "b", solver="adaptive")
    with pytest.raises(ConfigError, match="rtol must be a finite number above 0"):
        Adaptive(rtol=0)


def test_batches_of_one_and_in_parts():
    whole = MODEL.transport(X, "a", "b")
    assert torch.allclose(MODEL.transport(X[:1], "a", "b"), whole[:1], atol=1e-12)
    assert torch.allclose(MODEL.transport(X, "a", "b", batch_size=4), whole, atol=1e-12)
    with pytest.raises(ConfigError, match="batch_size must be an integer"):
        MODEL.transport(X, "a", "b", batch_size=0)


def test_the_row_that_breaks_is_named_in_parts():
    def network(x, alpha):
        return torch.where(x[:, None, :1] > 9, torch.nan, x[:, None]).expand(-1, 2, -1)

    x = torch.zeros(10, 2)
    x[7] = 10
    with pytest.raises(SolverError, match="the first is row 7"):
        multisi.Model(network, ("a", "b")).transport(x, "a", "b", batch_size=3)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (lambda alpha: alpha - 0.5, r"not negative and not all zero; got \[-0.5"),
        (lambda alpha: alpha / 0, "must give weights that are finite"),
        (lambda alpha: 0 * alpha, "not all zero"),
        (lambda alpha: alpha.sum(-1), r"must give weights of shape \(3,\).*got \(\)"),
        (lambda alpha: None, "got NoneType"),
    ],
)
def test_interpolants_that_break_their_contract(weights, message):
    class Bad(multisi.Interpolant):
        def weights(self, alpha):
            return weights(alpha)

    with pytest.raises(PluginError, match=message):
        MODEL.transport(X, "a", "b", interpolant=Bad())


@pytest.mark.parametrize("solver", ["adams", "rk4", "adaptive", "midpoint"])
def test_rows_that_stay_and_rows_that_move(solver):
    """Latent noise has no finite slope at a corner; where nothing moves that is no matter."""
    options = dict(interpolant="smoothed", solver=solver, steps=64)
    moved = MODEL.transport(X, ["a"] * 6, ["a", "b"] * 3, **options)
    assert torch.allclose(moved[::2], X[::2])
    assert torch.allclose(moved[1::2], MODEL.transport(X[1::2], "a", "b", **options), atol=5e-2)
