"""Where the rows of a dataset are: in memory, a mapped file, a torch dataset, a stream."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from multisi.arrays import bad_rows, floats
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
        """The same, without moving a stream on."""
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
    return Table(floats(samples, "samples"))


class Table(Source):
    """Rows in memory."""

    def __init__(self, samples: Tensor) -> None:
        self.samples, self.dtype = samples, samples.dtype
        self.event_shape = tuple(samples.shape[1:])

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, rows: Tensor) -> Tensor:
        """The rows as they are; that they are finite was seen when the table was made."""
        return self.samples.index_select(0, rows.to(self.samples.device))


class Mapped(Source):
    """Rows in a file that is mapped into memory (`numpy.load(..., mmap_mode="r")`)."""

    def __init__(self, array: "np.memmap[Any, Any]") -> None:
        self._array = array
        self.event_shape = tuple(array.shape[1:])
        self.dtype = torch.float64 if array.dtype in (np.float64, np.int64) else torch.float32

    def __len__(self) -> int:
        return len(self._array) if self._array.ndim else 0

    def take(self, rows: Tensor) -> Tensor:
        """The rows, read from the file."""
        return checked(torch.from_numpy(np.asarray(self._array[rows.numpy()])), rows, self)


class Items(Source):
    """Rows of a map-style dataset; of items such as (sample, label) the first part."""

    def __init__(self, dataset: "Dataset[Any]") -> None:
        self._dataset = dataset
        first = self._item(0)
        self.event_shape, self.dtype = tuple(first.shape), _floating(first)

    def __len__(self) -> int:
        return len(self._dataset)  # type: ignore[arg-type]

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
                f"the dataset has no item {row}, though its length is {len(self)}: {error!r}."
            ) from error
        return torch.as_tensor(np.asarray(_first(item)))


class Stream(Source):
    """Rows of a loader or an iterable dataset, read in order through a buffer.

    A row that was drawn makes room for the next of the stream. At its end it is read again.
    """

    def __init__(self, data: Any) -> None:
        batched = isinstance(data, DataLoader)
        self._loader = data if batched else DataLoader(data, batch_size=256)
        self._iterator, self._read, self._rest = iter(self._loader), 0, torch.empty(0)
        first = torch.as_tensor(_first(self._next_batch()))
        self._rest, self.event_shape = first, tuple(first.shape[1:])
        self.dtype = _floating(first)
        self._buffer = self._next_rows(BUFFER)
        self._place = 0

    def __len__(self) -> int:
        return len(self._buffer)

    def take(self, rows: Tensor) -> Tensor:
        """Rows of the buffer, which then moves on by as many."""
        taken = self._buffer[rows]
        places = (self._place + torch.arange(len(rows))) % len(self)
        self._buffer[places] = self._next_rows(len(rows))
        self._place = (self._place + len(rows)) % len(self)
        return taken

    def look(self, rows: Tensor) -> Tensor:
        """Rows of the buffer, which stays as it is."""
        return self._buffer[rows]

    def _next_rows(self, count: int) -> Tensor:
        parts, missing = [], count
        while missing > 0:
            if not len(self._rest):
                self._rest = torch.as_tensor(_first(self._next_batch()))
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

    def _next_batch(self) -> Any:
        for _ in range(2):
            try:
                return next(self._iterator)
            except StopIteration:
                self._iterator = iter(self._loader)
        raise DataError(
            f"the stream ended after {self._read} rows, and gave none when it was read again. "
            "Its __iter__ must begin anew each time."
        )


def checked(found: Tensor, rows: Tensor, source: Source) -> Tensor:
    """Rows as finite numbers of the source's type.

    Raises:
        DataError: NaN or infinity, with the number of the row.
    """
    found = found.to(source.dtype)
    if len(bad := bad_rows(found)):
        raise DataError(f"row {rows[bad[0]].item()} has NaN or infinity.")
    return found


def _first(item: Any) -> Any:
    """The sample of an item that has more than it, such as a label."""
    if isinstance(item, dict):
        raise DataError(f"items must be arrays, or tuples that start with one; got {item!r:.80}.")
    return item[0] if isinstance(item, tuple | list) else item


def _floating(values: Tensor) -> torch.dtype:
    if values.is_complex() or values.dtype == torch.bool:
        raise DataError(f"items must be real numbers; got {values.dtype}.")
    return torch.float64 if values.dtype in (torch.float64, torch.int64) else torch.float32
