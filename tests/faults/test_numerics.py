"""Times, steps, fields and seeds that go wrong, and what must stay right."""

import random
import re

import numpy as np
import pytest
import torch

import multisi
from multisi.errors import (
    ConfigError,
    DataError,
    PluginError,
    ShapeError,
    SolverError,
    TrainingDivergedError,
)
from multisi.solvers.runge_kutta import Adaptive
from tests.closed_forms import mixtures

X = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
EXACT = multisi.Model(multisi.GaussianMixtureMeans(*mixtures()), ("z", "a", "b"), "z")
NAMES = ("z", "a", "b")
NAN = float("nan")


def of(network, names=NAMES):
    return multisi.Model(network, names, "z" if "z" in names else None)


def still(x, alpha):
    return x[:, None].expand(-1, 3, -1)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ([0.0, 0.6, 0.5, 1.0], "increase.* 0.6 before 0.5"),
        ([0.0, 0.5, 0.5, 1.0], "increase.* 0.5 before 0.5"),
        ([0.0, NAN, 1.0], "finite"),
        ([0.5], r"at least 2 times.* \(1,\)"),
        ([], r"2 times|list of times"),
        ([[0.0, 1.0]], r"at least 2 times.* \(1, 2\)"),
        ([0.0, 0.5], "source.* 1, the target.* 0 to 0.5"),
        ([0.0, 1.5], "source.* 1, the target.* 0 to 1.5"),
        ([-0.1, 1.0], "from 0, the source.* -0.1 to 1"),
        ("even", "list of times"),
    ],
    ids=str,
)
def test_bad_times(grid, message):
    for noise in (0.0, 0.5):
        with pytest.raises(ConfigError, match=f"grid.*{message}"):
            EXACT.transport(X, "a", "b", grid=grid, noise=noise)


@pytest.mark.parametrize("steps", [0, -1, NAN, 1.5, "32", None, True, 10**9, 10**30])
def test_bad_steps(steps):
    told = "1,000,000" if type(steps) is int and steps > 0 else f"integer.* {steps!r}"
    with pytest.raises(ConfigError, match=f"steps .*{told}"):
        EXACT.transport(X, "a", "b", steps=steps)


class Late(torch.nn.Module):
    """Right until some point of the path."""

    def __init__(self, then):
        super().__init__()
        self.then = then

    def forward(self, x, alpha):
        g = x[:, None].expand(-1, 3, -1)
        return self.then(g) if alpha[0, 2] > 0.5 else g


@pytest.mark.parametrize(
    ("solver", "noise"),
    [
        *((solver, 0.0) for solver in ("euler", "heun", "midpoint", "adams", "adams4", "rk4")),
        *((solver, 0.5) for solver in ("euler", "heun", "midpoint")),
    ],
)
@pytest.mark.parametrize(
    ("then", "error", "message"),
    [
        (lambda g: g * NAN, SolverError, r"in step \d+ of 10, t = 0\.\d+: 6 of 6 rows"),
        (lambda g: g[:, :2], ShapeError, r"shape \(6, 3, 2\); got \(6, 2, 2\)"),
        (lambda g: g.long(), PluginError, "floating type on cpu; got torch.int64"),
        (lambda g: g.to("meta"), PluginError, "on cpu; got torch.float32 on meta"),
        (lambda g: None, ShapeError, r"shape \(6, 3, 2\).* NoneType"),
    ],
    ids=["nan", "shape", "type", "device", "none"],
)
def test_network_breaks_on_the_way(then, error, message, noise, solver):
    with pytest.raises(error, match=message):
        of(Late(then)).transport(X.float(), "a", "b", steps=10, noise=noise, seed=0, solver=solver)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_exploding_field(noise):
    exploding = of(lambda x, alpha: 1e20 * (1 + x[:, None] ** 3).expand(-1, 3, -1))
    with pytest.raises(SolverError, match="stopped being finite"):
        exploding.transport(X.float(), "a", "b", steps=64, noise=noise, seed=0)


def test_ever_smaller_steps():
    calls = []

    def jagged(x, alpha):
        calls.append(1)
        return torch.sin(1e12 * x)[:, None].expand(-1, 3, -1) * 1e3

    with pytest.raises(SolverError, match="did not meet its tolerance within"):
        of(jagged).transport(X, "a", "b", solver=Adaptive(1e-10, 1e-10, most_calls=200))
    assert len(calls) <= 201


def test_many_steps():
    for solver in ("euler", "midpoint"):
        y = of(still).transport(
            X.float(), "a", "b", noise=0.5, seed=0, steps=20_001, solver=solver
        )
        assert torch.isfinite(y).all()


@pytest.mark.parametrize(
    "rows", [range(5), range(7), [0.5] * 6, [[1]] * 6, 3, "abcdef", [None] * 6]
)
def test_bad_row_numbers(rows):
    with pytest.raises(ConfigError, match=r"rows .*one integer per row"):
        EXACT.transport(X, "a", "b", noise=0.5, rows=rows)


