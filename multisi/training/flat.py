"""All weights of a network in one vector."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Flat:
    """Weights as views into one vector for each type and device.

    What concerns all weights alike, such as the optimiser's step, an average, the length of the
    gradient or its exchange between processes, is then a single operation. The module itself does
    not notice.

    Arguments:
        weights: The parameters that become views.
        gradients: Whether they have gradients.
    """

    def __init__(self, weights: Sequence[nn.Parameter], gradients: bool = True) -> None:
        def kind(weight: Tensor) -> str:
            return f"{weight.device} {weight.dtype}"

        together = itertools.groupby(sorted(weights, key=kind), key=kind)
        self._groups = [list(group) for _, group in together]
        self.vectors = [
            nn.Parameter(torch.cat([p.detach().flatten() for p in group]), gradients)
            for group in self._groups
        ]
        for vector, group in zip(self.vectors, self._groups, strict=True):
            place = 0
            for weight in group:
                part = slice(place, place + weight.numel())
                weight.data = vector.data[part].view(weight.shape)
                place += weight.numel()

    def collect(self) -> list[Tensor]:
        """Take the gradients from the weights: a vector for each of `vectors`, as their `grad`."""
        for vector, group in zip(self.vectors, self._groups, strict=True):
            parts = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in group]
            vector.grad = torch.cat(parts)
            for weight in group:
                weight.grad = None
        return [vector.grad for vector in self.vectors if vector.grad is not None]

    def release(self) -> None:
        """Give every weight memory of its own again."""
        for weight in itertools.chain(*self._groups):
            weight.data = weight.data.clone()
