"""Trajectories: laws at times that were not seen, beside torchcfm and static plans.

`ARMS` names what is run: `eb`, `branching`, `growth`, `gaussians`, `large`. `SECONDS` is the time
of each training, `SEEDS` are the seeds, `SIZES` the numbers of components of `eb`, and `TIMES` its
snapshots. `eb` needs `--data DIR`, the folder with `singlecell/eb_pcs.npz`. `snapshot_peers` runs
other packages.
"""

import math
import os
import pathlib
import resource
import statistics
import time

import numpy as np
import torch

from multisi import metrics, trajectories
from multisi.trajectories.judging import figures
from tests.benchmarks.measure import spread

SECONDS = float(os.environ.get("SECONDS", 60))
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0,1,2").split(",")]
SIZES = [int(size) for size in os.environ.get("SIZES", "5,50,100").split(",")]
TIMES = [int(time) for time in os.environ.get("TIMES", "0,1,2,3,4").split(",")]
OPTIONS = {"max_seconds": SECONDS, "steps": 10**7, "progress": False}


def run():
    """The tables of all arms, or of those that are named."""
    for name in os.environ.get("ARMS", ",".join(TABLES)).split(","):
        TABLES[name]()


def _eb():
    """Embryoid bodies: each inner time left out, all cells."""
    data = np.load(pathlib.Path(os.environ["DATA"]) / "singlecell" / "eb_pcs.npz")
    for size in SIZES:
        snapshots = {t: data[f"t{t}"][:, :size].astype(np.float32) for t in TIMES}
        found = {}
        for seed in SEEDS:
            start = time.perf_counter()
            table = trajectories.leave_one_out(snapshots, seed=seed, **OPTIONS)
            print(f"\nEmbryoid bodies, {size} components, seed {seed}", flush=True)
            print(f"{table}\n{time.perf_counter() - start:.0f} s", flush=True)
            for method in next(iter(table.figures.values())):
                for figure in ("w1", "energy_distance"):
                    found.setdefault((method, figure), []).append(table.mean(method, figure))
        for (method, figure), values in found.items():
            print(f"{size:3} {method:20} {figure:16} {spread(values)}", flush=True)


def _branching():
    """A branching process whose law is known at all times."""
    found = {}
    for seed in SEEDS:
        data = {t: branching(2000, t, seed) for t in (0, 0.25, 0.5, 0.75, 1)}
        fitted = trajectories.fit(data, seed=seed, **OPTIONS)
        print(f"\nBranching process, seed {seed}: {fitted.model.card['trajectory']}", flush=True)
        for t in (0.375, 0.625, 0.875):
            fresh, other = (branching(2000, t, 100 + i + seed) for i in range(2))
            moved = fitted.law(t, 2000, seed=seed).double()
            here, floor = figures(moved, fresh), figures(other, fresh)
            ratio = here["w1"] / floor["w1"]
            print(f"  t = {t}: {ratio:.3f} {here['energy_distance']:.4f}", flush=True)
            found.setdefault((t, "W1 over the floor"), []).append(ratio)
            found.setdefault((t, "energy distance"), []).append(here["energy_distance"])
    for (t, figure), values in found.items():
        print(f"t = {t}: {figure:18} {spread(values)}", flush=True)


def branching(n, t, seed):
    """`n` cells of the branching process at a time, shape `(n, 10)`, float64."""
    source = torch.Generator().manual_seed(1000 * seed + round(1000 * t))
    branch = torch.where(torch.rand(n, generator=source) < 0.7, 1.0, -1.0).double()
    x = torch.randn(n, 10, generator=source, dtype=torch.float64) * 0.2
    x[:, :3] *= 2
    x[:, 0] += 4 * math.sin(1.2 * math.pi * t)
    x[:, 1] -= 4 * math.cos(1.2 * math.pi * t)
    x[:, 2] += 2.5 * branch * max(0, t - 0.2) / 0.8
    return x


def _growth():
    """The same process with a growth rate: masses of branches, and the rate."""
    found, times = {}, (0, 0.25, 0.5, 0.75, 1)
    for seed in SEEDS:
        data = {t: growing(8000, t, seed) for t in times}
        snapshots, masses = ({t: part[i] for t, part in data.items()} for i in (0, 1))
        start = time.perf_counter()
        fitted = trajectories.fit(snapshots, masses=masses, seed=seed, **OPTIONS)
        print(f"\nGrowth, seed {seed}: {time.perf_counter() - start:.0f} s", flush=True)
        for t in (0.375, 0.625, 0.875):
            x, total = fitted.law(t, 8000, seed=seed), fitted.mass(t)
            true, mass = growing(200_000, t, 100 + seed)
            k = max(i for i in range(4) if times[i] < t)
            for name, sign in (("upper", 1), ("lower", -1)):
                exact = mass * _share(true, sign)
                ends = [masses[u] * _share(snapshots[u], sign) for u in times[k : k + 2]]
                error = total * _share(x, sign) / exact - 1
                counted = math.sqrt(math.prod(ends)) / exact - 1
                print(
                    f"  t = {t}, {name} branch: {error:+.4f}, counted {counted:+.4f}", flush=True
                )
                found.setdefault("mass of a branch, relative error", []).append(abs(error))
                found.setdefault("counted in the neighbours", []).append(abs(counted))
        later = [(t, snapshots[t]) for t in times if t >= 0.5]
        rate = torch.cat([fitted.log_growth(x, t) for t, x in later])
        exact = torch.cat([1.5 * torch.sigmoid(3 * x[:, 2]) for _, x in later])
        slope = np.polyfit(exact, rate, 1)[0]
        correlation = np.corrcoef(exact, rate)[0, 1]
        print(f"  rate: correlation {correlation:.4f}, slope {slope:.3f}", flush=True)
        found.setdefault("correlation of the rate", []).append(correlation)
        found.setdefault("slope of the rate", []).append(slope)
    for figure, values in found.items():
        print(f"Growth, {figure}: {spread(values)}, worst {max(values):.4f}", flush=True)