def test_one_seed():
    options = {"noise": 0.5, "seed": 7, "steps": 8}
    first = EXACT.transport(X, "a", "b", rows=range(6), **options)
    for generator in (np.random.seed, torch.manual_seed, random.seed):
        generator(1)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    assert torch.equal(EXACT.transport(X, "a", "b", rows=range(6), **options), first)
    parts = [
        EXACT.transport(X[i:j], "a", "b", rows=range(i, j), **options) for i, j in ((0, 1), (1, 6))
    ]
    assert torch.allclose(torch.cat(parts), first, atol=1e-12)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all() and random.getstate() == states[2]
    other = EXACT.transport(X, "a", "b", rows=range(6), **options | {"seed": 8})
    assert not torch.allclose(other, first)


def test_little_noise():
    flow = EXACT.transport(X, "a", "b", path="bow", steps=512)
    for noise in (1e-12, 1e-300):
        near = EXACT.transport(X, "a", "b", path="bow", noise=noise, seed=0, steps=512)
        assert torch.allclose(near, flow, atol=1e-3)
    assert torch.equal(
        EXACT.transport(X, "a", "b", noise=0), EXACT.transport(X, "a", "b", noise=0.0)
    )
    for interpolant in ("barycentric", "smoothed"):
        y = EXACT.transport(X, "z", "b", noise=1.0, seed=0, interpolant=interpolant)
        assert torch.isfinite(y).all()


@pytest.mark.parametrize("noise", [-1.0, NAN, float("inf"), "much", [0.5], True, -1e-300])
def test_little_noise_unlike_bad_noise(noise):
    with pytest.raises(ConfigError, match=f"noise .*finite number.* {re.escape(repr(noise))}"):
        EXACT.transport(X, "a", "b", noise=noise)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_odd_batches(kind):
    model = of(still)
    for x in (
        torch.zeros(0, 2),
        torch.zeros(1, 2),
        torch.randn(7, 2),
        torch.randn(2, 7).T,
        torch.randn(14, 2)[::2],
        torch.randn(3, 2, requires_grad=True),
        torch.randn(1, 2).expand(5, 2),
    ):
        x = x.to(kind)
        for options in ({}, {"noise": 0.5, "seed": 0}, {"batch_size": 3}):
            y = model.transport(x, "a", "b", steps=4, **options)
            assert y.dtype == kind and y.shape == x.shape and not y.requires_grad
    empty = model.transport(np.zeros((0, 2)), "a", "b", return_path=True)
    assert empty.shape == (33, 0, 2)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (lambda x: x, ShapeError, r"shape \(6, 3, 2\); got \(6, 2\)"),
        (
            lambda x: x[:, None].expand(-1, 3, -1)[:5],
            ShapeError,
            r"shape \(6, 3, 2\); got \(5, 3, 2\)",
        ),
        (
            lambda x: x[:, None].expand(-1, 3, -1).numpy(),
            ShapeError,
            r"shape \(6, 3, 2\).*ndarray",
        ),
        (lambda x: x[:, None].expand(-1, 3, -1) * NAN, SolverError, "finite.* 6 of 6 rows"),
        (lambda x: 1 / 0, ZeroDivisionError, "division"),
    ],
)
def test_network_answers_otherwise(answer, error, message):
    class Odd(torch.nn.Module):
        def forward(self, x, alpha):
            return answer(x)

    with pytest.raises(error, match=message):
        of(Odd()).transport(X.float(), "a", "b", steps=2)


class Sometimes(torch.nn.Module):
    """A network whose loss is not finite at some calls in training."""

    def __init__(self, when, value=NAN):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.when, self.value, self.calls = when, value, 0

    def forward(self, x, alpha):
        self.calls += self.training
        factor = self.value if self.training and self.when(self.calls) else 1.0
        return self.weight * factor * x[:, None].expand(-1, 2, -1)


@pytest.mark.parametrize("value", [NAN, float("inf"), 1e38])
def test_loss_not_finite_once(value):
    data = {"a": torch.randn(50, 2), "b": torch.randn(50, 2)}
    model = multisi.fit(
        data, network=Sometimes(lambda i: i in (3, 9), value), steps=30, progress=False
    )
    assert model.card["training"]["skipped"] == 2
    assert all(torch.isfinite(p).all() for p in model.conditional_means.parameters())


def test_loss_not_finite_any_more(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = {"a": torch.randn(50, 2), "b": torch.randn(50, 2)}
    with pytest.raises(TrainingDivergedError, match=r"up to step 59.*last good weights.* step 39"):
        multisi.fit(data, network=Sometimes(lambda i: i > 40), steps=100, progress=False)
    kept = multisi.load("multisi-interrupted.safetensors", network=Sometimes(None))
    assert torch.isfinite(kept.transport(torch.zeros(3, 2), "a", "b")).all()


def test_huge_numbers_far_from_the_data():
    model = multisi.fit({"a": X, "b": X + 1}, steps=2, progress=False)
    with pytest.raises(DataError, match="too far from the data"):
        model.transport(X * 1e300, "a", "b")


@pytest.mark.parametrize("kind", [np.float16, torch.float16])
def test_huge_numbers_in_a_short_type(kind):
    one, wide = torch.ones(1), torch.eye(2)[None]
    ends = [torch.zeros(1, 2), torch.full((1, 2), 1e6)]
    model = multisi.Model(multisi.GaussianMixtureMeans([one] * 2, ends, [wide] * 2), ("a", "b"))
    x = X.to(kind) if isinstance(kind, torch.dtype) else X.numpy().astype(kind)
    with pytest.raises(DataError, match="float16 cannot hold"):
        model.transport(x, "a", "b")
