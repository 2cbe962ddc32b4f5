"""All weights of a network in one vector."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from multisi.common.processes import World, as_spread, is_spread, own_part


class Flat:
    """Weights as views into one vector for each type and device.

    What concerns all weights alike, such as the optimiser's step, an average, the length of the
    gradient or its exchange between processes, is then a single operation. The module itself does
    not notice. A weight that is spread over processes stays where it is: its vector is this
    process's part.

    Arguments:
        weights: Name to the parameters that become views.
        gradients: Whether they have gradients.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], gradients: bool = True) -> None:
        groups: dict[str, dict[str, nn.Parameter]] = {}
        for name, weight in weights.items():
            kind = name if is_spread(weight) else f"{weight.device} {weight.dtype}"
            groups.setdefault(kind, {})[name] = weight
        self._groups = list(groups.values())
        self._spread = [is_spread(next(iter(group.values()))) for group in self._groups]
        self.vectors = [
            nn.Parameter(_vector(list(group.values())), gradients) for group in self._groups
        ]
        for name, view in self.split([vector.data for vector in self.vectors]).items():
            if not is_spread(view):
                weights[name].data = view

    def split(self, vectors: Sequence[Tensor]) -> dict[str, Tensor]:
        """Views of tensors like `vectors` by the names of the weights, in the weights' shapes."""
        views = {}
        for vector, group, spread in zip(vectors, self._groups, self._spread, strict=True):
            sizes = [weight.numel() for weight in group.values()]
            parts = [vector] if spread else torch.split(vector, sizes)
            for (name, weight), part in zip(group.items(), parts, strict=True):
                views[name] = as_spread(part, weight)
        return views

    def collect(self, world: World) -> float:
        """Take the gradients from the weights, summed over the processes, as `vectors`' `grad`.

        Returns:
            Length of the whole gradient.
        """
        for vector, group in zip(self.vectors, self._groups, strict=True):
            parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in group.values()]
            vector.grad = _vector(parts)
            for weight in group.values():
                weight.grad = None
        own = [vector.grad for vector in self.vectors if vector.grad is not None]
        world.sum([grad for grad, spread in zip(own, self._spread, strict=True) if not spread])
        return world.length(own, self._spread)

    def scale(self, factor: float) -> None:
        """Multiply the gradient."""
        for vector in self.vectors:
            if vector.grad is not None:
                vector.grad.mul_(factor)

    def release(self) -> None:
        """Give every weight memory of its own again."""
        for group, spread in zip(self._groups, self._spread, strict=True):
            for weight in () if spread else group.values():
                weight.data = weight.data.clone()


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Name to the parameters that are trained."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def _vector(tensors: Sequence[Tensor]) -> Tensor:
    if is_spread(tensors[0]):
        return own_part(tensors[0].detach())
    return torch.cat([tensor.detach().flatten() for tensor in tensors])
