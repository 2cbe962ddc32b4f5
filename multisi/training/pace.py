"""The number of threads of a step: the quickest one, also where others use the same cores."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

_BLOCK, _STEPS = 0.15, 6
"""Seconds and steps of a measurement, at least."""
_HOPELESS = 3.0
"""Ratio to the usual time of a step at which one step is enough."""
_GAIN = 0.05
"""Share of the time that more threads must save."""
_COST = 0.02
"""Share of the time that slower numbers may cost."""
_PAUSE = 2.0
"""Seconds between two comparisons, at least."""
_SLOWER = 1.5
"""Ratio to the usual time of a step at which they are compared again before that, ..."""
_EARLIEST = 0.25
"""... after this share of the pause."""


def candidates() -> list[int]:
    """Numbers of threads to choose from; the largest is torch's own, which is the user's."""
    own = torch.get_num_threads()
    return sorted({1, max(1, own // 2), own})


def interchangeable(compute: Callable[[], Sequence[Tensor]]) -> dict[int, float]:
    """Numbers of threads with which a computation gives the same bits as with torch's own.

    Threads may share a sum, so that its last bits depend on their number. Whether they do depends
    on the shapes of tensors alone, so one computation shows it.

    Arguments:
        compute: The computation; it must not depend on how often it has been called.

    Returns:
        Each number with the seconds that the computation took.
    """
    seconds, found = {}, {}
    for number in candidates():
        with Pace({number: 0.0}):
            start = time.perf_counter()
            found[number] = compute()
            seconds[number] = time.perf_counter() - start
    own = max(found)

    def is_equal(number: int) -> bool:
        pairs = zip(found[number], found[own], strict=True)
        return number == own or all(torch.equal(*pair) for pair in pairs)

    return {number: each for number, each in seconds.items() if is_equal(number)}


@contextlib.contextmanager
def untouched(module: nn.Module) -> Iterator[None]:
    """The buffers of a module and torch's random numbers are as before, in the end."""
    buffers = [buffer.clone() for buffer in module.buffers()]
    with torch.random.fork_rng([]):
        yield
    for buffer, before in zip(module.buffers(), buffers, strict=True):
        buffer.copy_(before)


class Pace:
    """Chooses the number of threads with which steps are quickest at the time.

    Where another process uses the cores, the threads of an operation wait for the one that does
    not run, and a step with two threads may take ten times as long as with one. So the time of a
    step is measured with each number, at the start, from time to time, and when steps have become
    slower; more rarely where that costs much. More threads must save time to be preferred.

    It is a context, in which one step is computed. Outside, the number of threads is as it was.

    Arguments:
        numbers: The numbers of threads to choose from, each with the seconds that a step has
            taken, or 0; one that was hopeless is not tried at once.
        clock: Function that returns the time in seconds.

    Examples:
        >>> pace, own = Pace({1: 0.0}), torch.get_num_threads()
        >>> with pace:
        ...     torch.get_num_threads()
        1
        >>> torch.get_num_threads() == own
        True
    """

    def __init__(
        self, numbers: Mapping[int, float], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._numbers, self._seen, self._clock = sorted(numbers), dict(numbers), clock
        self.number = self._kept = self._numbers[0]
        self._queue: list[int] = []  # The numbers that are still to be measured.
        self._means: dict[int, tuple[float, int]] = {}  # With the number of steps of each.
        self._usual, self._pause, self._left = float("inf"), 0.0, 0.0
        self._steps, self._seconds, self._lost = 0, 0.0, 0.0
        self._own, self._begun = 1, 0.0

    def __enter__(self) -> None:
        self._own, self._begun = torch.get_num_threads(), self._clock()
        torch.set_num_threads(min(self.number, self._own))

    def __exit__(self, kind: type[BaseException] | None, *others: object) -> None:
        torch.set_num_threads(self._own)
        if kind is None and len(self._numbers) > 1:
            self._note(self._clock() - self._begun)

    def _note(self, seconds: float) -> None:
        """Take account of a step, and choose the number of threads of the next."""
        self._steps += 1
        self._seconds += seconds
        self._left -= seconds
        enough = self._seconds >= _BLOCK and self._steps >= _STEPS
        if not enough and not (self._seconds >= _BLOCK / 3 and self._is_slow(_HOPELESS)):
            return
        mean = self._seconds / self._steps
        if self._queue:
            self._means[self._queue.pop(0)] = mean, self._steps
            if not self._queue:
                self._choose()
        elif self._is_slow(_SLOWER) and self._left <= (1 - _EARLIEST) * self._pause:
            self._begin(mean, lost=self._seconds - self._steps * self._usual)
        elif self._left <= 0:
            self._begin(mean)
        self.number = self._queue[0] if self._queue else self._kept
        self._steps, self._seconds = 0, 0.0

    def _begin(self, mean: float, lost: float = 0.0) -> None:
        """Begin to compare the numbers, or wait if the others are known to be hopeless."""
        more = {n: self._seen.pop(n, 0.0) - mean for n in self._numbers if n != self._kept}
        self._usual, self._lost, self._means = mean, lost, {}
        self._queue = [n for n in more if more[n] < (_HOPELESS - 1) * mean]
        if self._queue:
            self._queue.append(self._kept)
        else:
            self._wait(sum(more.values()))

    def _wait(self, lost: float) -> None:
        self._pause = self._left = max(_PAUSE, lost / _COST)

    def _is_slow(self, ratio: float) -> bool:
        """Whether steps take longer than usual, and fewer threads may be the remedy."""
        slow = self._seconds > ratio * self._usual * self._steps
        return slow and self.number > self._numbers[0]

    def _choose(self) -> None:
        """Keep the quickest number, until numbers are compared again."""

        def valued(number: int) -> float:
            return self._means[number][0] * (1 + _GAIN * (number > self._kept))

        self._kept = min(sorted(self._means), key=valued)
        self._usual = self._means[self._kept][0]
        for mean, steps in self._means.values():
            self._lost += steps * max(0.0, mean - self._usual)
        self._wait(self._lost)
