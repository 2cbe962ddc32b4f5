"""Time of whole samplers over (network calls x bare forward), beside peers where installed.

Peers are optional: torchdiffeq and flow_matching are measured if they can be imported.
"""

import importlib.util
import statistics
import time

import torch
import torchsde

import multisi
from multisi.networks import MLP

STEPS, REPEATS = 32, 5
SIZES = ((512, 784, 1024, 4), (1024, 2, 256, 3))
"""Rows, features, width and depth: a network of some 33 ms and one of 2 ms."""


class Counted(torch.nn.Module):
    """A network that counts its calls."""

    def __init__(self, network):
        super().__init__()
        self.network, self.calls = network, 0
        self.register_buffer("like", torch.zeros(()))

    def forward(self, x, alpha):
        self.calls += 1
        return self.network(x, alpha)


class Mixing(Counted):
    """The same, which lets the network combine its heads before its last layer."""

    def forward(self, x, alpha, mix=None):
        self.calls += 1
        return self.network(x, alpha, mix=mix)


class Peer(torch.nn.Module):
    """The velocity from marginal 1 to 2 as peers ask for it; with noise for torchsde."""

    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, t, x):
        alpha = torch.stack([0 * t, 1 - t, t]).to(x).expand(len(x), 3)
        heads = self.network(x, alpha)
        return heads[:, 2] - heads[:, 1]

    def f(self, t, y):
        return self(t, y)

    def g(self, t, y):
        return torch.full_like(y, 0.1)


def run():
    """Ratios: median, least and most of five, each between its own bare forwards."""
    for rows, features, width, depth in SIZES:
        torch.manual_seed(0)
        network = Counted(MLP((features,), 3, width=width, depth=depth).eval())
        model = multisi.Model(network, ("noise", "a", "b"), "noise")
        x = torch.randn(rows, features)
        print(f"\nTime over (calls x bare forward): {rows} rows of {features}, {width} x {depth}")
        print(f"{'sampler':44} | calls | ms a call | median | least | most")
        for name, sampler in _samplers(model, network, x).items():
            _row(name, sampler, network, x)
        mixing = Mixing(network.network)
        model = multisi.Model(mixing, ("noise", "a", "b"), "noise")
        for name, sampler in _samplers(model, mixing, x).items():
            if name.startswith("multisi"):
                _row(f"{name}, heads mixed first", sampler, mixing, x)


def _samplers(model, network, x):
    peer, times = Peer(network), torch.linspace(0, 1, STEPS + 1)

    def ours(**options):
        return lambda: model.transport(x, "a", "b", batch_size=len(x), **options)

    def hand():
        y, h = x, 1 / STEPS
        for t in times[:-1]:
            y = y + h * peer(t, y)
        return y

    samplers = {
        f"multisi ODE {name}": ours(solver=name, steps=STEPS // calls)
        for name, calls in (("adams", 1), ("euler", 1), ("midpoint", 2), ("rk4", 4))
    }
    samplers |= {
        f"multisi SDE {name}": ours(solver=name, steps=STEPS // 2, noise=0.5, seed=0)
        for name in ("midpoint", "heun", "srk")
    }
    samplers["hand loop, Euler"] = hand
    samplers["torchsde euler, defaults, 100 steps"] = lambda: torchsde.sdeint(
        peer, x, torch.tensor([0.0, 1.0]), method="euler", dt=0.01
    )
    samplers["torchsde default method, 8 steps"] = lambda: torchsde.sdeint(
        peer, x, torch.tensor([0.0, 1.0]), dt=1 / 8
    )
    if importlib.util.find_spec("torchdiffeq"):
        from torchdiffeq import odeint

        for name, steps in (("euler", STEPS), ("midpoint", STEPS // 2)):
            grid = torch.linspace(0, 1, steps + 1)
            samplers[f"torchdiffeq {name}"] = lambda grid=grid, name=name: odeint(
                peer, x, grid, method=name
            )
    if importlib.util.find_spec("flow_matching"):
        from flow_matching.solver import ODESolver

        solver = ODESolver(velocity_model=lambda x, t: peer(t, x))
        samplers["flow_matching euler"] = lambda: solver.sample(
            x_init=x, step_size=1 / STEPS, method="euler"
        )
    return samplers


def _row(name, sampler, network, x):
    alpha, ratios, each = torch.tensor([[0.0, 0.5, 0.5]]).expand(len(x), 3), [], []

    def bare(calls):
        start = time.perf_counter()
        for _ in range(calls):
            network(x, alpha)
        return time.perf_counter() - start

    with torch.no_grad():
        network.calls = 0
        sampler()
        calls = network.calls
        for _ in range(REPEATS):
            alone = bare(calls)
            start = time.perf_counter()
            sampler()
            spent = time.perf_counter() - start
            alone = (alone + bare(calls)) / 2
            each.append(alone / calls * 1e3)
            ratios.append(spent / alone)
    figures = f"{statistics.median(ratios):6.2f} | {min(ratios):5.2f} | {max(ratios):4.2f}"
    print(f"{name:44} | {calls:5} | {statistics.median(each):9.2f} | {figures}", flush=True)
