"""Five laws in the plane: the comparison that has been made elsewhere."""

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
