"""What paths cost: the edge, the best scale, learned paths, and those of all pairs.

`ARMS` names what is run: `exact`, `learned`, `pairs`. `SECONDS` is the time of training, `SIZES`
are the numbers of marginals of `pairs`.
"""

import math
import os
import time

import numpy as np
import torch

import multisi
from multisi.metrics import permutation_test
from tests.benchmarks.measure import one_thread, train

SECONDS = float(os.environ.get("SECONDS", 120))
SIZES = [int(size) for size in os.environ.get("SIZES", "3,5,10").split(",")]
N = 20_000
INSIDE = {"edges": 0.1, "bows": 0.1, "faces": 0.8}
"""Paths are learned on faces, so that points of training are drawn there."""
KINDS = ("energy", "length", "least", "map")


def run():
    """The tables of all arms, or of those that are named."""
    with one_thread():
        for name in os.environ.get("ARMS", ",".join(TABLES)).split(","):
            TABLES[name]()


def _exact():
    """The ring and the checkerboard with exact fields, by every form of path."""
    model = modes()
    print("\nExact fields: energy, length squared, least, and what the map moves; p-value")
    for source in ("ring", "noise"):
        _row(model, model, source, "segment")
        forms = ("fourier", "spline", "piecewise") if source == "ring" else ("fourier",)
        for form in forms:
            start = time.perf_counter()
            path = model.learn_path(source, "checker", form=form, progress=False)
            _row(model, model, source, path, f"{form}, {time.perf_counter() - start:.1f} s")


def _learned():
    """A path that was learned on a learned field, judged by the exact one."""
    exact = modes()
    rows = draw(exact, 20_000, 0)
    data = {n: x.float().numpy() for n, x in zip(exact.marginals, rows, strict=True)}
    data["noise"] = multisi.StandardNormal()
    model = train(data, law=INSIDE, coupling="independent", max_seconds=SECONDS)
    print(f"\nA learned field, {SECONDS:g} s, {model.card['training']['steps']} steps")
    path = model.learn_path("ring", "checker", progress=False)
    _row(exact, model, "ring", path, "learned field")


def _row(exact, model, source, path, name=None):
    """Costs on the exact field, and the law that the model brings to the end."""
    name = name or f"{path}"
    ends = source, "checker"
    costs = [exact.transport_cost(*ends, path=path, kind=kind, count=N, seed=1) for kind in KINDS]
    x, y = draw(exact, N, 2), draw(exact, N, 3)
    start = x[exact.marginals.index(source)].to(model.conditional_means.reference)
    moved = model.transport(start, *ends, path=path, steps=100)
    test = permutation_test(moved.double(), y[2], permutations=99)
    pairs = zip(KINDS, costs, strict=True)
    shown = [f"{c.value**2 if k == 'length' else c.value:7.3f}" for k, c in pairs]
    error, p = costs[0].standard_error, test.p_value
    print(f"{source:6} {name:20} {' '.join(shown)}  ± {error:.3f}  p {p:.2f}", flush=True)


def _pairs():
    """All pairs of K mixtures, beside as many separate searches."""
    print("\nAll pairs: seconds of one call, of separate calls, mean cost of both")
    for size in SIZES:
        model = mixtures(size)
        found = model.learn_paths(progress=False)
        pairs = list(found.learned)
        since, alone, together = 0.0, [], []
        for pair in pairs:
            start = time.perf_counter()
            path = model.learn_path(*pair, progress=False)
            since += time.perf_counter() - start
            for costs, one in ((alone, path), (together, found.paths[pair])):
                costs.append(float(model.transport_cost(*pair, path=one, count=2000, seed=9)))
        edge = np.mean([found.straight[pair] for pair in pairs])
        print(
            f"K = {size:2}: {found.seconds:6.1f} {since:7.1f}   {np.mean(together):.3f} "
            f"{np.mean(alone):.3f}, straight {edge:.3f}",
            flush=True,
        )


def modes():
    """The exact model of noise, a ring of eight Gaussians and eight modes of a checkerboard."""
    angle = torch.arange(8, dtype=torch.float64) * math.pi / 4
    ring = 4 * torch.stack([angle.cos(), angle.sin()], 1)
    tiles = [(2 * i - 3, 2 * j - 3) for i in range(4) for j in range(4) if (i + j) % 2 == 0]
    checker = torch.tensor(tiles, dtype=torch.float64)
    eye, even = torch.eye(2, dtype=torch.float64), torch.full((8,), 1 / 8, dtype=torch.float64)
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    spread = [eye[None], 0.09 * eye.repeat(8, 1, 1), 0.16 * eye.repeat(8, 1, 1)]
    means = multisi.GaussianMixtureMeans([one, even, even], [zero, ring, checker], spread)
    return multisi.Model(means, ["noise", "ring", "checker"], "noise")


def mixtures(count):
    """The exact model of noise and some mixtures of eight components in the plane."""
    source = torch.Generator().manual_seed(count)
    eye, even = torch.eye(2, dtype=torch.float64), torch.full((8,), 1 / 8, dtype=torch.float64)
    weights, means, spread = [torch.ones(1).double()], [torch.zeros(1, 2).double()], [eye[None]]
    for _ in range(count):
        weights.append(even)
        means.append(3 * torch.randn(8, 2, generator=source, dtype=torch.float64))
        width = 0.2 + 0.5 * torch.rand(8, 1, 1, generator=source, dtype=torch.float64)
        spread.append(width**2 * eye)
    field = multisi.GaussianMixtureMeans(weights, means, spread)
    return multisi.Model(field, ["noise", *(f"m{i}" for i in range(count))], "noise")


def draw(model, n, seed):
    """Samples of all marginals of an exact model."""
    return model.conditional_means.sample(n, torch.Generator().manual_seed(seed)).unbind(1)


TABLES = {"exact": _exact, "learned": _learned, "pairs": _pairs}
