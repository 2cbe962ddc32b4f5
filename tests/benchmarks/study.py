"""Couplings and other options of `fit` over many cases: a line of JSON for each run, and a table.

In the environment: `CASES`, `ARMS` and `SEEDS` say what is run; `STEPS` or `SECONDS` how long;
`JOBS` in how many processes at once, each with one thread; `SAMPLES` with how many samples each
is judged; `OUT` is the file that lines are added to.
"""

import concurrent.futures
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import time

import numpy as np
import torch

from multisi.metrics import wasserstein
from tests.benchmarks.cases import CASES
from tests.benchmarks.measure import Judge, arms, one_thread, train

ARMS = {
    "independent": {"coupling": "independent"},
    "ot": {"coupling": "ot", "coupling_options": {"noise": False}},
    "ot matched": {"coupling": "ot", "coupling_options": {"noise": True}},
}
LABELLED = {
    "class-aware": {"coupling": "class-aware"},
    "ot labels": {"coupling": "ot", "coupling_options": {"noise": False, "labels": True}},
}
SAMPLES = int(os.environ.get("SAMPLES", 4000))
PAIRS, ROWS = 12, 500
"""Most ordered pairs, and rows of an exact plan."""


def run():
    """Run every case with every arm and seed."""
    limit = {"steps": int(os.environ.get("STEPS", 5000))}
    if "SECONDS" in os.environ:
        limit = {"max_seconds": float(os.environ["SECONDS"])}
    seeds = [int(seed) for seed in os.environ.get("SEEDS", "0").split(",")]
    names = os.environ.get("CASES", ",".join(CASES)).split(",")
    if unknown := set(names) - set(CASES):
        sys.exit(f"No case {', '.join(sorted(unknown))}. Known: {', '.join(CASES)}.")
    runs = [
        (case, arm, {**limit, **options}, seed)
        for seed in seeds
        for case in names
        for arm, options in _arms(case).items()
    ]
    print(f"\n{len(runs)} runs, {limit}")
    lines = []
    for line in _all(runs, int(os.environ.get("JOBS", 0))):
        lines.append(line)
        print(json.dumps(line), flush=True)
        if out := os.environ.get("OUT"):
            with open(out, "a") as file:
                file.write(json.dumps(line) + "\n")
    show(lines)


def one(case, arm, options, seed):
    """Fit and judge: the line of one run, with the error if there is one."""
    line, start = {"case": case, "arm": arm, "seed": seed}, time.perf_counter()
    try:
        with one_thread():
            model = train(CASES[case].training(seed), **{"seed": seed, **options})
            training = model.card["training"]
            line |= {name: training[name] for name in ("steps", "seconds", "loss")}
            line |= judge(model, case, seed)
    except Exception as error:
        line["error"] = f"{type(error).__name__}: {error}"
    return line | {"wall": round(time.perf_counter() - start, 1)}


def judge(model, case, seed=0):
    """Name of a figure to its mean over ordered pairs; distances are unbiased energy distances.

    `flow of data` leaves out the pairs with noise. `inner` is the distance between the images, at
    the barycentre, of different sets: zero if all land on one law. `cost` is that of the map over
    that of the exact plan to its image, for pairs of data. `labels` is the share of rows that keep
    their label.
    """
    mine = CASES[case]
    judge = Judge(lambda s: mine.samples(SAMPLES, s), seed)
    rng = np.random.default_rng(0)
    pairs = [judge.pairs[i] for i in sorted(rng.permutation(len(judge.pairs))[:PAIRS])]

    def move(x, source, target, **options):
        told, x = x[:, : mine.conditions], x[:, mine.conditions :]
        if mine.conditions:
            options["condition"] = told
        x = x.reshape(len(x), *mine.shape)
        moved = model.transport(x, source, target, seed=seed, **options)
        return torch.cat([told, moved.flatten(1)], 1)

    def mean(images):
        return statistics.fmean(judge.distance(x, j) for (_, j), x in images.items())

    def images(**options):
        return {(i, j): move(judge.test[i], i, j, **options) for i, j in pairs}

    flow = images(steps=50)
    within = {pair: x for pair, x in flow.items() if "normal" not in pair}
    found = {"floor": judge.floor(), "flow": mean(flow), "flow of data": mean(within)}
    found["flow of 8 steps"] = mean(images(steps=8))
    if mine.noise and model.noise_independent:
        found["SDE"] = mean(images(steps=64, noise=0.5))
    data = [name for name in judge.names if name != "normal"]
    found["inner"] = _inner({n: move(judge.test[n], n, model.barycenter) for n in data[:6]})
    if not mine.conditions:
        found["cost"] = statistics.fmean(_cost(judge.test[i], x) for (i, _), x in within.items())
    if mine.centres:
        kept = [
            (mine.labels(judge.test[i], i) == mine.labels(x, j)).float().mean().item()
            for (i, j), x in within.items()
        ]
        found["labels"] = statistics.fmean(kept)
    return found


def _inner(images):
    """Mean distance between the images of different sets."""
    judge = Judge(lambda _: images, 0)
    return statistics.fmean(judge.distance(images[i], j) for i, j in judge.pairs if i < j)


def _cost(x, moved):
    """The cost of a map over that of the exact plan between the rows and their images."""
    x, moved = x[:ROWS], moved[:ROWS]
    return (moved - x).square().sum(1).mean().item() / wasserstein(x, moved) ** 2


def _arms(case):
    """The arms that make sense for a case."""
    no = set() if CASES[case].centres else set(LABELLED)
    no |= set() if CASES[case].noise else {"ot matched"}
    return {name: arm for name, arm in arms(ARMS | LABELLED).items() if name not in no}


def _all(runs, jobs):
    """The lines of all runs, in the order in which they are done."""
    if not jobs:
        yield from itertools.starmap(one, runs)
        return
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, spawn, max_tasks_per_child=1) as pool:
        for done in concurrent.futures.as_completed([pool.submit(one, *run) for run in runs]):
            yield done.result()


def show(lines):
    """Print the means over seeds, a table for each case."""
    for case in dict.fromkeys(line["case"] for line in lines):
        mine = [line for line in lines if line["case"] == case]
        figures = dict.fromkeys(f for line in mine for f in line if _is_figure(line[f], f))
        print(f"\n{case} | " + " | ".join(figures))
        for arm in dict.fromkeys(line["arm"] for line in mine):
            rows = [line for line in mine if line["arm"] == arm]
            cells = ([row[figure] for row in rows if figure in row] for figure in figures)
            print(f"{arm} | " + " | ".join(_mean(values) for values in cells))


def _is_figure(value, name):
    return isinstance(value, int | float) and name != "seed"


def _mean(values):
    return f"{statistics.fmean(values):.4g}" if values else "-"
