"""Sources of samples: memory, a mapped file, a torch dataset, a stream."""

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from multisi.common.arrays import bad_rows, dense, floating, floats
from multisi.errors import DataError, ShapeError

BUFFER, _BYTES, _LEAST = 8192, 2**28, 64
"""Most rows in the buffer of a stream, from which rows are drawn; most bytes; and fewest rows."""


class Source(ABC):
    """Rows that can be read by index, of one shape and one floating type."""

    event_shape: tuple[int, ...]
    dtype: torch.dtype

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, rows: Tensor) -> Tensor:
        """These rows, on the CPU or the device of the samples, shape `(n, *event)`."""

    def look(self, rows: Tensor) -> Tensor:
        """The same, but a stream does not advance."""
        return self.take(rows)


def source_of(samples: Any) -> Source:
    """The source for the samples of a user.

    Raises:
        DataError: `samples` is not an array of finite numbers, a dataset or a loader.
        ShapeError: `samples` is a single number.
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
            "can be read only once. Wrap it in a torch.utils.data.IterableDataset."
        )
    return InMemory(floats(samples, "samples"))


class Columns(Source):
    """Some columns of another source, in a given order."""

    def __init__(self, source: Source, order: Sequence[int]) -> None:
        self._source, self._order = source, list(order)
        self.event_shape, self.dtype = (len(self._order),), source.dtype

    def __len__(self) -> int:
        return len(self._source)

    def take(self, rows: Tensor) -> Tensor:
        """These columns of the rows."""
        return self._source.take(rows)[:, self._order]

    def look(self, rows: Tensor) -> Tensor:
        """The same, but a stream does not advance."""
        return self._source.look(rows)[:, self._order]


class InMemory(Source):
    """Rows in memory."""

    def __init__(self, samples: Tensor) -> None:
        self.samples, self.dtype = samples, samples.dtype
        self.event_shape = tuple(samples.shape[1:])

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, rows: Tensor) -> Tensor:
        """The rows, which `source_of` has checked to be finite."""
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
    """Rows of a map-style dataset; for items such as (sample, label), the first entry."""

    def __init__(self, dataset: "Dataset[Any]") -> None:
        self._dataset = dataset
        try:
            self._length = len(dataset)  # type: ignore[arg-type]
        except Exception as error:
            raise DataError(
                f"the dataset must have a length; len(dataset) raised {error!r}."
            ) from error
        first = self._item(0)
        self.event_shape, self.dtype = tuple(first.shape), _floating(first)

    def __len__(self) -> int:
        return self._length

    def take(self, rows: Tensor) -> Tensor:
        """The items at these indices."""
        items = [self._item(row) for row in rows.tolist()]
        for row, item in zip(rows.tolist(), items, strict=True):
            if tuple(item.shape) != self.event_shape:
                raise ShapeError(
                    f"all items must have the same shape; item {row} has {tuple(item.shape)}, "
                    f"item 0 has {self.event_shape}."
                )
        return checked(torch.stack(items), rows, self)

    def _item(self, row: int) -> Tensor:
        try:
            item = self._dataset[row]
        except (IndexError, KeyError) as error:
            raise DataError(
                f"the dataset has no item {row}, although its length is {self._length}: {error!r}."
            ) from error
        except Exception as error:
            raise DataError(f"item {row} of the dataset cannot be read: {error!r}.") from error
        return _numbers(item, f"item {row}")


class Stream(Source):
    """Rows of a loader or an iterable dataset, read in order through a buffer.

    Each drawn row is replaced by the next row of the stream; at its end the stream is read again.
    A stream shorter than the buffer is held completely, and read at most once per draw.
    """

    def __init__(self, data: Any) -> None:
        batched = isinstance(data, DataLoader)
        self._loader = data if batched else DataLoader(data, batch_size=256)
        self._random = torch.Generator().manual_seed(0).get_state()
        self._iterator: Iterator[Any] = iter(())
        self._read, self._passes = 0, 0
        self._rest = self._next_batch()
        self.event_shape, self.dtype = tuple(self._rest.shape[1:]), _floating(self._rest)
        row = self._rest[:1].numel() * self.dtype.itemsize
        self._most = min(BUFFER, max(_LEAST, _BYTES // max(1, row)))
        self._buffer = self._next_rows(self._most, passes=1)
        self._place = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> "Stream":
        """The same data, read from the start: an iterator cannot be copied."""
        return Stream(self._loader)

    def __len__(self) -> int:
        return len(self._buffer)

    def take(self, rows: Tensor) -> Tensor:
        """Rows of the buffer, which then advances by `len(rows)` rows."""
        taken = self._buffer[rows]
        count = len(rows) if len(self) == self._most else min(len(rows), len(self))
        places = (self._place + torch.arange(count)) % len(self)
        self._buffer[places] = self._next_rows(count)
        self._place = (self._place + count) % len(self)
        return taken

    def look(self, rows: Tensor) -> Tensor:
        """Rows of the buffer, which does not change."""
        return self._buffer[rows]

    def _next_rows(self, count: int, passes: float = math.inf) -> Tensor:
        """The next `count` rows, or fewer if the stream ends after `passes` passes."""
        parts: list[Tensor] = []
        missing = count
        while missing > 0:
            if not len(self._rest):
                self._rest = self._next_batch()
                if self._passes > passes:
                    break
            if tuple(self._rest.shape[1:]) != self.event_shape:
                raise ShapeError(
                    f"after {self._read} rows the stream gives rows of shape "
                    f"{tuple(self._rest.shape[1:])}; expected {self.event_shape}."
                )
            part, self._rest = self._rest[:missing], self._rest[missing:]
            parts.append(checked(part, self._read + torch.arange(len(part)), self))
            self._read += len(part)
            missing -= len(part)
        return torch.cat(parts)

    def _next_batch(self) -> Tensor:
        """The next non-empty batch, from the next pass if this one has ended."""
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
            f"the stream ended after {self._read} rows, and gave none when read again. "
            "Its __iter__ must start from the beginning each time."
        )

    @contextlib.contextmanager
    def _generator(self) -> Iterator[None]:
        """Set torch's global generator, with which loaders shuffle, to the stream's own state."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._random)
            yield
            self._random = torch.get_rng_state()


def columns(source: Source, order: Sequence[int]) -> Source:
    """The same rows of vectors, with their columns in this order."""
    if isinstance(source, InMemory):
        return InMemory(source.samples[:, list(order)])
    return Columns(source, order)


def checked(found: Tensor, rows: Tensor, source: Source) -> Tensor:
    """Rows in the type of the source, checked to be finite.

    Raises:
        DataError: a row has NaN or infinity.
    """
    found = found.to(source.dtype)
    if len(bad := bad_rows(found)):
        raise DataError(f"row {rows[bad[0]].item()} has NaN or infinity.")
    return found


def _numbers(item: Any, what: str) -> Tensor:
    """The sample of an item, which may also hold other values, such as a label."""
    try:
        return dense(item[0] if isinstance(item, tuple | list) and item else item, what)
    except DataError as error:
        raise DataError(
            f"{error} An item must be an array, or a tuple that starts with one; got {item!r:.80}."
        ) from error


def _floating(values: Tensor) -> torch.dtype:
    if values.dtype == torch.bool:
        raise DataError(f"items must be real numbers; got {values.dtype}.")
    return floating(values.dtype)
