"""Deliberately wrong solvers and couplings: each is caught by the check made for it."""

import pytest
import torch

import multisi
from multisi.couplings.independent import Independent
from multisi.errors import ConformanceError
from multisi.solvers.torchsde_methods import Euler, Heun, Midpoint
from multisi.testing import check_coupling, check_solver
from multisi.testing.couplings import COUPLING
from multisi.testing.solvers import SOLVER


def solver(function, base=Midpoint, **attributes):
    """A solver that spoils another one: `function(integrate, dynamics, y, times, generator)`."""

    class Wrong(base):
        def integrate(self, dynamics, y, times, *, generator):
            def right(dynamics, y, times):
                return base().integrate(dynamics, y, times, generator=generator)

            return function(right, dynamics, y, times)

    for name, value in attributes.items():
        setattr(Wrong, name, value)
    return Wrong


class Backwards(multisi.FixedStep):
    """Euler's method at the end of the step, and beyond it."""

    calls_per_step, stochastic = 1, False

    def step(self, dynamics, y, t, u, generator):
        return y + (u - t) * dynamics.velocity(y, t + 1.5 * (u - t))


class ForgetsNoise(Midpoint):
    def integrate(self, dynamics, y, times, *, generator):
        if dynamics.stochastic:
            dynamics.diffusion = lambda t: torch.zeros_like(torch.as_tensor(t).double())
            y = y + 1e-9 * torch.randn(y.shape, generator=generator, dtype=y.dtype)
        return super().integrate(dynamics, y, times, generator=generator)


class DrawsForTheBatch(multisi.FixedStep):
    """Euler and Maruyama's method with numbers that depend on the batch."""

    calls_per_step = 1

    def step(self, dynamics, y, t, u, generator):
        z = torch.randn(y.shape, generator=generator, dtype=y.dtype)
        h = (u - t).item()
        return y + h * dynamics.drift(y, t) + dynamics.diffusion(t).item() * h**0.5 * z


def even(right, dynamics, y, times):
    return right(dynamics, y, torch.linspace(0, 1, len(times)).double())


def in_place(right, dynamics, y, times):
    return y.copy_(right(dynamics, y, times))


WRONG_SOLVERS = {
    "solver": lambda: object(),
    "shape": solver(lambda right, d, y, t: right(d, y, t)[:1]),
    "dtype": solver(lambda right, d, y, t: right(d, y, t).double()),
    "calls": solver(lambda right, d, y, t: right(d, y, t), calls_per_step=1),
    "points": Backwards,
    "untouched": solver(in_place),
    "rows": solver(lambda right, d, y, t: right(d, y + 0.1 * (y - y.mean(0)), t)),
    "generators": solver(lambda right, d, y, t: right(d, y + 0 * torch.rand(()), t)),
    "repeatable": solver(lambda right, d, y, t: right(d, y + 1e-3 * torch.rand(()), t)),
    "numbered_rows": DrawsForTheBatch,
    "law": solver(lambda right, d, y, t: y + 0.9 * (right(d, y, t) - y)),
    "grids": solver(even),
    "order": Euler,
    "noise": ForgetsNoise,
}


@pytest.mark.parametrize("check", SOLVER.checks)
def test_wrong_solver(check):
    options = {"order": 2 if check == "order" else 1, "skip": set(SOLVER.checks) - {check}}
    with pytest.raises(ConformanceError, match=f"\n- {check}: ") as caught:
        check_solver(WRONG_SOLVERS[check], **options)
    assert set(caught.value.broken) == {check}


def coupling(function, **attributes):
    """A coupling that spoils independent draws: `function(sample, self, n, seed, step)`."""

    class Wrong(Independent):
        def sample(self, n, *, seed, step):
            def right(n, seed, step):
                return Independent.sample(self, n, seed=seed, step=step)

            return function(right, self, n, seed, step)

    for name, value in attributes.items():
        setattr(Wrong, name, value)
    return Wrong


class Remembers(Independent):
    count = 0

    def sample(self, n, *, seed, step):
        self.count += 1
        return super().sample(n, seed=seed, step=step + 1000 * self.count)


class HandsOut(Independent):
    """Whole datasets, as they are in memory, where just so many rows are asked for."""

    def sample(self, n, *, seed, step):
        xs = super().sample(n, seed=seed, step=step)
        self.data[0].samples.add_(0.0 * xs.sum()).mul_(1.01)
        return xs


class WrongRows(Independent):
    def condition(self, n, *, seed, step):
        return super().condition(n, seed=seed, step=step + 1)


def global_numbers(right, self, n, seed, step):
    return right(n, seed, step) + 0 * torch.rand(())


def by_the_data(right, self, n, seed, step):
    """Noise sorted as the first dataset is."""
    xs = right(n, seed, step).clone()
    if xs.ndim == 3:
        xs[:, 0, 0] = xs[:, 0, 0].sort().values[xs[:, 1, 0].argsort().argsort()]
    return xs


WRONG_COUPLINGS = {
    "coupling": lambda marginals: marginals,
    "shape": coupling(lambda right, self, n, seed, step: right(n, seed, step)[:50]),
    "events": coupling(lambda right, self, n, seed, step: right(n, seed, step).flatten(2)),
    "finite": coupling(lambda right, self, n, seed, step: right(n, seed, step) / 0),
    "repeatable": Remembers,
    "changing": coupling(lambda right, self, n, seed, step: right(n, seed, 0)),
    "generators": coupling(global_numbers),
    "untouched": HandsOut,
    "laws": coupling(lambda right, self, n, seed, step: 0.9 * right(n, seed, step)),
    "independence": coupling(by_the_data),
    "condition": WrongRows,
}


@pytest.mark.parametrize("check", COUPLING.checks)
def test_wrong_coupling(check):
    others = set(COUPLING.checks) - {check}
    with pytest.raises(ConformanceError, match=f"\n- {check}: ") as caught:
        check_coupling(WRONG_COUPLINGS[check], skip=others)
    assert set(caught.value.broken) == {check}


def test_weights_must_be_honoured():
    def evenly(right, self, n, seed, step):
        for marginal in self.data:
            marginal.weights = None
        return right(n, seed, step)

    with pytest.raises(ConformanceError, match="must keep its law, including weights"):
        check_coupling(coupling(evenly), skip=set(COUPLING.checks) - {"laws"})


def test_dependence_that_is_declared_is_right():
    others = set(COUPLING.checks) - {"independence"}
    check_coupling(coupling(by_the_data, noise_independent=False), skip=others)


def test_heun_claims_no_more_than_it_keeps():
    with pytest.raises(ConformanceError, match=r"order is 3; .*is order 2\.0"):
        check_solver(Heun, order=3, skip=set(SOLVER.checks) - {"order"})
