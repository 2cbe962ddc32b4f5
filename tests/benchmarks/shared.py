"""Steps a second where another process keeps a core busy: threads as chosen, and fixed."""

import contextlib
import multiprocessing
import os
import statistics
import time
from unittest import mock

import torch

import multisi
from tests.benchmarks.sets import draw

SECONDS = float(os.environ.get("SECONDS", 15))
ROUNDS = int(os.environ.get("ROUNDS", 3))


def run():
    """Medians over rounds in which the arms take turns, after equal seconds."""
    own = torch.get_num_threads()
    arms = {"chosen": None, **{f"{n} threads": n for n in sorted({1, own})}}
    print(f"\nsteps a second in {SECONDS:.0f} s, {os.cpu_count()} cores, plain call of fit")
    print(f"beside | {' | '.join(arms)} | chosen over the better; each round")
    for beside, work in (("nothing", None), ("Python", _count), ("torch", _multiply)):
        found = {arm: [] for arm in arms}
        with _busy(work):
            for _ in range(ROUNDS):
                for arm, number in arms.items():
                    found[arm].append(_speed(number))
        middle = [statistics.median(speeds) for speeds in found.values()]
        each = [chosen / max(fixed) for chosen, *fixed in zip(*found.values(), strict=True)]
        shown = " | ".join(f"{speed:.0f}" for speed in middle)
        rounds = ", ".join(f"{ratio:.2f}" for ratio in each)
        print(f"{beside} | {shown} | {middle[0] / max(middle[1:]):.2f}; {rounds}", flush=True)


def _speed(number):
    """Steps a second of a plain call, with a fixed number of threads or with `None` its own."""
    times = []

    def watch(training):
        times.append(time.perf_counter())
        return times[-1] - times[0] > SECONDS

    data = {"noise": multisi.StandardNormal(), **draw(50_000, 0)}
    fixed = mock.patch("multisi.training.pace.candidates", lambda: [number])
    with fixed if number else contextlib.nullcontext():
        own = torch.get_num_threads()
        torch.set_num_threads(number or own)
        multisi.fit(data, steps=10**6, callbacks=[watch], progress=False)
        torch.set_num_threads(own)
    return (len(times) - 1) / (times[-1] - times[0])


class _busy:
    """A process that does nothing but work, until the end of the context."""

    def __init__(self, work):
        context = multiprocessing.get_context("spawn")
        self.process = work and context.Process(target=work, daemon=True)

    def __enter__(self):
        if self.process:
            self.process.start()
            time.sleep(5)

    def __exit__(self, *error):
        if self.process:
            self.process.terminate()
            self.process.join()


def _count():
    n = 0
    while True:
        n += 1


def _multiply():
    torch.set_num_threads(1)
    x = torch.eye(500)
    while True:
        x = x @ x
