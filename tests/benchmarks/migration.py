"""An example of torchcfm and one of flow_matching beside their translations, at equal steps.

`EXAMPLES`, `ARMS`, `SEEDS` in the environment change what is run, and `SHARE` the share of the
steps.
"""

import importlib.util
import itertools
import math
import os
import statistics
import time

import torch

import multisi
from multisi.metrics import wasserstein
from tests.benchmarks.measure import Judge, one_thread

EXAMPLES = os.environ.get("EXAMPLES", "torchcfm,flow_matching").split(",")
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0,1,2").split(",")]
SHARE = float(os.environ.get("SHARE", 1))
ROWS, HELD_OUT = 100_000, 4096
"""Rows that ours trains on, where the peers draw new ones at each step; rows of the test."""


def run():
    """Distances and processor time of each arm: means over seeds, and each seed."""
    for name in EXAMPLES:
        if importlib.util.find_spec(name) is None:
            print(f"\n{name} is not installed, and its example is left out.")
            continue
        with one_thread():
            _example(name, **_KNOWN[name])


def _example(name, draw, source, target, peer, arms, steps, batch, calls):
    steps = max(1, round(SHARE * steps))
    print(f"\n{name}: {steps} steps of {batch} rows, {calls} calls; torch {torch.__version__}")
    print("arm | W2 | energy distance | training (s) | sampling (s)")
    found = {}
    peer(draw, 1, batch, calls, 0)  # What is imported is not part of the training.
    chosen = os.environ.get("ARMS", ",".join(["floor", name, *arms])).split(",")
    for seed in SEEDS:
        judge = Judge(lambda s: draw(HELD_OUT, s), seed)
        for arm in chosen:
            x, start = judge.test[source], time.process_time()
            if arm == "floor":
                move = _floor(judge, target)
            elif arm == name:
                move = peer(draw, steps, batch, calls, seed)
            else:
                move = _ours(draw, source, target, arms[arm], steps, batch, calls, seed)
            trained = time.process_time() - start
            moved = move(x)
            sampled = time.process_time() - start - trained
            figures = _w2(moved, judge.fresh[target]), judge.distance(moved, target)
            found.setdefault(arm, []).append((*figures, trained, sampled))
            print(f"  seed {seed}, {arm}: {_cells([[f] for f in found[arm][-1]])}", flush=True)
    for arm, rows in found.items():
        print(f"{arm} | {_cells(zip(*rows, strict=True))}", flush=True)


def _floor(judge, target):
    return lambda x: judge.test[target]


def _cells(columns):
    """Mean and all values of each column, with digits of their own."""
    cells = []
    for values, digits in zip(columns, (3, 4, 0, 2), strict=True):
        each = ", ".join(f"{value:.{digits}f}" for value in values) if len(values) > 1 else ""
        cells.append(f"{statistics.fmean(values):.{digits}f}" + (each and f" ({each})"))
    return " | ".join(cells)


