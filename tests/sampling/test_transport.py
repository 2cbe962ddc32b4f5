import numpy as np
import pytest
import torch

import multisi
from multisi.common.seeds import RowGenerator
from multisi.errors import (
    ConfigError,
    DataError,
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
from multisi.paths.polyline import Segment
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
    (dict(steps=1, via="noise"), ConfigError, "2 legs needs at least 2 steps; got 1"),
    (dict(seed=-1), ConfigError, "seed must be a non-negative integer"),
    (dict(solver="midpiont"), UnknownPluginError, "Did you mean 'midpoint'"),
    (dict(interpolant="bary"), UnknownPluginError, "Known: barycentric"),
    (dict(path="arc"), UnknownPluginError, "Known: bow, polyline, segment"),
    (dict(solver=Wrong), ConfigError, r"the class Wrong. Create an instance: Wrong\("),
    (dict(path=lambda t: t), ConfigError, "path must be an instance of Path"),
    (dict(interpolant=3), ConfigError, "must be an instance of Interpolant; got 3"),
    (dict(path="segment", via="noise"), SimplexError, "Use a polyline"),
    (dict(path="segment", noise=0.5), ScoreError, "path='bow'"),
    (dict(path=Segment([E[1], E[2]]), noise=0.5), ScoreError, "path='bow'"),
    (dict(path=Segment([E[2], E[1]])), SimplexError, "at the source expected"),
    (dict(path=Bow([E[1], E[2]]), via="noise"), ConfigError, "cannot be used together"),
    (dict(x=X[:, :1]), ShapeError, r"x must have shape \(b, 2\); got \(6, 1\)"),
    (dict(x=X[0]), ShapeError, r"x must have shape \(b, 2\); got \(2,\)"),
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
    for rows, message in (([0.5] * 6, "one integer per row"), ([1, 2], r"shape \(6,\)")):
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


def test_adaptive_meets_its_tolerance_or_says_so():
    exact = MODEL.transport(X, "a", "b", steps=500, solver="rk4")
    errors = [
        (MODEL.transport(X, "a", "b", solver=Adaptive(tol, tol)) - exact).abs().max().item()
        for tol in (1e-2, 1e-4, 1e-6)
    ]
    assert errors[0] < 0.1 and errors[1] < 1e-2 and errors[2] < 1e-3
    with pytest.raises(SolverError, match=r"within 28 network calls; it reached 0\.\d+ of the"):
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


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (lambda alpha: alpha - 0.5, r"not negative and not all zero; got \[-0.5"),
        (lambda alpha: alpha / 0, "must return weights that are finite"),
        (lambda alpha: 0 * alpha, "not all zero"),
        (lambda alpha: alpha.sum(-1), r"must return weights of shape \(3,\).*got \(\)"),
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
