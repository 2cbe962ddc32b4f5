"""What a run counts."""

import math
from dataclasses import dataclass


@dataclass
class Counts:
    """What a run counts, and takes up again when it is resumed."""

    step: int = 0
    seconds: float = 0.0
    skipped: int = 0
    """Steps whose gradient was not finite."""
    failed: int = 0
    """How many of the last steps were skipped in a row."""
    checked: float = 0.0
    """Share of the run that had passed at the last check of the loss."""
    least: float = math.inf
    """The lowest loss at a check."""
    best: float = math.inf
    """The lowest value that `judge` was given, and its step."""
    best_step: int = 0
    averaged: int = 0
    """Steps in the average of the weights."""