def _w2(x, y):
    """Mean distance of two halves, as its time grows with the cube of the rows."""
    parts = (half.split(HELD_OUT // 2) for half in (x, y))
    return statistics.fmean(wasserstein(*both) for both in zip(*parts, strict=True))


def _ours(draw, source, target, options, steps, batch, calls, seed):
    data = draw(ROWS, seed)
    if source == "noise":
        data["noise"] = multisi.StandardNormal()
    if make := options.get("network"):
        torch.manual_seed(seed)
        options = options | {"network": OfVelocity(make())}
    model = multisi.fit(data, steps=steps, batch_size=batch, seed=seed, progress=False, **options)
    return lambda x: model.transport(x, source, target, steps=calls)


class OfVelocity(torch.nn.Module):
    """The heads of a velocity `(x, t) -> v` between two marginals: x - t v and x + (1 - t) v."""

    def __init__(self, velocity):
        super().__init__()
        self.velocity = velocity

    def forward(self, x, alpha):
        t = alpha[:, 1:]
        v = self.velocity(torch.cat([x, t], 1))
        return torch.stack([x - t * v, x + (1 - t) * v], 1)


def _descend(network, loss, steps):
    """The loop of both examples: Adam with a constant rate."""
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()


def _moons(n, seed):
    """Eight Gaussians and moons, with the deviations that torchcfm's helpers have."""
    source = torch.Generator().manual_seed(seed)
    return dict(zip(("gaussians", "moons"), _two(n, source), strict=True))


def _two(n, source=None):
    angle = torch.randint(8, (n,), generator=source) * math.pi / 4
    gaussians = 5 * torch.stack([angle.cos(), angle.sin()], 1)
    gaussians += 0.1**0.25 * torch.randn(n, 2, generator=source)
    arc, side = math.pi * torch.rand(n, generator=source), torch.randint(2, (n,), generator=source)
    moons = torch.stack([arc.cos() * (1 - 2 * side) + side, arc.sin() * (1 - 2 * side)], 1)
    moons[:, 1] += side / 2
    moons += 0.2 * torch.randn(n, 2, generator=source)
    return gaussians, 3 * moons - 1


def _torchcfm(draw, steps, batch, calls, seed):
    """The tutorial: OT-CFM, a network of 3 x 64, 256 new rows at each step."""
    from torchcfm.conditional_flow_matching import ExactOptimalTransportConditionalFlowMatcher

    torch.manual_seed(seed)
    network, matcher = _small(), ExactOptimalTransportConditionalFlowMatcher(sigma=0.1)

    def loss():
        t, xt, ut = matcher.sample_location_and_conditional_flow(*_two(batch))
        return (network(torch.cat([xt, t[:, None]], 1)) - ut).square().mean()

    _descend(network, loss, steps)

    @torch.no_grad()
    def move(x):
        h = 2 / calls
        for i in range(calls // 2):
            half = x + h / 2 * network(torch.cat([x, torch.full((len(x), 1), i * h)], 1))
            x = x + h * network(torch.cat([half, torch.full((len(x), 1), (i + 0.5) * h)], 1))
        return x

    return move


def _small():
    from torchcfm.models.models import MLP

    return MLP(dim=2, time_varying=True)


def _board(n, seed):
    """A standard normal and the checkerboard of the example: 4 x 4 cells, 4 / .45 wide."""
    source = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, 2, generator=source)
    return {"noise": noise, "checkerboard": _cells_of(n, source)}


def _cells_of(n, source=None):
    column, row = (torch.randint(k, (n,), generator=source) for k in (4, 2))
    corner = torch.stack([column, 2 * row + column % 2], 1) - 2
    return (corner + torch.rand(n, 2, generator=source)) / 0.45


def _flow_matching(draw, steps, batch, calls, seed):
    """The notebook: independent rows, a network of 4 x 512, the midpoint rule."""
    from flow_matching.path import AffineProbPath
    from flow_matching.path.scheduler import CondOTScheduler
    from flow_matching.solver import ODESolver

    torch.manual_seed(seed)
    network, path = _large(), AffineProbPath(scheduler=CondOTScheduler())

    def loss():
        target = _cells_of(batch)
        point = path.sample(t=torch.rand(batch), x_0=torch.randn_like(target), x_1=target)
        velocity = network(torch.cat([point.x_t, point.t[:, None]], 1))
        return (velocity - point.dx_t).square().mean()

    _descend(network, loss, steps)

    def velocity(x, t):
        return network(torch.cat([x, t.expand(len(x), 1)], 1))

    solver = ODESolver(velocity_model=velocity)
    return lambda x: solver.sample(x_init=x, method="midpoint", step_size=2 / calls)


def _large():
    sizes = (3, 512, 512, 512, 512)
    layers = [
        layer
        for a, b in itertools.pairwise(sizes)
        for layer in (torch.nn.Linear(a, b), torch.nn.SiLU())
    ]
    return torch.nn.Sequential(*layers, torch.nn.Linear(512, 2))


_KNOWN = {
    "torchcfm": {
        "draw": _moons,
        "source": "gaussians",
        "target": "moons",
        "peer": _torchcfm,
        "arms": {
            "multisi": {},
            "multisi 3 x 64": {"network_options": {"width": 64, "depth": 3}},
            "multisi with its network": {"network": _small},
        },
        "steps": 5000,
        "batch": 256,
        "calls": 100,
    },
    "flow_matching": {
        "draw": _board,
        "source": "noise",
        "target": "checkerboard",
        "peer": _flow_matching,
        "arms": {
            "multisi": {},
            "multisi 4 x 512": {"network_options": {"width": 512, "depth": 4}},
            "multisi with its network": {"network": _large},
        },
        "steps": 5000,
        "batch": 256,
        "calls": 40,
    },
}
