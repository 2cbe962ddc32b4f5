"""Values that are slow to compute, computed in the background before they are needed."""

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import torch

T = TypeVar("T")


class Ahead(Generic[T]):
    """Values of a function of (seed, number), computed ahead in a moving window.

    The caller waits for its values, so that they depend on the keys alone and never on timing.

    Arguments:
        make: The function; it should release the interpreter's lock most of the time.

    Examples:
        >>> squares = Ahead(lambda seed, number: seed + number**2)
        >>> squares.window(1, range(2, 4), range(2, 6))
        [5, 10]
    """

    def __init__(self, make: Callable[[int, int], T]) -> None:
        self._make = make
        self._futures: dict[tuple[int, int], Future[T]] = {}
        self._worker: ThreadPoolExecutor | None = None

    def window(self, seed: int, wanted: range, begun: range) -> list[T]:
        """The values of `wanted`; those of `begun` are started, and all others are dropped."""
        keys = [(seed, number) for number in begun]
        before, self._futures = self._futures, {}
        for key in keys:
            self._futures[key] = before.pop(key) if key in before else self._submit(key)
        for dropped in before.values():
            dropped.cancel()
        return [self._futures[seed, number].result() for number in wanted]

    def _submit(self, key: tuple[int, int]) -> Future[T]:
        if self._worker is None:
            self._worker = _low_priority_worker()
        return self._worker.submit(self._make, *key)

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make, "_futures": {}, "_worker": None}


def _low_priority_worker() -> ThreadPoolExecutor:
    """A worker that computes with one thread, at low priority where threads have priorities.

    With a second team of threads there would be more threads than cores, and OpenMP would put
    every team to sleep after each operation: training would take three times as long.
    """
    threads = torch.get_num_threads()
    worker = ThreadPoolExecutor(1, "multisi-coupling", initializer=_use_one_thread)
    worker.submit(int).result()
    torch.set_num_threads(threads)
    return worker


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    # The first call fixes the number for this thread, whatever the main thread sets later.
    torch.get_num_threads()
    with contextlib.suppress(AttributeError, OSError):  # Where threads have no priorities.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
