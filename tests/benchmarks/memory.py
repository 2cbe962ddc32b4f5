"""Memory while training on a mapped file of 20 GB, most of which is a hole."""

import os
import pathlib
import re
import tempfile
import time

import numpy as np

import multisi

BYTES, FEATURES = 20 * 10**9, 256


def run():
    """The largest anonymous resident memory, seen after each step."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "large.npy")
        rows = BYTES // (4 * FEATURES)
        large = np.lib.format.open_memmap(file, "w+", np.float32, (rows, FEATURES))
        large[:: rows // 1000] = np.random.default_rng(0).normal(size=large[:: rows // 1000].shape)
        del large
        data = {"large": np.load(file, mmap_mode="r"), "small": np.eye(FEATURES)}
        before, most, start = _anonymous(), [0], time.perf_counter()
        for coupling in ("independent", "ot"):
            multisi.fit(
                data,
                coupling=coupling,
                steps=200,
                progress=False,
                callbacks=[lambda run: most.append(_anonymous())],
            )
        print(
            f"\n20 GB mapped, {rows:,} rows: {max(most) / 1e9:.2f} GB anonymous at most "
            f"(before: {before / 1e9:.2f}), {time.perf_counter() - start:.0f} s for 400 steps"
        )


def _anonymous():
    status = pathlib.Path("/proc", str(os.getpid()), "status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024
