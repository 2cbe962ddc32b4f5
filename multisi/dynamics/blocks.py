"""Tables of what depends on time alone, made ahead in blocks of bounded memory."""

from collections.abc import Callable

from torch import Tensor

_NUMBERS = 2**21


class Table:
    """Rows of some tensors, made in blocks while they are read in order.

    Rows are looked up one by one: thousands of tensors at once would keep the garbage collector
    busy.

    Arguments:
        make: Gives the tensors of a slice of rows, each with the rows along its first axis.
        numbers: How many numbers the coordinates of one row have.
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
