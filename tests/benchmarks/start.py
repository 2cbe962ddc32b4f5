"""Seconds from the call of `fit` to the end of its first step, in a new process each."""

import os
import statistics
import subprocess
import sys

ROUNDS = int(os.environ.get("ROUNDS", 3))
CALLS = {
    "plain call": "",
    "`ot`, 256 rows": "coupling='ot'",
    "`ot`, 1,024 rows a step": "coupling='ot', batch_size=1024",
    "`ot`, 1,024 rows a plan": "coupling='ot', coupling_options={'rows': 1024}",
}
PROGRAM = """
import time
{imported}
import multisi
from tests.benchmarks.sets import draw

data, ends = {{"noise": None, **draw(50_000, 0)}}, []
start = time.perf_counter()
data["noise"] = multisi.StandardNormal()
multisi.fit(
    data, steps=1, progress=False, callbacks=[lambda run: ends.append(time.perf_counter())],
    {options}
)
print(ends[0] - start)
"""


def run():
    """Medians, in brackets with torch imported before the call."""
    print("\nseconds to the first step, five sets, K = 5; with torch imported before the call")
    for name, options in CALLS.items():
        whole, known = (
            statistics.median(_seconds(imported, options) for _ in range(ROUNDS))
            for imported in ("", "import torch")
        )
        print(f"{name} | {whole:.2f} | {known:.2f}", flush=True)


def _seconds(imported, options):
    program = PROGRAM.format(imported=imported, options=options)
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return float(found.stdout)
