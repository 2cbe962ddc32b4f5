"""How long to train, and how fast."""

import math
from dataclasses import dataclass

from multisi.common import checks


@dataclass(frozen=True)
class Schedule:
    """Warm-up over the first 2 % of the run, then half a cosine down to zero.

    Arguments:
        steps: Number of steps at most.
        max_seconds: Time at most, by which the cosine has come down; `None` for no limit.
        batch_size: Joint draws a step.
        learning_rate: The highest rate.

    Raises:
        ConfigError: a value out of its range.

    Example:
        >>> Schedule(steps=100, learning_rate=1e-3).rate(0.5)
        0.0005
    """

    steps: int = 5000
    max_seconds: float | None = None
    batch_size: int = 256
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        checks.integer(self.steps, "steps")
        checks.integer(self.batch_size, "batch_size")
        checks.number(self.learning_rate, "learning_rate", positive=True)
        if self.max_seconds is not None:
            checks.number(self.max_seconds, "max_seconds", positive=True)

    def passed(self, step: int, seconds: float) -> float:
        """The share of the run that has passed."""
        share = step / self.steps
        return share if self.max_seconds is None else max(share, seconds / self.max_seconds)

    def rate(self, passed: float) -> float:
        """The learning rate when that share has passed."""
        warm = min(1.0, (passed + 1e-3) / 0.02)
        return self.learning_rate * warm * (1 + math.cos(math.pi * min(passed, 1.0))) / 2
