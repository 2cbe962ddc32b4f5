"""Eight Gaussians and moons, both ways, beside torchcfm's OT-CFM after as many steps."""

import os
import statistics
import time

import torch

import multisi
from multisi.metrics import wasserstein
from tests.benchmarks.measure import Judge
from tests.benchmarks.sets import draw

STEPS = int(os.environ.get("STEPS", 5000))
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0,1,2,3,4").split(",")]
ROWS = 2000


def run():
    """W2 to fresh samples, and the excess of the path energy, of each seed and in the median."""
    from tests.benchmarks.peers import Pairwise

    print(f"\n{STEPS} steps of 256 rows, networks of 64 x 3; {ROWS} samples")
    print("direction | model | median: W2, NPE | each seed")
    found, floors = {}, []
    for seed in SEEDS:
        judge = Judge(lambda s: _two(ROWS, s), seed)
        data = _two(50_000, seed)
        floors += [wasserstein(judge.test[name], judge.fresh[name]) for name in judge.names]
        start = time.perf_counter()
        model = multisi.fit(
            data,
            coupling="ot",
            network_options={"preset": "small"},
            steps=STEPS,
            seed=seed,
            progress=False,
        )
        ours = time.perf_counter() - start
        grid = torch.linspace(0, 1, 51)
        tensors = [torch.as_tensor(x).float() for x in data.values()]
        peer = Pairwise(*tensors, ot=True, steps=STEPS, seed=seed)
        theirs = time.perf_counter() - start - ours
        print(f"seed {seed}: {ours:.0f} s, torchcfm {theirs:.0f} s", flush=True)
        for source, target in (judge.names, judge.names[::-1]):
            x = judge.test[source]
            states = {
                "multisi": model.transport(x, source, target, grid=grid, return_path=True),
                "torchcfm": peer.states(x, backwards=source == "moons"),
            }
            for name, path in states.items():
                figures = (
                    wasserstein(path[-1], judge.fresh[target]),
                    judge.excess(path, source, target),
                )
                found.setdefault((f"{source} to {target}", name), []).append(figures)
    for (direction, name), rows in found.items():
        middle = [statistics.median(values) for values in zip(*rows, strict=True)]
        each = "; ".join(f"{w2:.3f}, {excess:+.4f}" for w2, excess in rows)
        print(f"{direction} | {name} | {middle[0]:.3f}, {middle[1]:+.4f} | {each}")
    print(f"floor of W2, two samples of one law: {statistics.median(floors):.3f}")


def _two(n, seed):
    sets = draw(n, seed)
    return {name: sets[name] for name in ("gaussians", "moons")}
