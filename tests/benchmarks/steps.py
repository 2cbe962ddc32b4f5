"""Time of a training step: over the bare network, with plans over without, with many marginals."""

import inspect
import math
import os
import statistics
import time

import torch

import multisi
from multisi import training
from tests.benchmarks.sets import draw

ROUNDS = int(os.environ.get("ROUNDS", 600))


def run():
    """Medians of steps that are taken in turn, and means, where plans are waited for."""
    print(f"\n{torch.get_num_threads()} threads; independent step over bare step; median")
    print("width | rows | K | bare (ms) | multisi | plain call of fit | torchcfm")
    for width, rows, marginals in (
        (64, 256, 2),
        (64, 1024, 2),
        (64, 256, 5),
        (128, 256, 5),
        (128, 1024, 5),
        (256, 256, 2),
        (256, 256, 5),
    ):
        _bare(width, rows, marginals)
    print("\nstep with OT plans over an independent one, width 64; means over all steps")
    print("rows | K | independent (ms) | multisi | torchcfm over its own independent step")
    for rows in (256, 1024):
        for marginals in (2, 3, 5):
            _plans(rows, marginals)
    _many()


def _data(marginals, n=20_000):
    sets = list(draw(n, 0).values())
    return {f"set {i}": sets[i % 4] + i for i in range(marginals)}


def _default(option):
    return inspect.signature(multisi.fit).parameters[option].default


def _run(marginals, rows, width, coupling="independent", noise=False):
    data = _data(marginals - noise)
    if noise:
        data["noise"] = multisi.StandardNormal()
    batches = training.Batches(data, coupling=coupling, batch_size=rows)
    means = batches.means("mlp", width=width)
    return training.Training(means, batches, training.Schedule(10**6, None, rows))


def _times(*functions, rounds=ROUNDS, warm=30):
    """Seconds of each call, the functions in turn."""
    found = [[] for _ in functions]
    for i in range(rounds + warm):
        for times, function in zip(found, functions, strict=True):
            start = time.perf_counter()
            function()
            if i >= warm:
                times.append(time.perf_counter() - start)
    return found


def _bare(width, rows, marginals):
    run = _run(marginals, rows, width)
    batch = run.batches(0)

    def bare(network, x, *others):
        optimiser = torch.optim.Adam(network.parameters(), fused=True)

        def step():
            optimiser.zero_grad()
            network(x, *others).square().mean().backward()
            optimiser.step()

        return step

    network = run.batches.means("mlp", width=width).network
    plain = _run(marginals, rows, width, _default("coupling"), noise=True)
    for _ in range(2000 if _default("coupling") != "independent" else 0):
        plain._one(1e-3)  # The window of plans is filled.
    ours = [
        lambda: run._one(1e-3),
        lambda: plain._one(1e-3),
        bare(network, batch.x, batch.alpha),
    ]
    peers = _peer(rows, width, bare) if marginals == 2 else []
    full, call, alone, *theirs = (statistics.median(times) for times in _times(*ours, *peers))
    shown = f"{theirs[0] / theirs[1]:.2f}" if theirs else "-"
    ratios = f"{full / alone:.2f} | {call / alone:.2f} | {shown}"
    print(f"{width} | {rows} | {marginals} | {1e3 * alone:.2f} | {ratios}", flush=True)


def _peer(rows, width, bare, ot=False):
    """torchcfm's step as its examples write it, and that of its bare network."""
    try:
        from torchcfm import conditional_flow_matching as cfm
        from torchcfm.models.models import MLP
    except ImportError:
        return []
    x, y = (torch.as_tensor(part).float() for part in _data(2).values())
    network = MLP(dim=2, time_varying=True, w=width)
    kind = "ExactOptimalTransport" if ot else ""
    matcher = getattr(cfm, f"{kind}ConditionalFlowMatcher")(sigma=0.0)
    optimiser = torch.optim.Adam(network.parameters(), fused=True)

    def step():
        x0, x1 = (part[torch.randint(len(part), (rows,))] for part in (x, y))
        t, xt, ut = matcher.sample_location_and_conditional_flow(x0, x1)
        optimiser.zero_grad()
        loss = (network(torch.cat([xt, t[:, None]], 1)) - ut).square().mean()
        loss.backward()
        optimiser.step()

    other = MLP(dim=2, time_varying=True, w=width)
    return [step, bare(other, torch.randn(rows, 3))]


