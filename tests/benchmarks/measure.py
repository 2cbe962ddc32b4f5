"""What the benchmarks of training measure: distances after all directed pairs of sets."""

import contextlib
import json
import os
import statistics

import torch

import multisi
from multisi import training
from multisi.metrics import mean_distance, wasserstein


def arms(known):
    """Name to options of each arm that is run.

    `ARMS` in the environment has names of known arms, or a JSON object of others:
    `ARMS='{"wide": {"network_options": {"width": 512}, "law": {"bows": 0}}}'`.
    """
    given = os.environ.get("ARMS", "")
    if given.startswith("{"):
        return json.loads(given)
    return {name: known[name] for name in given.split(",")} if given else known


def train(data, law=None, **options):
    """`fit`, as long as it may last, with a law of points that may be given by its options."""
    law = training.SimplexLaw(**law) if isinstance(law, dict) else law
    if "max_seconds" in options:
        options = {"steps": 10**7} | options
    return multisi.fit(data, law=law, progress=False, **options)


@contextlib.contextmanager
def one_thread():
    """Let torch use one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Judge:
    """Test samples of some sets, and fresh ones to compare with.

    Arguments:
        draw: Function of a seed that gives name to samples `(n, d)`, all of one size.
        seed: Seed of the samples.
    """

    def __init__(self, draw, seed):
        self.test, self.fresh = (
            {name: torch.as_tensor(x).float() for name, x in draw(100 * (1 + i) + seed).items()}
            for i in range(2)
        )
        self.names = list(self.test)
        self.pairs = [(i, j) for i in self.names for j in self.names if i != j]
        self._within = {name: _within(x) for name, x in self.fresh.items()}
        self._squared = {}

    def distances(self, transport):
        """Unbiased energy distance of each directed pair."""
        return {(i, j): self.distance(transport(self.test[i], i, j), j) for i, j in self.pairs}

    def distance(self, moved, target):
        """Unbiased energy distance of samples to a target."""
        between = 2 * mean_distance(moved, self.fresh[target])
        return between - _within(moved) - self._within[target]

    def floor(self):
        """Mean size of the distance between test samples and fresh ones of one law."""
        return statistics.fmean(abs(self.distance(self.test[n], n)) for n in self.names)

    def excess(self, states, source, target):
        """Path energy over the squared distance of two sets, less one; states at even times."""
        steps = len(states) - 1
        energy = (states[1:] - states[:-1]).double().square().sum(2).mean(1).sum().item() * steps
        key = frozenset((source, target))
        if key not in self._squared:
            few = (self.test[n][:2000] for n in sorted(key))
            self._squared[key] = wasserstein(*few) ** 2
        return energy / self._squared[key] - 1


def _within(x):
    return mean_distance(x, x) * len(x) / (len(x) - 1)


def spread(values):
    """Mean and all of them, as text."""
    values = list(values)
    digits = 0 if all(isinstance(value, int) for value in values) else 4
    each = ", ".join(f"{value:.{digits}f}" for value in values)
    return f"{statistics.fmean(values):.{digits}f} ({each})"
