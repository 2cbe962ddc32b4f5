"""How long to train, and how fast."""

import math
from dataclasses import dataclass
from typing import Any

from multisi.errors import ConfigError


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
        for name in ("steps", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{name} must be an integer of at least 1; got {value!r}.")
        if not _positive(self.learning_rate):
            raise ConfigError(
                f"learning_rate must be a positive number; got {self.learning_rate!r}."
            )
        if self.max_seconds is not None and not _positive(self.max_seconds):
            raise ConfigError(
                f"max_seconds must be a positive number or None; got {self.max_seconds!r}."
            )

    def passed(self, step: int, seconds: float) -> float:
        """The share of the run that has passed."""
        share = step / self.steps
        return share if self.max_seconds is None else max(share, seconds / self.max_seconds)

    def rate(self, passed: float) -> float:
        """The learning rate when that share has passed."""
        warm = min(1.0, (passed + 1e-3) / 0.02)
        return self.learning_rate * warm * (1 + math.cos(math.pi * min(passed, 1.0))) / 2


def _positive(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < math.inf
