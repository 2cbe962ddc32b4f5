"""Random generators from seeds; the global generators of torch and numpy stay unchanged."""

import contextlib
import secrets
import threading
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

from multisi.common import frames
from multisi.errors import ConfigError

WITHOUT_FLOAT64 = {"mps"}
"""Kinds of devices that have no float64, such as Apple's."""


def check(seed: Any) -> int:
    """The seed as a non-negative integer; `None` gives a random one.

    Raises:
        ConfigError: `seed` is not an integer from 0 to 2^63 - 1, or `None`.
    """
    if seed is None:
        return secrets.randbits(62)
    is_integer = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not is_integer or not 0 <= seed < 2**63:
        raise ConfigError(
            f"seed must be a non-negative integer below 2^63, or None; got {seed!r}."
        )
    return int(seed)


def generator(*seeds: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for a tuple of non-negative integers such as (seed, step)."""
    state = np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state) >> 1)


def of_rows(seed: Any, rows: Any, x: Any, device: torch.device) -> torch.Generator:
    """A generator for the rows of a batch `x`, which may be numbered.

    Raises:
        ConfigError: `seed` is invalid, or `rows` is not one integer per row.
        DataError: `rows` has another index than `x`.
    """
    seed, count = check(seed), len(x)
    frames.check_index(rows, x, "rows")
    if rows is None:
        return generator(seed, device=device)
    try:
        numbers = torch.as_tensor(
            np.array(rows, dtype=None if len(rows) else np.int64), device="cpu"
        )
    except (TypeError, ValueError):
        raise ConfigError(f"rows must be one integer per row; got {rows!r}.") from None
    kinds = (torch.bool, torch.complex64, torch.complex128)
    if numbers.is_floating_point() or numbers.dtype in kinds or numbers.shape != (count,):
        raise ConfigError(
            f"rows must be one integer per row, shape ({count},); got {numbers.dtype} of shape "
            f"{tuple(numbers.shape)}."
        )
    return RowGenerator(device, seed, numbers)


class RowGenerator(torch.Generator):
    r"""Normal numbers that are a function of (seed, number of the row, index of the draw).

    So the noise of a row does not depend on the rest of the batch. Counters are mixed as in
    SplitMix64, and transformed to normal numbers by the Box-Muller transform.

    Arguments:
        device: Device of the numbers.
        seed: The seed.
        rows: Number of each row, int64, shape `(b,)`.
    """

    def __new__(cls, device: torch.device, seed: int, rows: Tensor) -> "RowGenerator":
        """A generator on the device."""
        return super().__new__(cls, device)  # type: ignore[call-arg]

    def __init__(self, device: torch.device, seed: int, rows: Tensor) -> None:
        self.manual_seed(seed % 2**63)
        self._keys = _mix(_mix(rows.to(_exact(device), torch.int64)) + (seed % 2**63))
        self.choose(slice(None))
        self._first = super().get_state()

    def choose(self, part: slice) -> None:
        """Restrict the following draws to these rows, and restart at the first draw."""
        self._part, self._draw = self._keys[part], 0

    @property
    def bypassed(self) -> bool:
        """Whether torch itself drew from it; such numbers depend on the batch."""
        return not torch.equal(super().get_state(), self._first)

    def get_state(self) -> Tensor:
        """The number of draws so far."""
        return torch.tensor(self._draw, dtype=torch.int64, device="cpu")

    def set_state(self, new_state: Tensor) -> Self:
        """Go back to that draw."""
        self._draw = int(new_state)
        return self

    def normal(self, like: Tensor) -> Tensor:
        """The next standard normal numbers, of the shape and type of `like`, rows first."""
        self._draw += 1
        places = torch.arange(like[0].numel(), dtype=torch.int64, device=self._keys.device)
        counters = _mix(self._part[:, None] + self._draw) + 2 * places
        u, v = (((_mix(counters + i) >> 11) & (2**53 - 1)).double() + 0.5 for i in (0, 1))
        radius = (-2 * (u * 2.0**-53).log()).sqrt()
        normal = radius * torch.cos(2 * torch.pi * 2.0**-53 * v)
        return normal.to(like.dtype).to(like.device).reshape(like.shape)


def _exact(device: torch.device) -> torch.device:
    """The device itself, or the CPU in place of one without float64."""
    return torch.device("cpu") if device.type in WITHOUT_FLOAT64 else device


def _mix(x: Tensor) -> Tensor:
    """A pseudo-random bijection of the 64-bit integers."""
    x = x * -7046029254386353131 + 7046029254386353131
    x = (x ^ _shift(x, 30)) * -4658895280553007687
    x = (x ^ _shift(x, 27)) * -7723592293110705685
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift, which fills with zeros."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


_ONE = threading.RLock()


@contextlib.contextmanager
def global_generators(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators inside the context, for one thread at a time."""
    with _ONE, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


_DRAWS = {
    *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal),
    *(torch.rand_like, torch.randn_like, torch.randint_like, torch.bernoulli, torch.multinomial),
    *(Tensor.uniform_, Tensor.normal_, Tensor.random_, Tensor.bernoulli_, Tensor.exponential_),
    *(init.uniform_, init.normal_, init.trunc_normal_, init.orthogonal_, init.sparse_),
    *(init.xavier_uniform_, init.xavier_normal_, init.kaiming_uniform_, init.kaiming_normal_),
}


class FreshWeights(TorchFunctionMode):
    """Replace the global generators by fresh ones, in this thread.

    Unlike `global_generators`, no thread waits for another.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, with a generator if it draws random numbers."""
        kwargs = dict(kwargs or {})
        if func in _DRAWS and kwargs.get("generator") is None:
            tensors = (x.device for x in (*args, *kwargs.values()) if isinstance(x, Tensor))
            device = kwargs.get("device") or next(tensors, torch.get_default_device())
            if torch.device(device).type != "meta":
                kwargs["generator"] = torch.Generator(device)
        return func(*args, **kwargs)
