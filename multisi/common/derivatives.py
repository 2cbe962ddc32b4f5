"""Values and time derivatives of curves."""

import functools
import importlib
import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_ONE = threading.RLock()


def value_and_rate(curve: Callable[[Tensor], Any], t: Tensor) -> tuple[Any, Any]:
    r"""$f(t)$ and $\dot f(t)$ by forward differentiation; safe to call from several threads.

    Torch keeps the levels of forward differentiation per process, so a lock serialises calls.

    Examples:
        >>> value_and_rate(torch.sin, torch.zeros(2))
        (tensor([0., 0.]), tensor([1., 1.]))
    """
    with _ONE:
        return jvp(curve, t, torch.ones_like(t))


def jvp(function: Callable[[Tensor], Any], x: Tensor, v: Tensor) -> tuple[Any, Any]:
    """The value of a function, and its derivative along `v`, by forward differentiation."""
    _prepare()
    value, rate, *_ = torch.func.jvp(function, (x,), (v,))
    return value, rate


@functools.cache
def _prepare() -> None:
    """Import what forward differentiation needs: that takes a while, and warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("torch._decomp.decompositions_for_jvp")
