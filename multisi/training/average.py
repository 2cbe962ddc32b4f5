"""The average of the weights over the last part of a run."""

import copy

import torch
from torch import Tensor

from multisi.field.conditional_means import ConditionalMeans
from multisi.training.flat_weights import Flat, trainable


class Average:
    """An exponential average whose memory grows with the run, up to a number of steps.

    Arguments:
        means: The means in training.
        memory: How many steps the average reaches back at most.
        flat: The weights in training as vectors, if they are.
        held_by: Means whose weights become the average; a copy of `means` by default.

    Example:
        >>> from multisi.field.recipe import means_of
        >>> means = means_of("mlp", {"width": 8}, (2,), 3)
        >>> average = Average(means)
        >>> average.update()
        >>> average.means(torch.zeros(1, 2), torch.full((1, 3), 1 / 3)).shape
        torch.Size([1, 3, 2])
    """

    def __init__(
        self,
        means: ConditionalMeans,
        memory: int = 1000,
        flat: Flat | None = None,
        held_by: ConditionalMeans | None = None,
    ) -> None:
        own = copy.deepcopy(means) if held_by is None else held_by
        self.means = own.eval().requires_grad_(False)
        self.memory, self.steps = memory, 0
        theirs = trainable(means)
        mine = {name: self.means.get_parameter(name) for name in theirs}
        pairs = zip(mine.values(), theirs.values(), strict=True)
        if flat is not None:
            pairs = zip(Flat(mine, gradients=False).vectors, flat.vectors, strict=True)
        self._weights: list[tuple[Tensor, Tensor]] = list(pairs)
        buffers = zip(self.means.buffers(), means.buffers(), strict=True)
        self._buffers: list[tuple[Tensor, Tensor]] = list(buffers)

    @torch.no_grad()
    def update(self) -> None:
        """Take the present weights in, after a step of the optimiser."""
        self.steps += 1
        decay = min(1 - 1 / self.memory, self.steps / (10 + self.steps))
        for mine, current in self._weights:
            mine.lerp_(current, 1 - decay)
        for mine, current in self._buffers:
            mine.copy_(current)
