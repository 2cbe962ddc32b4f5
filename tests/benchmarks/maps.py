"""The map itself: three mixtures of two Gaussians that no joint plan matches all at once.

`SECONDS`, `SEEDS`, `ARMS` in the environment change what is run.
"""

import itertools
import os
import statistics

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from tests.benchmarks.measure import arms, spread, train

SECONDS = float(os.environ.get("SECONDS", 90))
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0,1,2").split(",")]
ARMS = {"defaults": {}, "ot": {"coupling": "ot"}}
ANGLES, POINTS, STEPS = (0, 35, 70), 500, 50


def run():
    """Errors of the maps over those of a plan, all directions, and each seed."""
    print(f"\n{SECONDS:g} s of training, {torch.get_num_threads()} threads")
    for arm, options in arms(ARMS).items():
        found = {}
        for seed in SEEDS:
            model = train(draw(seed), **{"max_seconds": SECONDS, "seed": seed, **options})
            found.setdefault("steps", []).append(model.card["training"]["steps"])
            for figure, value in judge(model, seed).items():
                found.setdefault(figure, []).append(value)
        for figure, values in found.items():
            print(f"{arm:12} {figure:40} {spread(values)}", flush=True)


def draw(seed):
    """Name to `(1000, 2)`; the first half of the rows is of one component."""
    rng, found = np.random.default_rng(seed), {}
    for angle in ANGLES:
        ends = np.stack([_direction(angle), -_direction(angle)]) * 2
        noise = rng.normal(size=(2 * POINTS, 2)) * 0.5
        found[f"{angle}°"] = np.repeat(ends, POINTS, 0) + noise
    return found


def judge(model, seed, steps=STEPS, **options):
    """Name of a figure to its value; `seed` is that of the points that were trained on.

    The error is the sum over the points and the six directions of |T(x) - y|², with y the match
    of x in the exact plan between the points. It is in units of the same sum for the match in the
    exact plan to other points of the target instead of T(x): .5 is the map between the laws.
    """
    points, other = draw(seed), draw(1000 + seed)
    errors, plans, changed = [], [], []
    for source, target in itertools.permutations(points, 2):
        x, y = points[source], points[target]
        moved = model.transport(x, source, target, steps=steps, **options)
        matched, again = _matched(x, y), _matched(x, other[target])
        errors.append(np.square(moved - matched).sum())
        plans.append(np.square(again - matched).sum())
        direction = _direction(int(target[:-1]))
        changed.append(float(np.mean((moved @ direction > 0) != (matched @ direction > 0))))
    return {
        "squared error over that of a plan": float(sum(errors) / sum(plans)),
        "share in another component, mean": statistics.fmean(changed),
        "share in another component, worst": max(changed),
    }


def _direction(angle):
    return np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])


def _matched(x, y):
    """The match of each row of `x` in the exact plan to `y`."""
    return y[linear_sum_assignment(cdist(x, y, "sqeuclidean"))[1]]