def _share(x, sign):
    """The share of cells on one side."""
    return (sign * x[:, 2] > 0).double().mean().item()


def growing(n, t, seed):
    """`n` cells of the branching process with growth at a time, and their mass per first cell.

    A cell keeps its branch and its noise, and its mass grows at the rate 1.5 sigmoid(3 x_3). Cells
    are drawn by their mass, by rejection.
    """
    source = torch.Generator().manual_seed(1000 * seed + round(1000 * t) + 7)
    many = 8 * n
    branch = torch.where(torch.rand(many, generator=source) < 0.7, 1.0, -1.0).double()
    x = torch.randn(many, 10, generator=source, dtype=torch.float64) * 0.2
    x[:, :3] *= 2
    side, steps = x[:, 2].clone(), 100
    log_mass = torch.zeros(many, dtype=torch.float64)
    for i in range(steps):
        share = max(0, t * (i + 0.5) / steps - 0.2) / 0.8
        log_mass += 1.5 * torch.sigmoid(3 * (side + 2.5 * branch * share)) * t / steps
    x[:, 0] += 4 * math.sin(1.2 * math.pi * t)
    x[:, 1] -= 4 * math.cos(1.2 * math.pi * t)
    x[:, 2] += 2.5 * branch * max(0, t - 0.2) / 0.8
    kept = torch.rand(many, generator=source).log() < log_mass - 1.5 * t
    return x[kept][:n], log_mass.exp().mean().item()


def _gaussians():
    """Gaussian snapshots: moments at times between, beside the optimal map of sample moments."""
    known, unseen = (0, 0.15, 0.5, 0.8, 1), (0.07, 0.3, 0.65, 0.9)
    found = {}
    for seed in SEEDS:
        source = torch.Generator().manual_seed(seed)
        data = {}
        for t in known:
            a = torch.randn(5, 5, generator=source, dtype=torch.float64) / 5**0.5
            root = a @ a.T + 0.5 * torch.eye(5)
            x = torch.randn(4000, 5, generator=source, dtype=torch.float64)
            data[t] = x @ root + 2 * torch.randn(5, generator=source, dtype=torch.float64)
        fitted = trajectories.fit(data, seed=seed, **OPTIONS)
        print(fitted.model.card["trajectory"], flush=True)
        for t in unseen:
            k = max(i for i in range(4) if known[i] < t)
            share = (t - known[k]) / (known[k + 1] - known[k])
            x, y = data[known[k]], data[known[k + 1]]
            exact = x + share * (torch.as_tensor(metrics.gaussian_map(x, y)(x)) - x)
            moved = fitted.law(t, 40_000, seed=seed).double()
            cov = exact.T.cov()
            off = (moved.mean(0) - exact.mean(0)).norm() / cov.trace().sqrt()
            gap = (moved.T.cov() - cov).norm() / cov.norm()
            found.setdefault("mean", []).append(off.item())
            found.setdefault("covariance", []).append(gap.item())
            print(f"  seed {seed}, t = {t}: {off:.4f} {gap:.4f}", flush=True)
    for figure, values in found.items():
        print(
            f"Gaussian snapshots, {figure}: mean {statistics.fmean(values):.4f}, "
            f"worst {max(values):.4f}",
            flush=True,
        )


def _large():
    """200,000 cells in 50 dimensions at 8 times, beside 5,000 cells a snapshot."""
    times = [i / 7 for i in range(8)]
    left = times[3]
    ends = {}
    for cells in (5000, 25_000):
        start = time.perf_counter()
        data = {t: wide(cells, t) for t in times if t != left}
        fitted = trajectories.fit(data, **{**OPTIONS, "max_seconds": 4 * SECONDS})
        moved = fitted.law(left, 5000, seed=0).double()
        ends[cells] = metrics.energy_distance(moved, wide(5000, left, 1).double())
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"{cells:6} cells: {ends[cells]:.4f}, {seconds:.0f} s, {peak:.2f} GiB", flush=True)
    print(f"ratio {ends[25_000] / ends[5000]:.3f}")


def wide(n, t, seed=0):
    """Cells of the branching process in 50 dimensions, float32."""
    source = torch.Generator().manual_seed(7 + seed)
    x = torch.cat([branching(n, t, seed), torch.zeros(n, 40, dtype=torch.float64)], 1)
    x[:, 10:] = 0.2 * torch.randn(n, 40, generator=source, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(50, 50, generator=torch.Generator().manual_seed(3)))[0]
    return (x.float() @ turn).contiguous()


TABLES = {
    "eb": _eb,
    "branching": _branching,
    "growth": _growth,
    "gaussians": _gaussians,
    "large": _large,
}
