"""Values and slopes of curves that are written as functions of time."""

import importlib
import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

with warnings.catch_warnings():  # Forward derivatives load this module, which warns.
    warnings.simplefilter("ignore", DeprecationWarning)
    importlib.import_module("torch._decomp.decompositions_for_jvp")

_ONE = threading.RLock()


def value_and_rate(curve: Callable[[Tensor], Any], t: Tensor) -> tuple[Any, Any]:
    r"""$f(t)$ and $\dot f(t)$ by forward differentiation, from any number of threads.

    Torch counts the levels of that for the whole process, so that one thread at a time may.

    Example:
        >>> value_and_rate(torch.sin, torch.zeros(2))
        (tensor([0., 0.]), tensor([1., 1.]))
    """
    with _ONE:
        value, rate, *_ = torch.func.jvp(curve, (t,), (torch.ones_like(t),))
    return value, rate
