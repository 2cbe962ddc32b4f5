"""A pool of joint rows that take long to make, from which every step draws some."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.seeds import generator
from multisi.couplings.prefetch import Ahead

Columns = Sequence[Tensor]
"""Tensors with one axis of rows in common."""

_NUMBERS = 2**26
"""Numbers that a window keeps at most: images are large, and a single plan of them will do."""


class Pool:
    """Plans, of which a moving window is dealt out in random order, again and again.

    In each pass every row of the window is drawn once; a plan stays for `reuse` passes. Plans of
    the next pass are made in the background meanwhile.

    Arguments:
        make: Function of (seed, number) that makes a plan.
        rows: Rows of a plan.
        reuse: How often a row is drawn at most.
        size: Plans in the window, if memory allows and more are not needed for one step.
        numbers: How many numbers are kept of a row.

    Raises:
        ConfigError: a size below one.
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
        self._dealt: tuple[tuple[int, int, int], Columns] | None = None

    def draw(self, n: int, seed: int, step: int) -> Columns:
        """The `n` rows of a step, a function of `(seed, step)`."""
        size = max(self.size, math.ceil(n / self.rows))
        turn, place = divmod(step, size * self.rows // n)
        if self._dealt is None or self._dealt[0] != (n, seed, turn):
            first, following = (t * size // self.reuse for t in (turn, turn + 1))
            plans = self._plans.window(
                seed, range(first, first + size), range(first, following + size)
            )
            order = torch.randperm(size * self.rows, generator=generator(seed, turn, 3))
            columns = [torch.cat(parts)[order] for parts in zip(*plans, strict=True)]
            self._dealt = (n, seed, turn), columns
        return [column[place * n : (place + 1) * n] for column in self._dealt[1]]
