"""The Schrödinger bridge between Gaussians: its laws on the way beside the closed form.

`SECONDS` is the time of training, `SIZES` are the dimensions, `SEEDS` the seeds.
"""

import os

import torch

import multisi

SECONDS = float(os.environ.get("SECONDS", 180))
SIZES = [int(size) for size in os.environ.get("SIZES", "2,5,20").split(",")]
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0").split(",")]
N, TIMES = 200_000, (0.25, 0.5, 0.75)


def run():
    """Relative error of the covariance, and error of the mean, at three times."""
    print(f"\nBridge between Gaussians, epsilon 1, {SECONDS:g} s, {N:,} samples")
    print("covariance: relative Frobenius error (error of the mean), at t = 1/4, 1/2, 3/4")
    for size in SIZES:
        for seed in SEEDS:
            _one(size, seed)


def _one(size, seed):
    source = torch.Generator().manual_seed(seed)
    variance, mean = torch.logspace(-2, 2, size, base=2.0), torch.zeros(size)
    mean[0] = 2
    normal = [torch.randn(N, size, generator=source) for _ in range(3)]
    data = {"a": normal[0], "b": normal[1] * variance.sqrt() + mean}
    options = {"max_seconds": SECONDS, "steps": 10**7, "seed": seed, "progress": False}
    bridge = multisi.bridges.schroedinger(data, 1.0, **options)
    # Of commuting covariances, in each direction: c² + 2 ε c = c_0 c_1.
    joint = (variance.double() + 1).sqrt() - 1
    for flow in (True, False):
        states = bridge.transport(normal[2], "a", "b", times=TIMES, flow=flow, seed=seed)
        shown = []
        for t, x in zip(TIMES, states.double(), strict=True):
            exact = (1 - t) ** 2 + t**2 * variance + 2 * t * (1 - t) * (joint + 1)
            gap = (x.T.cov() - torch.diag(exact)).norm() / exact.norm()
            shown.append(f"{gap:.4f} ({(x.mean(0) - t * mean).norm():.3f})")
        kind = "flow" if flow else "SDE"
        print(f"d = {size:2}, seed {seed}, {kind:4} {'  '.join(shown)}", flush=True)
