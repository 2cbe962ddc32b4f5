"""Making a network that a stranger's file describes: no larger than the weights in the file."""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from multisi.errors import CheckpointError

_CALLS, _CALLS_EACH = 10_000, 300
_NUMBERS, _NUMBERS_EACH = 2**24, 8
"""Calls of torch and numbers that a network may need in any case, and for each in the file."""
_MAKE = {
    *(torch.empty, torch.zeros, torch.ones, torch.full, torch.empty_strided, torch.eye),
    *(torch.rand, torch.randn, torch.randint, torch.randperm),
    *(torch.arange, torch.linspace, torch.logspace, torch.tril_indices, torch.triu_indices),
    *(Tensor.new_empty, Tensor.new_zeros, Tensor.new_ones, Tensor.new_full),
}


class Bounded(TorchFunctionMode):
    """Refuse to make more, in this thread, than a network with some weights needs.

    Without it a file of a few hundred bytes could ask for 10^9 layers, or for 10^12 numbers.

    Arguments:
        weights: The weights in the file, by name.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self._calls = _CALLS + _CALLS_EACH * len(weights)
        self._numbers = _NUMBERS + _NUMBERS_EACH * sum(t.numel() for t in weights.values())

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count the call, and the numbers of a tensor before it is made.

        Raises:
            CheckpointError: there are too many.
        """
        kwargs = kwargs or {}
        self._calls -= 1
        if func in _MAKE:
            self._numbers -= func(*args, **{**kwargs, "device": "meta"}).numel()
        if self._calls < 0 or self._numbers < 0:
            raise CheckpointError(
                "The network of this file is far larger than the weights in it. Its description "
                "cannot be right; use another copy of the file."
            )
        return func(*args, **kwargs)
