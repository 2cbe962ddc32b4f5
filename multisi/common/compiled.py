"""Names of weights that do not depend on whether a network is compiled."""

from torch import Tensor, nn

_WRAPPER = "_orig_mod."
"""What `torch.compile` puts before the names of the module that it wraps."""


def plain_name(name: str) -> str:
    """The name of a weight in the module that was compiled."""
    return name.replace(_WRAPPER, "")


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """The weights and buffers by name, as `state_dict` without gradients, whether compiled or not.

    Examples:
        >>> import torch
        >>> sorted(weights_of(torch.compile(nn.Linear(1, 1), backend="eager")))
        ['bias', 'weight']
    """
    return {plain_name(name): tensor for name, tensor in module.state_dict().items()}
