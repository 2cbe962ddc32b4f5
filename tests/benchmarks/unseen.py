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
        for way, distances in _ways(whole, rest, train[left], test, left).items():
            found.setdefault(way, []).extend(distances)
    print(
        f"\nA photograph that was not trained on, {STEPS} steps, {seconds:.0f} s for a fit of four"
    )
    for way, distances in found.items():
        print(f"{way:34} energy distance {statistics.fmean(distances):.4f}")


def _ways(whole, rest, own, test, left):
    """Name of a way to the energy distances of the photograph that is left out to all others."""
    model, x = _model(rest), test[left]
    near = min(rest, key=lambda name: energy_distance(own, rest[name]))
    moments = Affine.of([own.astype(float), rest[near].astype(float)])
    moved = moments.move(x.astype(float), *np.eye(2)).astype(np.float32)

    def to(rows, target):
        return rows if target == near else model.transport(rows, near, target)

    found = {
        "as its nearest": [to(x, t) for t in rest],
        "moved to its nearest by moments": [to(moved, t) for t in rest],
        "trained on as well": [whole.transport(x, left, t) for t in rest],
    }
    return {
        way: [energy_distance(rows, test[t]) for rows, t in zip(parts, rest, strict=True)]
        for way, parts in found.items()
    }


def _model(train):
    pictures = {n: np.clip(x, 0, 1).reshape(-1, 1, 3) for n, x in train.items()}
    return style.palette(pictures, training=STEPS).model


PARTS = (slice(0, ROWS), slice(ROWS, None))
