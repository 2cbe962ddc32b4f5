"""The interface to torch.distributed: processes that torchrun starts."""

import atexit
import datetime
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from multisi.errors import ConfigError

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

_NEEDED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_PATIENCE = datetime.timedelta(minutes=10)


class World:
    """The processes of a run: this one alone, unless torchrun started several.

    Every process draws the same global batch and takes its share of the rows; gradients are
    summed. So the result is that of a single process, up to rounding.

    Arguments:
        rank: Number of this process, from 0.
        size: Number of processes.
        device: Device of the tensors of this process.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | str = "cpu") -> None:
        self.rank, self.size, self.device = rank, size, device

    @classmethod
    def found(cls, device: torch.device) -> "World":
        """The world that the environment variables describe; joins it if necessary.

        Raises:
            ConfigError: the environment variables are incomplete or inconsistent.
        """
        if "RANK" not in os.environ and "WORLD_SIZE" not in os.environ:
            return cls()
        missing = [name for name in _NEEDED if not os.environ.get(name)]
        if missing:
            raise ConfigError(
                f"RANK or WORLD_SIZE is set, but {', '.join(missing)} is missing from the "
                "environment. Start with torchrun, or unset RANK and WORLD_SIZE."
            )
        try:
            rank, size = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
        except ValueError:
            rank, size = -1, 0
        if not 0 <= rank < size:
            raise ConfigError(
                "RANK must be an integer from 0 to below WORLD_SIZE; got "
                f"{os.environ['RANK']!r} and {os.environ['WORLD_SIZE']!r}. Start with torchrun, "
                "or unset both."
            )
        if size > 1 and not distributed.is_initialized():
            _join(device)
        return cls(rank, size, device)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """The rows of this process, out of `count`."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Sum tensors over all processes, in place."""
        if self.size > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)

    def most(self, value: float) -> float:
        """The largest value over all processes."""
        if self.size == 1:
            return value
        apple = torch.device(self.device).type == "mps"  # It has no float64.
        kind = torch.float32 if apple else torch.float64
        tensor = torch.tensor(value, dtype=kind, device=self.device)
        distributed.all_reduce(tensor, distributed.ReduceOp.MAX)
        return tensor.item()

    def copy(self, tensors: Sequence[Tensor]) -> None:
        """Copy the tensors of the first process to all others, in place."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)

    def gather(self, rows: Tensor, count: int) -> Tensor:
        """All `count` rows, in order, from the shares of the processes."""
        if self.size == 1:
            return rows
        whole = rows.new_zeros((count, *rows.shape[1:]))
        whole[self.share(count)] = rows
        distributed.all_reduce(whole)
        return whole

    def length(self, parts: Sequence[Tensor], spread: Sequence[bool]) -> float:
        """Norm of a vector in parts, each either complete here or sharded over the processes."""
        # Unlike a product, a norm has the same bits with every number of threads.
        squares = [torch.linalg.vector_norm(part).square() for part in parts]
        if any(spread):
            sharded = torch.stack([s for s, apart in zip(squares, spread, strict=True) if apart])
            self.sum([sharded])
            squares = [s for s, apart in zip(squares, spread, strict=True) if not apart]
            squares += sharded.unbind()
        return math.sqrt(sum(square.item() for square in squares))

    def shard(self, module: nn.Module) -> None:
        """Shard the weights of a module: every process holds a part of every weight.

        The blocks (elements of lists of modules) are gathered one by one when they are used;
        gradients are summed.

        Raises:
            ConfigError: the trainable weights have different types.
        """
        from torch.distributed.fsdp import fully_shard  # Importing it takes most of a second.

        types = {str(weight.dtype) for weight in module.parameters() if weight.requires_grad}
        if len(types) > 1:
            raise ConfigError(
                "With shard, all trainable weights must have the same type; got "
                f"{', '.join(sorted(types))}. Convert the network to one type."
            )
        kind = torch.device(self.device).type
        mesh = init_device_mesh(kind, (self.size,))
        numbers = {weight for weight in module.parameters() if weight.ndim == 0}
        for block in (*_blocks(module), module):
            inside = numbers & set(block.parameters())
            block.register_forward_hook(_no_view)
            fully_shard(block, mesh=mesh, reshard_after_forward=True, ignored_params=inside)
            block.set_gradient_divide_factor(1.0)  # type: ignore[operator]
            block.set_force_sum_reduction_for_comms(True)  # type: ignore[operator]
        for number in numbers:
            number.data = number.data.to(self.device)

    def whole(self, state: Mapping[str, Tensor], everywhere: bool = False) -> dict[str, Tensor]:
        """Gather sharded tensors on the CPU, in the first process or `everywhere`.

        All processes must call it; a process that does not gather gets empty tensors.
        """
        wanted = everywhere or self.first

        def put(tensor: Tensor) -> Tensor:
            if not is_spread(tensor):
                return tensor
            whole: Tensor = tensor.full_tensor()
            return whole.cpu() if wanted else whole.new_empty(0)

        return {name: put(tensor) for name, tensor in state.items()}


def _join(device: torch.device) -> None:
    # torchrun keeps one store over its restarts. Without a prefix per restart, a new process could
    # read the address of a dead one.
    store, rank, size = next(iter(rendezvous("env://", timeout=_PATIENCE)))
    attempt = f"multisi/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}/{size}"
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=PrefixStore(attempt, store),
        rank=rank,
        world_size=size,
        timeout=_PATIENCE,
    )
    # Its threads must end before the interpreter, which would otherwise abort.
    atexit.register(_leave)


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def is_spread(tensor: Any) -> "TypeGuard[DTensor]":
    """Whether the tensor is sharded over the processes."""
    module = sys.modules.get("torch.distributed.tensor")  # Nothing is, before it is imported.
    return module is not None and isinstance(tensor, module.DTensor)


def own_part(tensor: Tensor) -> Tensor:
    """The part of a tensor that this process holds."""
    return tensor.to_local() if is_spread(tensor) else tensor


def as_spread(part: Tensor, like: Tensor) -> Tensor:
    """A part of a tensor, viewed as a tensor of the shape and sharding of `like`."""
    if not is_spread(like):
        return part.view(like.shape)
    from torch.distributed.tensor import DTensor

    return DTensor.from_local(
        part, like.device_mesh, like.placements, shape=like.shape, stride=like.stride()
    )


def fill(own: Tensor, whole: Tensor) -> None:
    """Copy a tensor into one that may be sharded."""
    if is_spread(own) and not is_spread(whole):
        from torch.distributed.tensor import distribute_tensor

        moved = whole.to(own.device)
        whole = distribute_tensor(moved, own.device_mesh, own.placements, src_data_rank=None)
    own.copy_(whole)


def _no_view(module: nn.Module, arguments: Any, answer: Any) -> Any:
    """The output, copied if it is a view: torch warns about sharded modules that return views."""
    return answer.clone() if isinstance(answer, Tensor) and answer._is_view() else answer


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The elements of a module's outermost lists that share no weight with other modules."""
    found = dict.fromkeys(_elements(module))
    for block in found:
        ours = set(block.parameters())
        rest = sum(p in ours for m in module.modules() for p in m.parameters(recurse=False))
        inside = sum(p in ours for m in block.modules() for p in m.parameters(recurse=False))
        if ours and rest == inside:
            yield block


def _elements(module: nn.Module) -> Iterator[nn.Module]:
    listed = isinstance(module, nn.ModuleList | nn.ModuleDict | nn.Sequential)
    for child in module.children():
        if listed:
            yield child
        else:
            yield from _elements(child)
