"""The moving average of the weights in training."""

import copy

import torch
from torch import Tensor

from multisi.field.conditional_means import ConditionalMeans
from multisi.training.flat_weights import Flat, trainable


class Average:
    r"""Exponential moving average of the weights, with a memory that grows with the run.

    $\bar\theta \leftarrow \beta\, \bar\theta + (1 - \beta)\, \theta$ with
    $\beta = \min(1 - 1 / \mathrm{memory},\, n / (10 + n))$ at update $n$.

    Arguments:
        means: The conditional means in training, of shape `(b, k, *event)`.
        memory: Largest memory of the average, in steps.
        flat: The weights in training as vectors; `None` to average each weight separately.
        held_by: Means whose weights become the average; a copy of `means` by default.

    Examples:
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
        trained = trainable(means)
        averaged = {name: self.means.get_parameter(name) for name in trained}
        pairs = zip(averaged.values(), trained.values(), strict=True)
        if flat is not None:
            pairs = zip(Flat(averaged, gradients=False).vectors, flat.vectors, strict=True)
        self._weights: list[tuple[Tensor, Tensor]] = list(pairs)
        buffers = zip(self.means.buffers(), means.buffers(), strict=True)
        self._buffers: list[tuple[Tensor, Tensor]] = list(buffers)

    @torch.no_grad()
    def update(self) -> None:
        """Include the current weights; call it after each step of the optimiser."""
        self.steps += 1
        decay = min(1 - 1 / self.memory, self.steps / (10 + self.steps))
        for average, current in self._weights:
            average.lerp_(current, 1 - decay)
        for average, current in self._buffers:
            average.copy_(current)
