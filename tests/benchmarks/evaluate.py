"""Time of an evaluation: 64 rows of pictures, by the number of their features."""

import statistics
import time

import torch

import multisi

SIDES, ROWS, REPEATS = (32, 64), 64, 5


class Still(torch.nn.Module):
    """A network that costs nothing, so that the time is that of the figures."""

    def forward(self, x, alpha):
        return x[:, None].expand(-1, 2, *x.shape[1:])


def run():
    """CPU seconds a pair, transport there and back included: median, least and most of five."""
    model = multisi.Model(Still(), ("a", "b"))
    print("\nCPU seconds a pair of an evaluation of 64 rows: median [least, most] of five")
    for side in SIDES:
        source = torch.Generator().manual_seed(0)
        a, b = torch.rand(2, ROWS, 3, side, side, generator=source)
        times = []
        for _ in range(REPEATS):
            start = time.process_time()
            report = model.evaluate({"a": a, "b": b})
            times.append((time.process_time() - start) / len(report.pairs))
        features = 3 * side * side
        shown = f"{statistics.median(times):.3f} [{min(times):.3f}, {max(times):.3f}]"
        print(f"{features:>6,} features (3 x {side} x {side})  {shown}")
