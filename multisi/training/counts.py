"""The counters of a run."""

import math
from dataclasses import dataclass


@dataclass
class Counts:
    """The counters of a run, which its checkpoints hold."""

    step: int = 0
    seconds: float = 0.0
    skipped: int = 0
    """Steps whose gradient was not finite."""
    failed: int = 0
    """Number of skipped steps since the last one that was not."""
    checked: float = 0.0
    """Elapsed share of the run at the last check of the loss."""
    least: float = math.inf
    """The lowest loss at a check."""
    best: float = math.inf
    """The lowest value passed to `judge`; `best_step` is its step."""
    best_step: int = 0
    averaged: int = 0
    """Number of updates of the averaged weights."""
