"""What rectification gains: energy distance by network calls, and the law at a barycentre.

`ARMS` names what is run: `sets`, `gaussians`. `SECONDS` is the time of each training, `SEEDS` are
the seeds.
"""

import os
import statistics

import torch

import multisi
from tests.benchmarks.measure import Judge, spread
from tests.benchmarks.sets import draw

SECONDS = float(os.environ.get("SECONDS", 60))
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0,1,2").split(",")]
CALLS = (1, 2, 4, 8, 64)
SOLVERS = {"euler": 1, "midpoint": 2, "heun": 2, "adams": 1, "rk4": 4}
"""Solvers and their calls for a step."""
ROUNDS = int(os.environ.get("ROUNDS", 1))


def run():
    """The tables of all arms, or of those that are named."""
    for name in os.environ.get("ARMS", ",".join(TABLES)).split(","):
        TABLES[name]()


def _sets():
    """Five sets in the plane: `ot`, and each round of rectification, with the best solver."""
    print(f"\nFive sets, {SECONDS:g} s and {SECONDS:g} s for each round, best solver")
    found = {}
    for seed in SEEDS:

        def sets(n, seed):
            normal = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
            return {"normal": normal, **draw(n, seed)}

        judge, data = Judge(lambda s, sets=sets: sets(4000, s), seed), sets(50_000, seed)
        model = _fit(data, "ot", seed)
        for number in range(ROUNDS + 1):
            model = model.rectify() if number else model
            for calls in CALLS:
                value, solver = _best(model, judge, calls)
                found.setdefault((number, calls), []).append(value)
                print(f"  seed {seed}, round {number}, {calls} calls: {value:.5f} ({solver})")
    for (number, calls), values in found.items():
        print(f"round {number}, {calls:2} calls: {spread(values)}", flush=True)


def _best(model, judge, calls):
    """The least mean energy distance among the solvers that can make so many calls."""
    figures = {}
    for solver, each in SOLVERS.items():
        if calls % each == 0:
            options = {"solver": solver, "steps": calls // each}
            moved = judge.distances(lambda *a, o=options: model.transport(*a, **o))
            figures[solver] = statistics.fmean(moved.values())
    best = min(figures, key=figures.get)
    return figures[best], best


def _gaussians():
    """Three Gaussians with commuting covariances: the law at the barycentre, in closed form."""
    variances = torch.tensor([[1.0, 4.0], [4.0, 1.0], [2.0, 2.0]])
    means = torch.tensor([[0.0, 0.0], [3.0, 1.0], [-2.0, 3.0]])
    exact = torch.diag(variances.sqrt().mean(0) ** 2)
    print("\nThree Gaussians: relative error of the covariance at the barycentre, worst start")
    for first in ("independent", "ot"):
        errors = {0: [], 1: []}
        for seed in SEEDS:
            source = torch.Generator().manual_seed(seed)

            def samples(n, k, source=source):
                normal = torch.randn(n, 2, generator=source)
                return normal * variances[k].sqrt() + means[k]

            model = _fit({name: samples(50_000, k) for k, name in enumerate("abc")}, first, seed)
            for number in errors:
                model = model.rectify() if number else model
                moved = [model.transport(samples(200_000, k), n, [1 / 3] * 3) for k, n in _ABC]
                gaps = [(x.double().T.cov() - exact).norm() / exact.norm() for x in moved]
                errors[number].append(max(gaps).item())
        for number, values in errors.items():
            print(f"{first}, round {number}: {spread(values)}", flush=True)


def _fit(data, coupling, seed):
    options = {"max_seconds": SECONDS, "steps": 10**7, "seed": seed, "progress": False}
    return multisi.fit(data, coupling=coupling, **options)


_ABC = list(enumerate("abc"))
TABLES = {"sets": _sets, "gaussians": _gaussians}
