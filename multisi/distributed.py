"""The seam to torch.distributed: all that knows of several processes, as torchrun starts them."""

import atexit
import datetime
import os
from collections.abc import Sequence

import torch
from torch import Tensor, distributed
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from multisi.errors import ConfigError

_NEEDED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_PATIENCE = datetime.timedelta(minutes=10)


class World:
    """The processes of a run; this one alone, unless torchrun started several.

    Every process makes the same global batch and takes its share of the rows; gradients are
    summed. So many processes do what one would do, up to rounding.

    Arguments:
        rank: Number of this process.
        size: How many there are.
        device: Where its tensors are.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | str = "cpu") -> None:
        self.rank, self.size, self.device = rank, size, device

    @classmethod
    def found(cls, device: torch.device) -> "World":
        """The world that the environment tells of; it is joined if that has not been done.

        Raises:
            ConfigError: an environment that is incomplete or makes no sense.
        """
        if "RANK" not in os.environ and "WORLD_SIZE" not in os.environ:
            return cls()
        missing = [name for name in _NEEDED if not os.environ.get(name)]
        if missing:
            raise ConfigError(
                f"The environment tells of several processes, but lacks {', '.join(missing)}. "
                "Start with torchrun, or unset RANK and WORLD_SIZE."
            )
        try:
            rank, size = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
        except ValueError:
            rank, size = -1, 0
        if not 0 <= rank < size:
            raise ConfigError(
                "RANK must be a number below WORLD_SIZE; got "
                f"{os.environ['RANK']!r} and {os.environ['WORLD_SIZE']!r}."
            )
        if size > 1 and not distributed.is_initialized():
            _join(device)
        return cls(rank, size, device)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Which of `count` rows are this process's."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Add up tensors over all processes, in place."""
        if self.size > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)

    def most(self, value: float) -> float:
        """The largest of all processes' values."""
        if self.size == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
        return tensor.item()

    def copy(self, tensors: Sequence[Tensor]) -> None:
        """Give every process the first one's tensors, in place."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def gather(self, rows: Tensor, count: int) -> Tensor:
        """All shares of `count` rows, in order."""
        if self.size == 1:
            return rows
        whole = rows.new_zeros((count, *rows.shape[1:]))
        whole[self.share(count)] = rows
        distributed.all_reduce(whole)
        return whole


def _join(device: torch.device) -> None:
    # torchrun keeps one store over its restarts: without a prefix of its own, a new process could
    # read there the address of a dead one.
    store, rank, size = next(iter(rendezvous("env://", timeout=_PATIENCE)))
    attempt = f"multisi/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}/{size}"
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=PrefixStore(attempt, store),
        rank=rank,
        world_size=size,
        timeout=_PATIENCE,
    )
    # Its threads must end before the interpreter does, which would abort otherwise.
    atexit.register(_leave)


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()
