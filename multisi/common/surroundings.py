"""What is global in a process: it is as it was after the code of others has run."""

import contextlib
import gc
import locale
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

_Settings = Iterator[tuple[str, Any, Callable[[Any], Any]]]
"""Names, values, and functions that set them."""

_FIRST = {
    "gradients": True,
    "the default type": "torch.float32",
    "the default device": "cpu",
    "deterministic algorithms": 0,
    "the precision of products": "highest",
}
"""The values where torch has just been imported."""


@contextlib.contextmanager
def restored() -> Iterator[list[str]]:
    """Restore at the end, also after an error, what was changed inside.

    These are signal handlers, warning filters, the working folder, generators of random numbers,
    and the settings of Python, numpy and torch that change what other code does. Those of the
    whole process are left alone in other threads than the main one: to restore them there would
    undo what the main thread has done in the meantime.

    Returns:
        A list, which names at the end what was changed.

    Examples:
        >>> import numpy
        >>> with restored() as changed:
        ...     numpy.random.seed(3)
        >>> changed
        ["numpy's random numbers"]
    """
    before = {name: value for name, value, _ in _settings()}
    changed: list[str] = []
    try:
        yield changed
    finally:
        for name, value, restore in _settings():
            was = before.get(name, _FIRST.get(name, value))
            if was != value:
                changed.append(name)
                with contextlib.suppress(Exception):  # One that fails must not stop the others.
                    restore(was)


def _settings() -> _Settings:
    # A module that is being imported, or could not be, has no such functions.
    torch = sys.modules.get("torch")
    ready = hasattr(torch, "get_float32_matmul_precision")
    if ready:
        yield from _of_the_thread(torch)
    if threading.current_thread() is not threading.main_thread():
        return
    yield from _of_python()
    yield from _of_handlers()
    if "numpy" in sys.modules:
        yield from _of_numpy(sys.modules["numpy"])
    if ready:
        yield from _of_torch(torch)


def _of_python() -> _Settings:
    yield "random numbers", random.getstate(), random.setstate
    yield "the limit of recursion", sys.getrecursionlimit(), sys.setrecursionlimit
    yield (
        "the locale",
        locale.setlocale(locale.LC_ALL),
        lambda v: locale.setlocale(locale.LC_ALL, v),
    )
    yield "garbage collection", gc.isenabled(), lambda on: gc.enable() if on else gc.disable()
    yield "the hook of errors", sys.excepthook, lambda hook: setattr(sys, "excepthook", hook)
    with contextlib.suppress(OSError):  # The folder may have been removed.
        yield "the working folder", os.getcwd(), os.chdir


def _of_handlers() -> _Settings:
    yield "warning filters", list(warnings.filters), _filter
    for number in sorted(signal.valid_signals()):
        handler = signal.getsignal(number)
        if handler is not None:  # Python cannot set one that it did not install.
            yield f"the handler of signal {number:d}", handler, _handler_of(number)


def _filter(filters: list[Any]) -> None:
    warnings.resetwarnings()  # Past decisions are then forgotten, too.
    warnings.filters[:] = filters  # type: ignore[index]


def _handler_of(number: Any) -> Callable[[Any], Any]:
    return lambda handler: signal.signal(number, handler)


def _of_numpy(numpy: Any) -> _Settings:
    yield "numpy's errors", numpy.geterr(), lambda errors: numpy.seterr(**errors)
    state = _lists(numpy.random.get_state(legacy=False))
    yield "numpy's random numbers", state, numpy.random.set_state


def _lists(state: Any) -> Any:
    """The state with lists for arrays, so that it can be compared."""
    if isinstance(state, dict):
        return {key: _lists(part) for key, part in state.items()}
    return state.tolist() if hasattr(state, "tolist") else state


def _of_the_thread(torch: Any) -> _Settings:
    yield "gradients", torch.is_grad_enabled(), torch.set_grad_enabled
    yield (
        "the default device",
        str(torch.get_default_device()),
        lambda v: torch.set_default_device(None if v == "cpu" else v),
    )


def _of_torch(torch: Any) -> _Settings:
    yield (
        "the default type",
        str(torch.get_default_dtype()),
        lambda v: torch.set_default_dtype(getattr(torch, v.removeprefix("torch."))),
    )
    yield "the number of threads", torch.get_num_threads(), torch.set_num_threads
    yield (
        "deterministic algorithms",
        torch.get_deterministic_debug_mode(),
        torch.set_deterministic_debug_mode,
    )
    yield (
        "the precision of products",
        torch.get_float32_matmul_precision(),
        torch.set_float32_matmul_precision,
    )
    yield (
        "torch's random numbers",
        torch.get_rng_state().tolist(),
        lambda v: torch.set_rng_state(torch.tensor(v, dtype=torch.uint8, device="cpu")),
    )
