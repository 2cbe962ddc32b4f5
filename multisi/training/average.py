"""The average of the weights over the last part of a run."""

import copy

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from multisi.means import ConditionalMeans


class Average:
    """An exponential average whose memory grows with the run, up to a number of steps.

    Arguments:
        means: The means in training.
        memory: How many steps the average reaches back at most.

    Example:
        >>> from multisi.recipes import make
        >>> means = make("mlp", {"width": 8}, (2,), 3)
        >>> average = Average(means)
        >>> average.update()
        >>> average.means(torch.zeros(1, 2), torch.full((1, 3), 1 / 3)).shape
        torch.Size([1, 3, 2])
    """

    def __init__(self, means: ConditionalMeans, memory: int = 1000) -> None:
        self.means = copy.deepcopy(means).eval().requires_grad_(False)
        self.memory, self.steps = memory, 0
        self._mine: list[Tensor] = list(self.means.parameters())
        self._theirs: list[Tensor] = list(means.parameters())
        buffers = zip(self.means.buffers(), means.buffers(), strict=True)
        self._buffers: list[tuple[Tensor, Tensor]] = list(buffers)

    @torch.no_grad()
    def update(self) -> None:
        """Take the present weights in, after a step of the optimiser."""
        self.steps += 1
        decay = min(1 - 1 / self.memory, self.steps / (10 + self.steps))
        get_ema_multi_avg_fn(decay)(self._mine, self._theirs, 0)  # type: ignore[no-untyped-call]
        for mine, current in self._buffers:
            mine.copy_(current)
