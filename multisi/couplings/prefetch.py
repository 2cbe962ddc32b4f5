"""Values that take long to make, made in the background before they are asked for."""

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import torch

T = TypeVar("T")


class Ahead(Generic[T]):
    """Values of a function of (seed, number), of which a moving window is kept.

    They are waited for, never "whatever is ready": what a caller gets depends on the keys alone.

    Arguments:
        make: The function; it should spend its time where the interpreter's lock is released.

    Example:
        >>> squares = Ahead(lambda seed, number: seed + number**2)
        >>> squares.window(1, range(2, 4), range(2, 6))
        [5, 10]
    """

    def __init__(self, make: Callable[[int, int], T]) -> None:
        self._make = make
        self._made: dict[tuple[int, int], Future[T]] = {}
        self._worker: ThreadPoolExecutor | None = None

    def window(self, seed: int, wanted: range, begun: range) -> list[T]:
        """The values of the numbers `wanted`; those of `begun` are started, others forgotten."""
        keys = [(seed, number) for number in begun]
        before, self._made = self._made, {}
        for key in keys:
            self._made[key] = before.pop(key) if key in before else self._submit(key)
        for dropped in before.values():
            dropped.cancel()
        return [self._made[seed, number].result() for number in wanted]

    def _submit(self, key: tuple[int, int]) -> Future[T]:
        if self._worker is None:
            self._worker = _modest()
        return self._worker.submit(self._make, *key)

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make, "_made": {}, "_worker": None}


def _modest() -> ThreadPoolExecutor:
    """One worker that uses one thread, and yields to training where it can.

    A second team of threads beside that of the main thread is more than there are cores, and then
    OpenMP lets every team sleep after each operation: all training would take three times as long.
    """
    threads = torch.get_num_threads()
    worker = ThreadPoolExecutor(1, "multisi-coupling", initializer=_settle)
    worker.submit(int).result()
    torch.set_num_threads(threads)
    return worker


def _settle() -> None:
    torch.set_num_threads(1)
    # A thread takes its number when it is first asked for; later ones get what is set by then.
    torch.get_num_threads()
    with contextlib.suppress(AttributeError, OSError):  # Where threads have no priorities.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
