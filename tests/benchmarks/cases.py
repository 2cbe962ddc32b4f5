"""Cases of the study: low and high dimensions, pictures, few rows, weights, labels, conditions."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import IterableDataset

import multisi
from tests.benchmarks.sets import draw, others

ROWS = 20_000
"""Rows of a training set, where there is no other number."""


@dataclass(frozen=True)
class Case:
    """The law of some sets, and how `fit` is given samples of them."""

    law: Callable
    """Function of a number of rows and a seed: name to vectors, the conditions in front."""
    rows: int = ROWS
    """Rows of a training set."""
    shape: tuple = (-1,)
    """Shape of one sample."""
    noise: bool = True
    """Whether a standard normal is one of the marginals."""
    conditions: int = 0
    """Number of features of the condition."""
    centres: dict | None = None
    """Name to the centre of each label, in order: a label is that of the nearest centre."""
    weights: Callable | None = None
    """Function of samples: rows are taken with this probability, or have it as a weight."""
    stream: bool = False
    """Whether the rows come as a stream."""

    def samples(self, n, seed):
        """About `n` samples of every marginal, name to `(n, c + d)`."""
        found = {name: np.asarray(x) for name, x in self.law(n, seed).items()}
        if self.weights is not None:
            u = np.random.default_rng([seed, 2]).uniform(size=n)
            found = {name: x[u < self.weights(x)] for name, x in found.items()}
        if self.noise:
            some = next(iter(found.values()))
            normal = np.random.default_rng([seed, 1]).normal(size=some.shape)
            normal[:, : self.conditions] = some[:, : self.conditions]
            found = {"normal": normal, **found}
        return {name: x.astype(np.float32) for name, x in found.items()}

    def training(self, seed):
        """The marginals that `fit` is given."""
        found = {"normal": multisi.StandardNormal()} if self.noise else {}
        for name, x in self.law(self.rows, seed).items():
            given, x = {}, torch.as_tensor(x).float()
            if self.conditions and not found.keys() - {"normal"}:  # That of the first dataset.
                given["condition"] = x[:, : self.conditions]
            if self.centres is not None:
                given["labels"] = self.labels(x, name)
            if self.weights is not None:
                given["weights"] = self.weights(x.numpy())
            x = x[:, self.conditions :].reshape(len(x), *self.shape)
            found[name] = multisi.Marginal(_Rows(x, seed) if self.stream else x, **given)
        return found

    def labels(self, x, name):
        """The label of each row of a set."""
        return torch.cdist(x, self.centres[name]).argmin(1)


class _Rows(IterableDataset):
    """Rows in an order of their own, again and again."""

    def __init__(self, x, seed):
        self.x, self.seed = x, seed

    def __iter__(self):
        order = torch.randperm(len(self.x), generator=torch.Generator().manual_seed(self.seed))
        yield from self.x[order]


def annulus(marginals, n, seed):
    """Angular bins of one annulus."""
    rng, found = np.random.default_rng(seed), {}
    for i in range(marginals):
        angle = (i + rng.uniform(size=n)) * 2 * np.pi / marginals
        radius = rng.uniform(1, 2, n)
        found[f"bin {i}"] = np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]
    return found


def centres(size, sets=3, components=4):
    """Name to the centres of a mixture, `(components, size)`."""
    random = torch.Generator().manual_seed(size)
    means = torch.randn(sets, components, size, generator=random)
    return {name: 2 * x for name, x in zip("abc", means, strict=True)}


def mixtures(size, n, seed):
    """Mixtures of Gaussians with deviations from .2 to 1."""
    rng, found = np.random.default_rng(seed), {}
    for i, (name, means) in enumerate(centres(size).items()):
        scales = np.random.default_rng(i).uniform(0.2, 1, size)
        which = rng.integers(0, len(means), n)
        found[name] = means.numpy()[which] + rng.normal(size=(n, size)) * scales
    return found


def digits(n, seed):
    """Pictures of 8 x 8 in three groups of digits: half to train, a quarter for each test."""
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed % 100).permutation(len(labels))
    part = np.array_split(order, 4)[1 + seed // 100] if seed >= 100 else order[: len(order) // 2]
    rows = {"0 to 3": (0, 3), "4 to 6": (4, 6), "7 to 9": (7, 9)}
    return {
        name: pictures[part[(labels[part] >= low) & (labels[part] <= high)]] / 16
        for name, (low, high) in rows.items()
    }


def _clusters(n, seed):
    """Three circles of labelled clusters, each turned by a third of a circle."""
    rng, found = np.random.default_rng(seed), {}
    for name, means in _turned().items():
        found[name] = means.numpy()[rng.integers(0, len(means), n)]
        found[name] += rng.normal(size=(n, 2)) * 0.3
    return found


def _turned():
    angle = torch.arange(6) * torch.pi / 3
    return {
        name: 4 * torch.stack([(angle + turn).cos(), (angle + turn).sin()], 1)
        for name, turn in (("a", 0.0), ("b", 2 * torch.pi / 3), ("c", torch.pi))
    }


def _forecast(n, seed):
    """A next state, two-valued, after a state that is the condition; and two sets without one."""
    rng = np.random.default_rng([seed, 3])
    state, side = rng.uniform(-2, 2, size=(n, 2)), rng.choice([-1, 1], (n, 1))
    after = state[:, ::-1] * (-1, 1) + side * (1, 0.5) + 0.2 * rng.normal(size=(n, 2))
    sets = draw(n, seed)
    found = {"after": after, "gaussians": sets["gaussians"] / 3, "moons": sets["moons"] / 3}
    return {name: np.concatenate([state, x], 1) for name, x in found.items()}


def _towards(x):
    return 1 / (1 + np.exp(-x[:, 0]))


CASES = {
    "five": Case(draw, rows=50_000),
    "others": Case(others, rows=50_000, noise=False),
    "others+noise": Case(others, rows=50_000),
    **{f"annulus {k}": Case(functools.partial(annulus, k), noise=False) for k in (2, 10, 20)},
    **{f"mixture {d}": Case(functools.partial(mixtures, d)) for d in (2, 16, 64, 256)},
    "digits": Case(digits, shape=(1, 8, 8)),
    "few": Case(draw, rows=60),
    "weights": Case(draw, weights=_towards),
    "labels": Case(_clusters, centres=_turned()),
    "conditions": Case(_forecast, conditions=2),
    "stream": Case(draw, stream=True),
}
