"""Tables of what depends on time alone, made ahead in blocks of bounded memory."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
_NUMBERS = 2**21


class Table(Generic[T]):
    """A list made in blocks while it is read in order.

    Arguments:
        make: Gives the items of a slice.
        numbers: How many numbers the coordinates of one item have.
    """

    def __init__(self, make: Callable[[slice], list[T]], numbers: int) -> None:
        self._make, self._size = make, max(1, _NUMBERS // max(1, numbers))
        self._block, self._items = -1, list[T]()

    def __getitem__(self, i: int) -> T:
        block, place = divmod(i, self._size)
        if block != self._block:
            self._items = self._make(slice(block * self._size, (block + 1) * self._size))
            self._block = block
        return self._items[place]
