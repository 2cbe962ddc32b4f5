"""Overhead of this tree beside another checkout: `python -m tests.benchmarks.beside CHECKOUT`.

Both are loaded into one process, on one thread, and take turns. A null network leaves nothing but
the overhead of a network call; a training step is that of a small network.
"""

import functools
import importlib
import os
import pathlib
import statistics
import sys
import time

import torch

from tests.benchmarks.null import Null

HERE = pathlib.Path(__file__).parents[2]
ROUNDS = int(os.environ.get("ROUNDS", 61))
SOLVERS = (
    *((0.0, name) for name in ("euler", "midpoint", "adams", "rk4")),
    *((0.5, name) for name in ("euler", "midpoint", "srk")),
)


class Checkout:
    """The package of a checkout, with its modules kept apart from those of another one."""

    def __init__(self, path):
        use({})
        sys.path.insert(0, str(path))
        importlib.invalidate_caches()
        self.tasks = dict(tasks(importlib.import_module("multisi")))
        for task in self.tasks.values():
            task()  # Everything that is imported on first use.
        self.modules = {name: module for name, module in sys.modules.items() if is_ours(name)}
        sys.path.remove(str(path))


def is_ours(name):
    return name == "multisi" or name.startswith("multisi.")


def use(modules):
    """Let `import multisi` find these modules."""
    for name in [name for name in sys.modules if is_ours(name)]:
        del sys.modules[name]
    sys.modules.update(modules)


def tasks(multisi):
    """Name to a function that takes a thousand steps of a solver, or twenty of training."""
    training = importlib.import_module("multisi.training")
    model, y = multisi.Model(Null(), ("noise", "a", "b"), "noise"), torch.zeros(1, 2)
    for noise, solver in SOLVERS:
        options = dict(noise=noise, solver=solver, steps=1000, path="bow", seed=0)
        name = f"{'SDE' if noise else 'ODE'} {solver}, 1000 steps"
        yield name, functools.partial(model.transport, y, "a", "b", **options)
    x = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0))
    for width in (64, 256):
        batches = training.Batches({"a": x, "b": x + 3}, batch_size=256)
        means = batches.means("mlp", width=width)
        run = training.Training(means, batches, training.Schedule(10**6, None, 256))
        yield f"20 training steps, width {width}", functools.partial(train, run)


def train(run):
    for _ in range(20):
        run._one(1e-3)


def run(other):
    """Medians of both in milliseconds of processor time, and the median of the ratios."""
    torch.set_num_threads(1)
    there, here = Checkout(other), Checkout(HERE)
    print(f"what | there (ms) | here (ms) | here over there, median of {ROUNDS}")
    for name in here.tasks:
        times = {there: [], here: []}
        for i in range(ROUNDS):
            for checkout in (there, here) if i % 2 else (here, there):
                use(checkout.modules)
                start = time.process_time()
                checkout.tasks[name]()
                times[checkout].append(1e3 * (time.process_time() - start))
        ratio = statistics.median(b / a for a, b in zip(times[there], times[here], strict=True))
        middle = (statistics.median(times[checkout]) for checkout in (there, here))
        print(f"{name} | {' | '.join(f'{m:.1f}' for m in middle)} | {ratio:.3f}", flush=True)


if __name__ == "__main__":
    run(pathlib.Path(sys.argv[1]).resolve())
