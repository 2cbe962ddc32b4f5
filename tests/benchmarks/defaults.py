"""`fit` with nothing but the data: five sets in the plane, and four others without noise.

`SECONDS`, `SEEDS`, `ARMS` in the environment change what is run.
"""

import os
import statistics

import torch

import multisi
from multisi.errors import ScoreError
from tests.benchmarks.measure import Judge, arms, spread, train
from tests.benchmarks.sets import draw, others

SECONDS = float(os.environ.get("SECONDS", 30))
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0,1,2").split(",")]
ARMS = {"defaults": {}}
TRAIN, SAMPLES = 50_000, 4000


def five(n, seed):
    """Samples of the standard normal and the four sets of `draw`."""
    normal = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return {"normal": normal, **draw(n, seed)}


CASES = {"five sets": five, "four others": others}


def run():
    """Mean unbiased energy distance over all ordered pairs, of flows and SDEs, and each seed."""
    print(f"\n{SECONDS:g} s of training, {torch.get_num_threads()} threads: energy distance")
    for case in CASES:
        for arm, options in arms(ARMS).items():
            found = {}
            for seed in SEEDS:
                model = fit(case, seed, **{"max_seconds": SECONDS, **options})
                found.setdefault("steps", []).append(model.card["training"]["steps"])
                for figure, value in judge(model, case, seed).items():
                    found.setdefault(figure, []).append(value)
            for figure, values in found.items():
                print(f"{case:12} {arm:12} {figure:16} {spread(values)}", flush=True)


def fit(case, seed, **options):
    """A model of the samples of a case."""
    data = CASES[case](TRAIN, seed)
    if "normal" in data:
        data["normal"] = multisi.StandardNormal()
    return train(data, **{"seed": seed, **options})


def judge(model, case, seed):
    """Name of a figure to the mean of the energy distance over all ordered pairs."""
    judge = Judge(lambda s: CASES[case](SAMPLES, s), seed)
    ways = {"flow": {"steps": 50}}
    if "normal" in judge.names:
        ways["SDE, noise .5"] = {"steps": 64, "noise": 0.5}
    found = {"floor": judge.floor()}
    for way, options in ways.items():

        def transport(x, source, target, options=options):
            return model.transport(x, source, target, seed=seed, **options)

        try:
            found[way] = statistics.fmean(judge.distances(transport).values())
        except ScoreError:
            found[way] = float("nan")
    return found