def _plans(rows, marginals):
    plain, matched = (_run(marginals, rows, 64, name) for name in ("independent", "ot"))
    for _ in range(2000):  # The window of plans is filled.
        matched._one(1e-3)
    # Blocks of steps, one after the other: plans are made while steps of their own run.
    seconds = {"plain": 0.0, "matched": 0.0}
    for _ in range(6):
        for name, run in (("plain", plain), ("matched", matched)):
            start = time.perf_counter()
            for _ in range(ROUNDS // 2):
                run._one(1e-3)
            seconds[name] += time.perf_counter() - start
    shown = "-"
    if marginals == 2 and (peers := _peer(rows, 64, lambda *_: None)):
        count = 20 if rows > 256 else 100
        ot = _peer(rows, 64, lambda *_: None, ot=True)
        means = [statistics.fmean(t) for t in _times(peers[0], ot[0], rounds=count, warm=3)]
        shown = f"{means[1] / means[0]:.1f}"
    each = 1e3 * seconds["plain"] / (6 * (ROUNDS // 2))
    ratio = seconds["matched"] / seconds["plain"]
    print(f"{rows} | {marginals} | {each:.2f} | {ratio:.2f} | {shown}", flush=True)


def _annulus(marginals, n):
    """Angular bins of one annulus, as many as there are marginals."""
    source = torch.Generator().manual_seed(n)
    found = {}
    for i in range(marginals):
        angle = (i + torch.rand(n, generator=source)) * 2 * math.pi / marginals
        radius = 1 + torch.rand(n, generator=source)
        found[f"bin {i}"] = torch.stack([angle.cos() * radius, angle.sin() * radius], 1)
    return found


def _many():
    print("\nbins of an annulus: a step (256 rows), moving a pair (4096 rows), quality")
    print("K | step (ms) | pair, width 512 (ms) | energy distance after 400 steps a marginal")
    runs, moves, shown = [], [], []
    counts = (2, 5, 10, 20, 50)
    for marginals in counts:
        data = _annulus(marginals, 2000)
        batches = training.Batches(data)
        means = batches.means("mlp")
        runs.append(training.Training(means, batches, training.Schedule(10**6)))
        wide = batches.model(batches.means("mlp", width=512))
        x = _annulus(marginals, 4096)["bin 0"]
        moves.append(lambda m=wide, x=x: m.transport(x, "bin 0", "bin 1", steps=8))
    steps = _times(*(lambda r=run: r._one(1e-3) for run in runs), rounds=ROUNDS)
    pairs = _times(*moves, rounds=15, warm=2)
    for marginals in counts:
        model = multisi.fit(_annulus(marginals, 2000), steps=400 * marginals, progress=False)
        fresh = _annulus(marginals, 1999)
        ends = [
            (f"bin {i}", f"bin {(i + 1 + i % (marginals - 1)) % marginals}")
            for i in range(min(marginals, 10))
        ]
        distances = [
            multisi.metrics.energy_distance(model.transport(fresh[i], i, j), fresh[j])
            for i, j in ends
        ]
        shown.append(statistics.fmean(distances))
    for k, step, pair, distance in zip(counts, steps, pairs, shown, strict=True):
        times = 1e3 * statistics.median(step), 1e3 * statistics.median(pair)
        print(f"{k} | {times[0]:.2f} | {times[1]:.1f} | {distance:.4f}", flush=True)
