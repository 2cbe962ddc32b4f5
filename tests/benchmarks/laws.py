"""The SDE on exact Gaussian fields: is its law that of the target?"""

import itertools

from tests.closed_forms import NAMES
from tests.solvers.test_laws import N, p_value


def run():
    """All directed pairs of three Gaussians, one of them the noise, by the default solver."""
    print(f"\nPermutation test of the energy distance, n = {N}, 256 steps, 999 permutations")
    print("noise | source -> target | p value")
    for noise in (0.5, 2.0):
        for i, j in itertools.permutations(range(3), 2):
            print(f"{noise:5} | {NAMES[i]:>6} -> {NAMES[j]:6} | {p_value(noise, i, j):.3f}")
