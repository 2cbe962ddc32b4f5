"""Settings of all tests: the same numbers in any order, no timing, one thread a worker."""

import os
import random

import numpy as np
import torch
from hypothesis import settings

settings.register_profile("multisi", deadline=None, derandomize=True)
settings.load_profile("multisi")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores among them already; this holds for the processes they start, too.
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


def pytest_runtest_setup(item):
    """Start every test from one seed, whichever ran before it."""
    random.seed(12_345)
    np.random.seed(12_345)
    torch.manual_seed(12_345)
