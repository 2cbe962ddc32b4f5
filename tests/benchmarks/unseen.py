"""A photograph that a model of palettes was not trained on: as its nearest neighbour, or by a fit.

`STEPS` in the environment is the number of training steps.
"""

import os
import statistics
import time

import numpy as np

from multisi import style
from multisi.fairness.maps import Affine
from multisi.metrics import energy_distance
from multisi.style import photographs

STEPS, ROWS = int(os.environ.get("STEPS", 1000)), 4000


def run():
    """Means over four photographs that are left out in turn, each to the three others."""
    pictures = dict(zip(photographs.EXAMPLES, photographs.examples(), strict=True))
    rng, found = np.random.default_rng(0), {}
    rows = {
        n: p.pixels[rng.permutation(len(p.pixels))[: 2 * ROWS]] / 255 for n, p in pictures.items()
    }
    train, test = ({n: x[part].astype(np.float32) for n, x in rows.items()} for part in PARTS)
    start = time.perf_counter()
    whole = _model(train)
    seconds = time.perf_counter() - start
    for left in pictures:
        rest = {n: x for n, x in train.items() if n != left}
        model = _model(rest)
        near = min(rest, key=lambda n: energy_distance(train[left], rest[n]))
        ends = [train[left].astype(float), rest[near].astype(float)]
        moved = Affine.of(ends).move(test[left].astype(float), *np.eye(2))
        ways = {
            "as its nearest": lambda t: model.transport(test[left], near, t),
            "moved to its nearest by moments": lambda t: model.transport(
                moved.astype(np.float32), near, t
            ),
            "trained on as well": lambda t: whole.transport(test[left], left, t),
        }
        for way, move in ways.items():
            distances = [
                energy_distance(test[left] if way is None else move(t), test[t])
                if t != near or "nearest" not in way
                else energy_distance(test[left] if way == "as its nearest" else moved, test[t])
                for t in rest
            ]
            found.setdefault(way, []).extend(distances)
    print(
        f"\nA photograph that was not trained on, {STEPS} steps, {seconds:.0f} s for a fit of four"
    )
    for way, distances in found.items():
        print(f"{way:34} energy distance {statistics.fmean(distances):.4f}")


def _model(train):
    pictures = {n: np.clip(x, 0, 1).reshape(-1, 1, 3) for n, x in train.items()}
    return style.palette(pictures, training=STEPS).model


PARTS = (slice(0, ROWS), slice(ROWS, None))
