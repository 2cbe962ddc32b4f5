"""Laws in the plane: the five of a comparison that has been made elsewhere, and four others."""

import functools

import numpy as np


def draw(n, seed, thin=False):
    """`n` samples of each but the standard normal: name to array `(n, 2)`.

    The roll has noise of deviation 1/6, as is usual; a `thin` one is a curve without width.
    """
    rng = np.random.default_rng(seed)
    angle = rng.integers(0, 8, n) * np.pi / 4
    gaussians = 5 * np.stack([np.cos(angle), np.sin(angle)], 1)
    gaussians += rng.normal(size=(n, 2)) * 0.1**0.5
    arc, side = rng.uniform(0, np.pi, n), rng.integers(0, 2, n)
    moons = np.stack([np.cos(arc) * (1 - 2 * side) + side, np.sin(arc) * (1 - 2 * side)], 1)
    moons[:, 1] += side / 2
    moons = 3 * (moons + 0.05 * rng.normal(size=(n, 2))) - 1
    cell = rng.integers(0, 8, n)
    row, column = cell // 2, 2 * (cell % 2) + (cell // 2) % 2
    checkers = np.stack([column, row], 1) * 2 - 4 + rng.uniform(0, 2, size=(n, 2))
    turn = 1.5 * np.pi * (1 + 2 * rng.uniform(size=n))
    roll = np.stack([turn * np.cos(turn), turn * np.sin(turn)], 1) / 3
    roll += 0.0 if thin else rng.normal(size=(n, 2)) / 6
    return {"gaussians": gaussians, "moons": moons, "checkers": checkers, "roll": roll}


def others(n, seed):
    """`n` samples of each of four other laws, whose root mean square radius is 4."""
    rng = np.random.default_rng(seed)
    return {name: law(n, rng) * _scale(name) for name, law in _OTHERS.items()}


@functools.cache
def _scale(name):
    x = _OTHERS[name](10**6, np.random.default_rng(0))
    return 4 / np.sqrt(np.square(x).sum(1).mean())


def _ring(n, rng):
    angle, radius = rng.uniform(0, 2 * np.pi, n), rng.normal(4, 0.2, n)
    return np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]


def _grid(n, rng):
    return 2 * rng.integers(-2, 3, size=(n, 2)) + rng.normal(size=(n, 2)) * 0.15


def _curve(n, rng):
    t = rng.uniform(-1.5 * np.pi, 1.5 * np.pi, n)
    s = np.stack([np.sin(t), np.sign(t) * (np.cos(t) - 1)], 1)
    return s + rng.normal(size=(n, 2)) * 0.06


def _spirals(n, rng):
    angle, side = 3 * np.pi * np.sqrt(rng.uniform(size=n)), rng.choice([-1, 1], n)
    arms = np.stack([np.cos(angle), np.sin(angle)], 1) * (side * angle)[:, None]
    return arms + rng.normal(size=(n, 2)) * 0.2


_OTHERS = {"ring": _ring, "grid": _grid, "curve": _curve, "spirals": _spirals}
