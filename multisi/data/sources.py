"""Where the rows of a dataset are: in memory, a mapped file, a torch dataset, a stream."""

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from multisi.common.arrays import bad_rows, dense, floating, floats
from multisi.errors import DataError, ShapeError

BUFFER = 8192
"""Rows of a stream that are drawn from together."""


class Source(ABC):
    """Rows that can be taken by number, of one shape and one floating type."""

    event_shape: tuple[int, ...]
    dtype: torch.dtype

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, rows: Tensor) -> Tensor:
        """These rows, on the CPU or where the samples are, shape `(n, *event)`."""

    def look(self, rows: Tensor) -> Tensor:
        """The same, without moving a stream on: by default `take`, which a stream replaces."""
        return self.take(rows)


def source_of(samples: Any) -> Source:
    """The source for what a user gave.

    Raises:
        DataError: nothing that rows can be taken from.
    """
    if isinstance(samples, DataLoader | IterableDataset):
        return Stream(samples)
    if isinstance(samples, Dataset):
        return Items(samples)
    if isinstance(samples, np.memmap) and samples.dtype.kind in "biuf":
        return Mapped(samples)
    if hasattr(samples, "__next__"):
        raise DataError(
            "samples must be an array, a torch Dataset or a DataLoader; got an iterator, which "
            "can be read once only. Wrap it in a torch.utils.data.IterableDataset."
        )
    return InMemory(floats(samples, "samples"))


class InMemory(Source):
    """Rows in memory."""

    def __init__(self, samples: Tensor) -> None:
        self.samples, self.dtype = samples, samples.dtype
        self.event_shape = tuple(samples.shape[1:])

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, rows: Tensor) -> Tensor:
        """The rows as they are; they were checked to be finite when they came in."""
        return self.samples.index_select(0, rows.to(self.samples.device))


class Mapped(Source):
    """Rows in a file that is mapped into memory (`numpy.load(..., mmap_mode="r")`)."""

    def __init__(self, array: "np.memmap[Any, Any]") -> None:
        self._array = array
        self.event_shape = tuple(array.shape[1:])
        self.dtype = floating(array.dtype)
        self._kind = np.float64 if self.dtype == torch.float64 else np.float32

    def __len__(self) -> int:
        return len(self._array) if self._array.ndim else 0

    def take(self, rows: Tensor) -> Tensor:
        """The rows, read from the file."""
        found = np.asarray(self._array[rows.numpy()]).astype(self._kind, copy=False)
        return checked(torch.from_numpy(found), rows, self)


class Items(Source):
    """Rows of a map-style dataset; of items such as (sample, label) the first part."""

    def __init__(self, dataset: "Dataset[Any]") -> None:
        self._dataset = dataset
        try:
            self._length = len(dataset)  # type: ignore[arg-type]
        except Exception as error:
            raise DataError(f"the dataset does not say its length: {error!r}.") from error
        first = self._item(0)
        self.event_shape, self.dtype = tuple(first.shape), _floating(first)

    def __len__(self) -> int:
        return self._length

    def take(self, rows: Tensor) -> Tensor:
        """The items, one by one."""
        items = [self._item(row) for row in rows.tolist()]
        for row, item in zip(rows.tolist(), items, strict=True):
            if tuple(item.shape) != self.event_shape:
                raise ShapeError(
                    f"item {row} has shape {tuple(item.shape)}; item 0 has {self.event_shape}."
                )
        return checked(torch.stack(items), rows, self)

    def _item(self, row: int) -> Tensor:
        try:
            item = self._dataset[row]
        except (IndexError, KeyError) as error:
            raise DataError(
                f"the dataset has no item {row}, though its length is {self._length}: {error!r}."
            ) from error
        except Exception as error:
            raise DataError(f"item {row} of the dataset cannot be read: {error!r}.") from error
        return _numbers(item, f"item {row}")


