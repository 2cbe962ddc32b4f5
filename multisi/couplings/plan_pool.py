"""A pool of joint rows that are slow to compute, from which every step draws some."""

import math
from collections.abc import Callable, Sequence
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


class Pool:
    """Plans in a moving window, whose rows are drawn in random order.

    In each pass every row of the window is drawn once; a plan stays for `reuse` passes. The plans
    of the next pass are computed in the background during this one.

    Arguments:
        make: Function of (seed, number) that computes a plan.
        rows: Number of rows of a plan.
        reuse: How often a row is drawn at most.
        size: Number of plans in the window; fewer where rows are large, more where one step needs
            more.
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
        self._window: tuple[tuple[int, int, int], Columns] | None = None

    def draw(self, n: int, seed: int, step: int) -> Columns:
        """The `n` rows of a step, a function of `(seed, step)`."""
        size = max(self.size, math.ceil(n / self.rows))
        turn, place = divmod(step, size * self.rows // n)
        if self._window is None or self._window[0] != (n, seed, turn):
            first, following = (t * size // self.reuse for t in (turn, turn + 1))
            plans = self._plans.window(
                seed, range(first, first + size), range(first, following + size)
            )
            order = torch.randperm(size * self.rows, generator=generator(seed, turn, 3))
            columns = [torch.cat(parts)[order] for parts in zip(*plans, strict=True)]
            self._window = (n, seed, turn), columns
        return [column[place * n : (place + 1) * n] for column in self._window[1]]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_window": None}
