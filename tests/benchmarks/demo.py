"""The demo's figures, over seeds."""

import contextlib
import io
import statistics
import tempfile
import time

from multisi.cli import demo

SEEDS = (0, 1, 2)


def run():
    """Means over the twelve ordered pairs of photographs."""
    print("\nDemo, means over 12 ordered pairs")
    print("seed | energy distance | floor  | Gaussian OT | cycle error | worst cycle | seconds")
    rows = []
    for seed in SEEDS:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            report = demo.run(out=folder, seed=seed)
        names = ("energy_distance", "floor", "gaussian", "cycle_error")
        figures = [
            *(report.mean(name) for name in names),
            max(pair.cycle_error for pair in report.pairs),
            time.perf_counter() - start,
        ]
        rows.append(figures)
        _row(seed, figures)
    _row("mean", [statistics.fmean(column) for column in zip(*rows, strict=True)])


def _row(name, figures):
    energy, floor, gaussian, cycle, worst, seconds = figures
    print(
        f"{name:>4} | {energy:15.4f} | {floor:6.4f} | {gaussian:11.4f} | {cycle:11.5f} | "
        f"{worst:11.5f} | {seconds:7.0f}"
    )
