"""The demo beside other ways to transfer palettes: laws of colours, structure, speckle, time."""

import contextlib
import io
import itertools
import statistics
import tempfile
import time
from dataclasses import astuple

import numpy as np

from multisi import style
from multisi.cli import demo
from multisi.metrics import energy_distance
from multisi.style import photographs
from multisi.style.colours import Look
from tests.benchmarks.palettes import BASELINES

SEEDS, HELD_OUT = (0, 1, 2), 10_000
PICTURES = dict(zip(photographs.EXAMPLES, photographs.examples(), strict=True))


def run():
    """Means over the twelve ordered pairs of photographs; the time of the whole command."""
    print("\nDemo, twelve ordered pairs of photographs, pictures of at most 200 pixels a side")
    print(
        "map | energy distance | structure | gradient | worst | colours | outside gamut | seconds"
    )
    rows = {}
    for seed in SEEDS:
        source = np.random.default_rng(seed)
        halves = {name: picture.halves(source) for name, picture in PICTURES.items()}
        for name, figures in _ours(halves, seed):
            rows.setdefault(f"{name} (the demo)", []).append(figures)
        for name, fit in BASELINES.items():
            rows.setdefault(name, []).append(_theirs(fit, halves))
        for name, figures in rows.items():
            _row(f"{name}, seed {seed}", figures[-1])
    for name, figures in rows.items():
        _row(f"{name}, mean", [statistics.fmean(column) for column in zip(*figures, strict=True)])
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        demo.run(out=folder, progress=False)
    print(
        f"The whole command, with every picture at full size: {time.perf_counter() - start:.0f} s"
    )


def _ours(halves, seed):
    """The figures of the flow alone, and of the pictures as they are written."""
    start = time.perf_counter()
    train = {name: half[0] for name, half in halves.items()}
    model = demo.fitted(PICTURES, train, seed=seed, progress=False)
    fitted = time.perf_counter() - start
    yield "flow", _figures(lambda *pair: _flow(model, halves, *pair), halves, fitted)
    palettes = {name: demo.Palette(model, PICTURES[name], name) for name in PICTURES}

    def written(source, target):
        full, small, _ = palettes[source].of(target)
        return full.reshape(-1, 3)[_held_out(halves, source)], small

    yield "pictures", _figures(written, halves, fitted)
    fulls = style.Palettes({name: picture.colours for name, picture in PICTURES.items()}, model)
    smalls = style.Palettes({name: picture.small() for name, picture in PICTURES.items()}, model)

    def styled(*pair):
        rows = fulls[pair].reshape(-1, 3)[_held_out(halves, pair[0])].astype(np.float32) / 255
        return rows, smalls[pair]

    yield "style.palette", _figures(styled, halves, fitted)


def _flow(model, halves, source, target):
    small = PICTURES[source].small()
    colours = _colours(source, _held_out(halves, source)), small.reshape(-1, 3)
    rows = model.transport(np.concatenate(colours), source, target, steps=demo.STEPS)
    return rows[:HELD_OUT], rows[HELD_OUT:].reshape(small.shape)


def _theirs(fit, halves):
    def moved(source, target):
        move = fit(*(_colours(name, halves[name][0]).astype(float) for name in (source, target)))
        small = PICTURES[source].small()
        rows = [_colours(source, _held_out(halves, source)), small.reshape(-1, 3)]
        rows = move(np.concatenate(rows).astype(float))
        return rows[:HELD_OUT], rows[HELD_OUT:].reshape(small.shape)

    return _figures(moved, halves)


def _figures(moved, halves, seconds=0.0):
    """Means over pairs of the function of two names that moves held-out pixels and a picture."""
    start = time.perf_counter()
    found = {pair: moved(*pair) for pair in itertools.permutations(PICTURES, 2)}
    seconds += time.perf_counter() - start
    looks = [
        Look.of(PICTURES[source].small(), picture.astype(np.float32))
        for (source, _), (_, picture) in found.items()
    ]
    energy = statistics.fmean(
        energy_distance(rows, _colours(target, halves[target][1][HELD_OUT : 2 * HELD_OUT]))
        for (_, target), (rows, _) in found.items()
    )
    structure, gradient, colours, outside = astuple(Look.mean(looks))
    worst = max(look.gradient for look in looks)
    return [energy, structure, gradient, worst, colours, outside, seconds]


def _held_out(halves, name):
    return halves[name][1][:HELD_OUT]


def _colours(name, places):
    return PICTURES[name].pixels[places].astype(np.float32) / 255


def _row(name, figures):
    energy, structure, gradient, worst, colours, outside, seconds = figures
    print(
        f"{name} | {energy:.5f} | {structure:.3f} | {gradient:.2f} | {worst:.2f} | {colours:.2f} "
        f"| {outside:.1%} | {seconds:.0f}",
        flush=True,
    )
