"""Quantities that depend on time alone, computed ahead of the steps in blocks."""

from collections.abc import Callable

from torch import Tensor

_NUMBERS = 2**21


class Blocks:
    """Tensors with one row per step, computed block by block while the steps are read in order.

    A step is looked up as a tuple of views: thousands of small tensors at once would keep the
    garbage collector busy.

    Arguments:
        make: Function of a slice of steps that returns tensors with the steps along axis 0.
        numbers: How many numbers one step needs, which bounds the length of a block.
    """

    def __init__(self, make: Callable[[slice], tuple[Tensor, ...]], numbers: int) -> None:
        self._make, self._size = make, max(1, _NUMBERS // max(1, numbers))
        self._block, self._parts = -1, tuple[Tensor, ...]()

    def __getitem__(self, i: int) -> tuple[Tensor, ...]:
        block, place = divmod(i, self._size)
        if block != self._block:
            self._parts = self._make(slice(block * self._size, (block + 1) * self._size))
            self._block = block
        return tuple([part[place] for part in self._parts])
