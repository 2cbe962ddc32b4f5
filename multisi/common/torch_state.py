"""The state of torch that computations need, whatever a user has chosen for this thread."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def own_state(function: Callable[P, R]) -> Callable[P, R]:
    """Call a function with gradients on, and without autocast, inference mode or another device.

    All of these belong to the thread, and are afterwards as before. The default floating type
    belongs to the process, so it is left as it is: tensors are created with an explicit type.

    Examples:
        >>> @own_state
        ... def gradients():
        ...     return torch.is_grad_enabled()
        >>> with torch.no_grad():
        ...     gradients()
        True
    """

    @functools.wraps(function)
    def called(*args: P.args, **options: P.kwargs) -> R:
        with neutral():
            return function(*args, **options)

    return called


@contextlib.contextmanager
def neutral() -> Iterator[None]:
    """The context in which `own_state` calls a function."""
    with contextlib.ExitStack() as held:
        if torch.is_inference_mode_enabled():
            held.enter_context(torch.inference_mode(False))
        if not torch.is_grad_enabled():
            held.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                held.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            held.enter_context(torch.device("cpu"))
        yield
