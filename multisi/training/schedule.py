"""The length of training and the learning rate."""

import math
from dataclasses import dataclass

from multisi.common import checks
from multisi.errors import ConfigError

MOST_STEPS = 10**12


@dataclass(frozen=True)
class Schedule:
    """A linear warm-up over the first 2 % of the run, and a cosine decay to zero.

    Arguments:
        steps: Largest number of steps.
        max_seconds: Time limit, at which the decay also ends; `None` for no limit. It includes the
            time before the first step.
        batch_size: Joint draws per step.
        learning_rate: The peak learning rate.

    Raises:
        ConfigError: `steps` or `batch_size` is not a positive integer, `steps` is above 10^12, or
            `max_seconds` or `learning_rate` is not a positive number.

    Examples:
        >>> Schedule(steps=100, learning_rate=1e-3).rate(0.5)
        0.0005
    """

    steps: int = 5000
    max_seconds: float | None = None
    batch_size: int = 256
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        if checks.integer(self.steps, "steps") > MOST_STEPS:
            raise ConfigError(f"steps must be at most {MOST_STEPS:,}; got {self.steps:,}.")
        checks.integer(self.batch_size, "batch_size")
        checks.number(self.learning_rate, "learning_rate", positive=True)
        if self.max_seconds is not None:
            checks.number(self.max_seconds, "max_seconds", positive=True)

    def passed(self, step: int, seconds: float, prepared: float = 0.0) -> float:
        """The elapsed share of the run, from its first step on; there is always a first step.

        Arguments:
            step: Number of steps taken.
            seconds: Time taken.
            prepared: The part of this time before the steps.
        """
        share = step / self.steps
        if self.max_seconds is None or not step:
            return share
        left = self.max_seconds - prepared
        return max(share, (seconds - prepared) / left if left > 0 else 1.0)

    def rate(self, passed: float) -> float:
        """The learning rate at an elapsed share of the run."""
        warm = min(1.0, (passed + 1e-3) / 0.02)
        return self.learning_rate * warm * (1 + math.cos(math.pi * min(passed, 1.0))) / 2
