"""Error of transport on exact Gaussian fields, by solver and number of network calls."""

import torch

from multisi import Solver, registry
from tests.closed_forms import gaussian_model, gaussians, law_errors

PROBLEMS = 20


def run():
    """Relative errors of the law at the end: three Gaussians, d = 4, all directed pairs."""
    print(
        f"\nRelative error of mean and covariance, {PROBLEMS} problems x 6 directed pairs, d = 4"
    )
    print("condition | solver   | calls | median  | worst")
    for condition in (5.0, 10.0, 20.0, 100.0):
        for name in ("euler", "heun", "midpoint"):
            for calls in (16, 64):
                steps = calls // registry.create("solver", name, Solver).calls_per_step
                rows = [_errors(seed, condition, name, steps) for seed in range(PROBLEMS)]
                worst = torch.cat(rows).max(1).values
                figures = f"{worst.median():.1e} | {worst.max():.1e}"
                print(f"{condition:9.0f} | {name:8} | {calls:5} | {figures}")


def _errors(seed, condition, solver, steps):
    means, covariances = gaussians(seed, condition=condition)
    model = gaussian_model(means, covariances)
    return law_errors(model, means, covariances, solver=solver, steps=steps)
