"""Reading a CSV file of numbers: time and memory, beside the C engine of pandas."""

import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

ROWS, COLUMNS, TURNS = 6000, 1000, 9
BYTES = 8 * ROWS * COLUMNS


def run():
    """Print both ratios: to the time of pandas in one run, and to the memory of the numbers."""
    import pandas

    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "x.csv")
        numbers = np.random.default_rng(0).normal(size=(ROWS, COLUMNS))
        names = [f"x{i}" for i in range(COLUMNS)]
        pandas.DataFrame(numbers, columns=names).to_csv(file, index=False)
        del numbers
        one = os.environ | {"OMP_NUM_THREADS": "1"}
        for way in ("pandas", "lines"):
            command = [sys.executable, "-m", "tests.benchmarks.csv", str(file), way]
            found = json.loads(subprocess.run(command, env=one, check=True, capture_output=True,
                                              text=True).stdout)  # fmt: skip
            print(
                f"| {way} | {found['multisi']:.2f} s | {found['pandas']:.2f} s "
                f"| {found['multisi'] / found['pandas']:.2f} | {found['memory'] / BYTES:.1f} |"
            )


def measure(file, way):
    """Medians of both times, in turns, and the growth of the memory by the first reading."""
    import pandas

    from multisi.files import csv_file
    from multisi.files.formats import read_samples

    if hasattr(os, "sched_setaffinity"):  # From 3.1 on, pandas reads a path by several threads.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if way == "lines":  # As without pandas.
        csv_file._fast = lambda *given: None
    times = {"multisi": [], "pandas": []}
    before, growth = peak(), None
    for _ in range(TURNS):
        for name, read in (("multisi", read_samples), ("pandas", pandas.read_csv)):
            start = time.perf_counter()
            read(file)
            times[name].append(time.perf_counter() - start)
            growth = peak() - before if growth is None else growth
    medians = {name: statistics.median(each) for name, each in times.items()}
    print(json.dumps(medians | {"memory": growth}))


def peak():
    """The largest resident memory so far, in bytes."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


if __name__ == "__main__":
    measure(*sys.argv[1:])
