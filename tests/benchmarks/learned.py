"""Solvers on a learned field: distance to the target, and to the exact flow of the field."""

import statistics

import torch

import multisi
from multisi import registry
from multisi.metrics import energy_distance
from tests.benchmarks.sets import draw

SECONDS, SAMPLES, SEEDS = 60, 4000, (0,)
FLOW = ("euler", "heun", "midpoint", "ab2", "ab3", "adams", "adams4", "rk4")
DIFFUSION = ("euler", "heun", "midpoint", "srk")


def run():
    """Means over the 12 directed pairs of four sets in the plane."""
    print(f"\nOne model of five laws, {SECONDS} s of training; mean over 12 directed pairs")
    print("seed | noise | solver   | calls | energy distance | error of the flow")
    for seed in SEEDS:
        data = {"noise": multisi.StandardNormal(), **draw(50_000, seed)}
        model = multisi.fit(data, steps=10**6, max_seconds=SECONDS, seed=seed, progress=False)
        test = {name: torch.from_numpy(x).float() for name, x in draw(SAMPLES, 100 + seed).items()}
        pairs = [(i, j) for i in test for j in test if i != j]
        fresh = {n: torch.from_numpy(x).float() for n, x in draw(SAMPLES, 200 + seed).items()}
        exact = {p: model.transport(test[p[0]], *p, solver="rk4", steps=200) for p in pairs}
        for noise, solvers in ((0.0, FLOW), (0.5, DIFFUSION), (2.0, DIFFUSION)):
            for name in solvers:
                for calls in (8, 16, 32, 64):
                    _row(model, test, fresh, exact, seed, noise, name, calls)


def _row(model, test, fresh, exact, seed, noise, name, calls):
    steps = calls // registry.create("solver", name, multisi.Solver).calls_per_step
    distances, errors = [], []
    for pair in exact:
        x = test[pair[0]]
        moved = model.transport(x, *pair, noise=noise, seed=seed, solver=name, steps=steps)
        distances.append(energy_distance(moved, fresh[pair[1]]))
        errors.append((moved - exact[pair]).square().mean().item())
    error = f"{statistics.fmean(errors) ** 0.5:.4f}" if not noise else "-"
    distance = statistics.fmean(distances)
    print(f"{seed:4} | {noise:5} | {name:8} | {calls:5} | {distance:15.5f} | {error}", flush=True)
