"""Overhead of this tree beside another checkout: `python -m tests.benchmarks.beside CHECKOUT`.

The two run in turn, each time in a process of its own, nine times. A null network leaves nothing
but the overhead of a network call; a training step is that of a small network.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parents[2]
ROUNDS = int(os.environ.get("ROUNDS", 9))
MEASURE = """
import json, statistics, time, torch, multisi
from multisi import training

class Null(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("heads", torch.zeros(1, 3, 2))
    def forward(self, x, alpha):
        return self.heads

def timed(function, repeats):
    function()
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        found.append(time.perf_counter() - start)
    return min(found)

model, y, found = multisi.Model(Null(), ("noise", "a", "b"), "noise"), torch.zeros(1, 2), {}
for noise, solver, calls in (
    (0, "euler", 1), (0, "midpoint", 2), (0, "adams", 1), (0, "rk4", 4),
    (0.5, "euler", 1), (0.5, "midpoint", 2), (0.5, "srk", 2),
):
    def call():
        return model.transport(
            y, "a", "b", noise=noise, solver=solver, steps=1000, path="bow", seed=0)
    found[f"{'SDE' if noise else 'ODE'} {solver}"] = timed(call, 5) / (1000 * calls)
source = torch.Generator().manual_seed(0)
x = torch.randn(20000, 2, generator=source)
for width, coupling in ((64, "independent"), (64, "ot"), (256, "independent")):
    batches = training.Batches({"a": x, "b": x + 3}, coupling=coupling, batch_size=256)
    means = batches.means("mlp", width=width)
    run = training.Training(means, batches, training.Schedule(10**6, None, 256))
    def steps():
        for _ in range(100):
            run._one(1e-3)
    found[f"step, width {width}, {coupling}"] = timed(steps, 5) / 100
print(json.dumps(found))
"""


def measure(checkout):
    """Seconds per network call and per training step in a checkout."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    shown = subprocess.run(
        [sys.executable, "-c", MEASURE],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(shown.stdout)


def run(other):
    """Medians of both, and of the ratios of neighbours."""
    pairs = [(measure(other), measure(HERE)) for _ in range(ROUNDS)]
    print("what | there (µs) | here (µs) | here over there: median [least, most]")
    for name in pairs[0][0]:
        there, here = ([pair[i][name] * 1e6 for pair in pairs] for i in (0, 1))
        ratios = [b / a for a, b in zip(there, here, strict=True)]
        print(
            f"{name} | {statistics.median(there):.1f} | {statistics.median(here):.1f} | "
            f"{statistics.median(ratios):.3f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        )


if __name__ == "__main__":
    run(pathlib.Path(sys.argv[1]).resolve())
