"""Plans that are reused beside fresh ones at every step, after as many steps."""

import os
import statistics

import torch

import multisi
from tests.benchmarks.measure import Judge, spread
from tests.benchmarks.sets import draw

STEPS = int(os.environ.get("STEPS", 5000))
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0,1,2,3,4").split(",")]
SETS = (("gaussians", "moons"), ("gaussians", "moons", "checkers"))
ARMS = {
    "fresh at every step": {"reuse": 1, "pool": 1},
    "each row drawn 64 times": {},
}


def run():
    """Means over all directed pairs and seeds (each seed)."""
    print(f"\n{STEPS} steps of 256 rows, network of 64 x 3, plans of 256 rows, 4,000 samples")
    for names in SETS:
        for arm, options in ARMS.items():
            found = [_figures(names, options, seed) for seed in SEEDS]
            distances, energies, excesses = zip(*found, strict=True)
            print(f"K = {len(names)}, {arm}: energy distance {spread(distances)}")
            print(f"    path energy {spread(energies)}, NPE {spread(excesses)}", flush=True)


def _figures(names, options, seed):
    def some(n, seed):
        sets = draw(n, seed)
        return {name: sets[name] for name in names}

    judge = Judge(lambda s: some(4000, s), seed)
    model = multisi.fit(
        some(50_000, seed),
        coupling="ot",
        coupling_options=options,
        network_options={"preset": "small"},
        steps=STEPS,
        seed=seed,
        progress=False,
    )
    grid, energies, excesses = torch.linspace(0, 1, 33), [], []

    def transport(x, source, target):
        states = model.transport(x, source, target, grid=grid, return_path=True)
        excesses.append(judge.excess(states, source, target))
        energies.append((states[1:] - states[:-1]).square().sum(2).mean(1).sum().item() * 32)
        return states[-1]

    distance = statistics.fmean(judge.distances(transport).values())
    return distance, statistics.fmean(energies), statistics.fmean(excesses)
