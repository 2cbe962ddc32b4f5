"""Error of transport on exact Gaussian fields, by solver, interpolant and number of calls."""

import itertools

import torch

from multisi import Solver, registry
from multisi.interpolants.smoothed import Smoothed
from tests.closed_forms import gaussian_model, gaussians, law_errors, w2_errors

PROBLEMS, CALLS = 5, (5, 16, 64)
SOLVERS = ("euler", "heun", "midpoint", "rk4", "ab2", "ab3", "adams", "adams4")
EDGES = ("barycentric", "trigonometric", "variance-preserving")
LATENT = (Smoothed("sine"), Smoothed("sqrt"), Smoothed("quadratic"), "encoding-decoding")


def run():
    """Relative 2-Wasserstein errors, then relative errors of mean and covariance."""
    print(f"\nRelative W2 error, {PROBLEMS} problems x 6 directed pairs, d = 4, condition 20")
    print("interpolant | solver   | 5 calls: median, worst | 16 calls | 64 calls")
    for interpolant, noise in [*((i, False) for i in EDGES), *((i, True) for i in LATENT)]:
        for name in SOLVERS:
            cells = (_cell(_w2(name, calls, interpolant, noise)) for calls in CALLS)
            print(f"{interpolant!s:36} | {name:8} | {' | '.join(cells)}", flush=True)
    print(
        "\nRelative error of mean and covariance, 20 problems x 6 directed pairs, straight edges"
    )
    print("condition | solver   | 16 calls: median, worst | 64 calls")
    for condition in (5.0, 10.0, 20.0, 100.0):
        for name in SOLVERS:
            cells = (_cell(_law(name, calls, condition)) for calls in CALLS[1:])
            print(f"{condition:9.0f} | {name:8} | {' | '.join(cells)}", flush=True)


def _cell(errors):
    errors = torch.as_tensor(errors)
    return f"{errors.median():.1e} {errors.max():.1e}"


def _steps(name, calls):
    return calls // registry.create("solver", name, Solver).calls_per_step


def _w2(name, calls, interpolant, noise):
    errors, least = [], 2 if interpolant == "encoding-decoding" else 1  # A step for each leg.
    for seed in range(PROBLEMS):
        means, covariances = gaussians(seed, marginals=3 + noise, noise=noise)
        names = ("noise", "a", "b", "c")[not noise :]
        model = gaussian_model(means, covariances, noise="noise" if noise else None, names=names)
        pairs = itertools.permutations(range(noise, 3 + noise), 2)
        options = dict(solver=name, steps=max(least, _steps(name, calls)), interpolant=interpolant)
        errors += w2_errors(model, means, covariances, pairs, **options)
    return errors


def _law(name, calls, condition):
    errors = []
    for seed in range(20):
        means, covariances = gaussians(seed, condition=condition)
        model = gaussian_model(means, covariances)
        options = dict(solver=name, steps=_steps(name, calls))
        errors.append(law_errors(model, means, covariances, **options).max(1).values)
    return torch.cat(errors)
