"""Time of a network call beyond the network: a network that does nothing, b = 1, d = 2."""

import functools
import statistics
import time

import torch
import torchsde

from multisi import ConditionalMeans, Diffusion, ProbabilityFlow, Solver, registry
from multisi.interpolants.barycentric import Barycentric
from multisi.paths.bow import Bow
from multisi.sampling.integrate import integrate
from tests.benchmarks.null import Null

STEPS, REPEATS = 1000, 9


class Plain(torch.nn.Module):
    """What torchsde asks for, written without care, for its defaults."""

    noise_type, sde_type = "diagonal", "ito"

    def f(self, t, y):
        return torch.zeros_like(y)

    def g(self, t, y):
        return torch.ones_like(y)


def run():
    """Microseconds a call: median, least and most of nine, projection and finiteness included."""
    corners = torch.eye(3, dtype=torch.float64)
    path, means = Bow([corners[1], corners[2]]), ConditionalMeans(Null())
    y = torch.zeros(1, 2)
    grid = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    print("\nMicroseconds a network call, null network, b = 1, d = 2: median [least, most]")
    for kind, dynamics in (
        ("ODE", ProbabilityFlow(means, path, Barycentric())),
        ("SDE", Diffusion(means, path, Barycentric(), 0.5)),
    ):
        names = ("euler", "heun", "midpoint", "srk")
        for name in names if kind == "SDE" else (*names[:3], "adams", "rk4"):
            solver = registry.create("solver", name, Solver)
            calls = STEPS * solver.calls_per_step
            run_once = functools.partial(integrate, dynamics, y, grid, solver, generator)
            _show(f"{kind} {name}", calls, run_once)
    times = torch.tensor([0.0, 1.0])
    _show(
        "peer: torchsde euler, its own Brownian interval",
        100,
        lambda: torchsde.sdeint(Plain(), y, times, method="euler", dt=1 / 64),
        64,
    )


def _show(what, calls, function, real=None):
    with torch.no_grad():
        function()
        figures = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            function()
            figures.append((time.perf_counter() - start) / (real or calls) * 1e6)
    print(f"{what:<50} {statistics.median(figures):7.1f} [{min(figures):.1f}, {max(figures):.1f}]")
