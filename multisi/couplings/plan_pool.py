"""A pool of joint rows that are slow to compute, from which every step draws some."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.seeds import generator
from multisi.couplings.prefetch import Ahead

Columns = Sequence[Tensor]
"""Tensors with one axis of rows in common."""

_NUMBERS = 2**26
"""Most numbers in a window. Images are large, and a window of one plan is enough for them."""
_FIRST = 4
"""Number of steps for which the first window has rows."""
_DOUBLING = 16
"""Number of passes in which the window doubles."""


class Pool:
    """Plans in a moving window, whose rows are drawn in random order.

    In each pass every row of the window is drawn once. The first window has the rows of four
    steps, so that training begins at once; it doubles every 16 passes until it is full. For every
    `reuse` plans that are drawn, one plan leaves the window, so a row is drawn at most `reuse`
    times. The plans of the next passes are computed in the background during this one.

    Arguments:
        make: Function of (seed, number) that computes a plan.
        rows: Number of rows of a plan.
        reuse: How often a row is drawn at most.
        size: Number of plans in the full window; fewer where rows are large, more where one step
            needs more.
        numbers: How many numbers of each row are kept.

    Raises:
        ConfigError: a size is not an integer or is too small.
    """

    def __init__(
        self,
        make: Callable[[int, int], Columns],
        rows: int,
        reuse: int,
        size: int,
        numbers: int = 1,
    ) -> None:
        self.rows = checks.integer(rows, "rows", least=2)
        self.reuse = checks.integer(reuse, "reuse")
        most = max(1, _NUMBERS // (self.rows * max(1, numbers)))
        self.size = min(checks.integer(size, "pool"), most)
        self._plans = Ahead(make)
        self._drawn: tuple[tuple[int, int], _Pass, Columns] | None = None

    def draw(self, n: int, seed: int, step: int) -> Columns:
        """The `n` rows of a step, a function of `(seed, step)`."""
        now = self._drawn
        if now is None or now[0] != (n, seed) or step not in now[1].steps:
            now = self._drawn = (n, seed), *self._shuffled(n, seed, step)
        _, current, columns = now
        place = current.steps.index(step)
        return [column[place * n : (place + 1) * n] for column in columns]

    def _shuffled(self, n: int, seed: int, step: int) -> "tuple[_Pass, Columns]":
        """The pass of a step, and all its rows in the order in which they are drawn."""
        current = self._pass(n, step)
        # Plans are begun as long before they are needed as a pass through the full window takes.
        later = self._pass(n, current.steps.start + self._full(n) * self.rows // n)
        begun = range(current.plans.start, later.plans.stop)
        plans = self._plans.window(seed, current.plans, begun)
        count = len(current.plans) * self.rows
        order = torch.randperm(count, generator=generator(seed, current.number, 3))
        return current, [torch.cat(parts)[order] for parts in zip(*plans, strict=True)]

    def _pass(self, n: int, step: int) -> "_Pass":
        """The pass of a step of `n` rows."""
        full, first = self._full(n), math.ceil(_FIRST * n / self.rows)
        begin = drawn = 0
        for number in itertools.count():
            doubled, rest = divmod(number, _DOUBLING)
            plans = min(full, (first << doubled) * (_DOUBLING + rest) // _DOUBLING)
            steps = plans * self.rows // n
            # All later passes are as long as the first with a full window.
            skipped = (step - begin) // steps if plans == full else 0
            begin, drawn = begin + skipped * steps, drawn + skipped * plans
            if step < begin + steps:
                break
            begin, drawn = begin + steps, drawn + plans
        left = drawn // self.reuse
        return _Pass(number + skipped, range(begin, begin + steps), range(left, left + plans))

    def _full(self, n: int) -> int:
        return max(self.size, math.ceil(n / self.rows))

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_drawn": None}


@dataclass(frozen=True)
class _Pass:
    """One pass through a window: its number, its steps and the plans of the window."""

    number: int
    steps: range
    plans: range
