"""The weights of a network as views into vectors."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from multisi.common.processes import World, as_spread, is_spread, own_part


class Flat:
    """Weights as views into one vector per type and device.

    Operations on all weights, such as the optimiser's step, the average, and the norm of the
    gradient or its sum over processes, are then single operations. The module works as before. A
    weight that is sharded over processes keeps its memory: its vector is this process's shard.

    Arguments:
        weights: Name to the parameters that become views.
        gradients: Whether the vectors require gradients.
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
        """Views into tensors shaped like `vectors`, by name and in the shapes of the weights."""
        views = {}
        for vector, group, spread in zip(vectors, self._groups, self._spread, strict=True):
            sizes = [weight.numel() for weight in group.values()]
            parts = [vector] if spread else torch.split(vector, sizes)
            for (name, weight), part in zip(group.items(), parts, strict=True):
                views[name] = as_spread(part, weight)
        return views

    def collect(self, world: World) -> float:
        """Move the gradients from the weights to `vectors`, summed over the processes.

        Returns:
            The norm of the whole gradient.
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
        """Multiply the gradient by a factor."""
        for vector in self.vectors:
            if vector.grad is not None:
                vector.grad.mul_(factor)

    def release(self) -> None:
        """Give every weight its own memory again."""
        for group, spread in zip(self._groups, self._spread, strict=True):
            for weight in () if spread else group.values():
                weight.data = weight.data.clone()


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Name to the parameters that require gradients."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def _vector(tensors: Sequence[Tensor]) -> Tensor:
    if is_spread(tensors[0]):
        return own_part(tensors[0].detach())
    return torch.cat([tensor.detach().flatten() for tensor in tensors])
