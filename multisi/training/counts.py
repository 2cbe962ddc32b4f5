"""The counters of a run."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multisi.files.checkpoint import under


@dataclass
class Counts:
    """The counters of a run, which its checkpoints hold."""

    step: int = 0
    seconds: float = 0.0
    prepared: float = 0.0
    """Seconds from the calls to their first steps."""
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

    @classmethod
    def of(cls, numbers: Any) -> "Counts":
        """The counters of a checkpoint, where infinity is null.

        Raises:
            ValueError: one is missing, is not a number of its kind, or cannot be right.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(numbers, Mapping) or set(numbers) != set(names):
            raise ValueError(f"numbers must have the entries {', '.join(names)}")
        found: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            value, lowest = numbers[field.name], field.default == math.inf
            value = math.inf if value is None and lowest else value
            kinds = (int,) if field.type == "int" or field.type is int else (int, float)
            if type(value) not in kinds or not (lowest or 0 <= value < math.inf):
                raise ValueError(f"{field.name} must be a number of at least 0; got {value!r:.40}")
            found[field.name] = value
        counts = cls(**found)
        parts = (counts.skipped, counts.failed, counts.best_step, counts.averaged)
        if max(parts) > counts.step or counts.failed > counts.skipped:
            raise ValueError(f"the numbers {found} contradict each other")
        return counts

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Check the tensors of a checkpoint that are no weights, and that none is missing.

        Raises:
            ValueError: one is missing or cannot be right.
        """
        own, loss = tensors.get("random"), tensors.get("loss")
        if loss is None or loss.shape != () or not loss.is_floating_point():
            raise ValueError("the loss must be a single float")
        if own is None or own.dtype != torch.uint8:
            raise ValueError("the state of the random numbers must be bytes")
        try:
            torch.Generator().set_state(own)
        except RuntimeError as error:
            raise ValueError(f"the state of the random numbers: {error}") from None
        if ("optimiser.step" in tensors) != (self.averaged > 0):
            raise ValueError(f"after {self.averaged} updates the optimiser must have a state")
        if bool(under(tensors, "best.")) != (self.best_step > 0):
            raise ValueError(f"there must be the best weights, of step {self.best_step}")
