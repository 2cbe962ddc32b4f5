"""One model of five sets in the plane beside ten pairwise ones of torchcfm, at equal time.

`SECONDS`, `SEEDS`, `ARMS` in the environment change what is run.
"""

import itertools
import os
import statistics

import torch

import multisi
from tests.benchmarks.measure import Judge, spread
from tests.benchmarks.sets import draw

SECONDS = float(os.environ.get("SECONDS", 60))
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0,1,2").split(",")]
ARMS = os.environ.get("ARMS", "one,thin,ot,torchcfm,torchcfm-ot").split(",")
TRAIN, SAMPLES, STEPS = 50_000, 4000, 32


def run():
    """Energy distance over 20 directed pairs, each seed; NPE and SDEs where there are any."""
    print(f"\nFive sets, {SECONDS:g} s of training in all, {torch.get_num_threads()} threads")
    print("figure: mean over 20 directed pairs and seeds (each seed)")
    found = {}
    for seed in SEEDS:
        for arm in ARMS:
            for figure, value in _arm(arm, seed).items():
                found.setdefault((arm, figure), []).append(value)
                print(f"  seed {seed}, {arm}, {figure}: {value:.5f}", flush=True)
    for (arm, figure), values in found.items():
        print(f"{arm:12} {figure:34} {spread(values)}", flush=True)


def _arm(arm, seed):
    def sets(n, seed):
        normal = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
        return {"normal": normal, **draw(n, seed, thin=arm == "thin")}

    judge, data = Judge(lambda s: sets(SAMPLES, s), seed), sets(TRAIN, seed)
    if arm.startswith("torchcfm"):
        return _torchcfm(judge, data, arm == "torchcfm-ot", seed)
    found = {"floor": judge.floor()}
    coupling = "ot" if arm == "ot" else "independent"
    if arm != "ot":
        data["normal"] = multisi.StandardNormal()
    options = {"coupling": coupling, "max_seconds": SECONDS, "steps": 10**7}
    model = multisi.fit(data, **options, seed=seed, progress=False)
    excess = []

    def transport(x, source, target, **options):
        if arm != "ot":
            return model.transport(x, source, target, steps=STEPS, seed=seed, **options)
        grid = torch.linspace(0, 1, STEPS + 1)
        states = model.transport(x, source, target, grid=grid, return_path=True)
        excess.append(judge.excess(states, source, target))
        return states[-1]

    found["energy distance"] = statistics.fmean(judge.distances(transport).values())
    if arm == "ot":
        found["excess of path energy (NPE)"] = statistics.fmean(excess)
    else:
        for noise in (0.5, 2.0):
            values = judge.distances(lambda *a, n=noise: transport(*a, noise=n)).values()
            found[f"energy distance, noise {noise:g}"] = statistics.fmean(values)
    return found


def _torchcfm(judge, data, ot, seed):
    from tests.benchmarks.peers import Pairwise

    pairs = list(itertools.combinations(judge.names, 2))
    models = {
        (i, j): Pairwise(
            *(torch.as_tensor(data[n]).float() for n in (i, j)),
            ot=ot,
            seconds=SECONDS / len(pairs),
            seed=seed,
        )
        for i, j in pairs
    }
    excess = []

    def transport(x, source, target):
        back = (target, source) in models
        states = models[(target, source) if back else (source, target)].states(x, back)
        excess.append(judge.excess(states, source, target))
        return states[-1]

    found = {"energy distance": statistics.fmean(judge.distances(transport).values())}
    if ot:
        found["excess of path energy (NPE)"] = statistics.fmean(excess)
    return found