class Stream(Source):
    """Rows of a loader or an iterable dataset, read in order through a buffer.

    A row that was drawn makes room for the next of the stream, which is read again at its end. A
    stream that is shorter than the buffer is held whole, and read once a draw at most.
    """

    def __init__(self, data: Any) -> None:
        batched = isinstance(data, DataLoader)
        self._loader = data if batched else DataLoader(data, batch_size=256)
        self._random = torch.Generator().manual_seed(0).get_state()
        self._iterator: Iterator[Any] = iter(())
        self._read, self._passes = 0, 0
        self._rest = self._next_batch()
        self.event_shape, self.dtype = tuple(self._rest.shape[1:]), _floating(self._rest)
        self._buffer = self._next_rows(BUFFER, passes=1)
        self._place = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> "Stream":
        """The same data, read anew: a copy of what is on its way cannot be had."""
        return Stream(self._loader)

    def __len__(self) -> int:
        return len(self._buffer)

    def take(self, rows: Tensor) -> Tensor:
        """Rows of the buffer, which then moves on by as many."""
        taken = self._buffer[rows]
        count = len(rows) if len(self) == BUFFER else min(len(rows), len(self))
        places = (self._place + torch.arange(count)) % len(self)
        self._buffer[places] = self._next_rows(count)
        self._place = (self._place + count) % len(self)
        return taken

    def look(self, rows: Tensor) -> Tensor:
        """Rows of the buffer, which stays as it is."""
        return self._buffer[rows]

    def _next_rows(self, count: int, passes: float = math.inf) -> Tensor:
        """So many rows, or fewer if the stream would have to be read more often than `passes`."""
        parts: list[Tensor] = []
        missing = count
        while missing > 0:
            if not len(self._rest):
                self._rest = self._next_batch()
                if self._passes > passes:
                    break
            if tuple(self._rest.shape[1:]) != self.event_shape:
                raise ShapeError(
                    f"after {self._read} rows the stream gives shape "
                    f"{tuple(self._rest.shape[1:])}; before it was {self.event_shape}."
                )
            part, self._rest = self._rest[:missing], self._rest[missing:]
            parts.append(checked(part, self._read + torch.arange(len(part)), self))
            self._read += len(part)
            missing -= len(part)
        return torch.cat(parts)

    def _next_batch(self) -> Tensor:
        """The next batch that has rows, from the next pass if this one has none left."""
        try:
            with self._generator():
                for _ in range(2):
                    for batch in self._iterator:
                        rows = _numbers(batch, f"the batch after {self._read} rows")
                        if rows.ndim == 0:
                            raise ShapeError("batches must have an axis of rows.")
                        if len(rows):
                            return rows
                    self._iterator = iter(self._loader)
                    self._passes += 1
        except (DataError, ShapeError):
            raise
        except Exception as error:
            raise DataError(f"after {self._read} rows the stream failed: {error!r}.") from error
        raise DataError(
            f"the stream ended after {self._read} rows, and gave none when it was read again. "
            "Its __iter__ must begin anew each time."
        )

    @contextlib.contextmanager
    def _generator(self) -> Iterator[None]:
        """Lend torch's global generator, by which loaders shuffle, a state of the stream's own."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._random)
            yield
            self._random = torch.get_rng_state()


def checked(found: Tensor, rows: Tensor, source: Source) -> Tensor:
    """Rows as finite numbers of the source's type.

    Raises:
        DataError: NaN or infinity, with the number of the row.
    """
    found = found.to(source.dtype)
    if len(bad := bad_rows(found)):
        raise DataError(f"row {rows[bad[0]].item()} has NaN or infinity.")
    return found


def _numbers(item: Any, what: str) -> Tensor:
    """The sample of an item, which may have more than it, such as a label."""
    try:
        return dense(item[0] if isinstance(item, tuple | list) and item else item, what)
    except DataError as error:
        raise DataError(
            f"{error} An item is an array, or a tuple that starts with one; got {item!r:.80}."
        ) from error


def _floating(values: Tensor) -> torch.dtype:
    if values.dtype == torch.bool:
        raise DataError(f"items must be real numbers; got {values.dtype}.")
    return floating(values.dtype)
