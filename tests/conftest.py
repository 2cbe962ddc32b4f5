"""Settings of all tests: the same examples on every machine, no timing, one thread a worker."""

import os

import torch
from hypothesis import settings

settings.register_profile("multisi", deadline=None, derandomize=True)
settings.load_profile("multisi")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores among them already; this holds for the processes they start, too.
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
