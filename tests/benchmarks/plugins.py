"""Time of listing plugins, with 20 third-party ones, and of looking one up."""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from multisi.registry import installed

COUNT, REPEATS = 20, 9
SOURCE = """
import multisi

class Mine(multisi.Interpolant):
    \"\"\"Weights as they are.\"\"\"

    def weights(self, alpha):
        return alpha

@multisi.hookimpl
def multisi_register_interpolants():
    return {{"mine-{i}": Mine, "lazy-{i}": "third_party_{i}:Mine"}}
"""


def run():
    """Medians, with the least and the most."""
    with tempfile.TemporaryDirectory() as folder:
        for i in range(COUNT):
            pathlib.Path(folder, f"third_party_{i}.py").write_text(SOURCE.format(i=i))
            info = pathlib.Path(folder, f"third_party_{i}-1.0.dist-info")
            info.mkdir()
            (info / "METADATA").write_text(f"Name: third-party-{i}\nVersion: 1.0\n")
            (info / "entry_points.txt").write_text(f"[multisi]\np{i} = third_party_{i}\n")
        for what, path in (("no third party", ""), (f"{COUNT} third-party plugins", folder)):
            seconds = [_listing(path) for _ in range(REPEATS)]
            print(
                f"`multisi plugins`, {what}: {statistics.median(seconds):.3f} s "
                f"[{min(seconds):.3f}, {max(seconds):.3f}]"
            )
    for name in ("barycentric", "adams"):
        kind = "solver" if name == "adams" else "interpolant"
        installed().find(kind, name)
        start = time.perf_counter()
        for _ in range(10_000):
            installed().find(kind, name)
        print(f"looking up {name}: {(time.perf_counter() - start) / 10_000 * 1e6:.2f} µs")


def _listing(path):
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "multisi", "plugins"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    spent = time.perf_counter() - start
    if path and done.stdout.count("Weights as they are.") != 2 * COUNT:
        raise RuntimeError(done.stdout)
    return spent
