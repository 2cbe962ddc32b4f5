"""Generators made from seeds; the global generators of torch and numpy are never touched."""

import secrets
from typing import Any

import numpy as np
import torch

from multisi.errors import ConfigError


def check(seed: Any) -> int:
    """The seed as a non-negative integer; `None` gives a fresh one.

    Raises:
        ConfigError: anything else.
    """
    if seed is None:
        return secrets.randbits(62)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ConfigError(f"seed must be a non-negative integer or None; got {seed!r}.")
    return int(seed)


def generator(*seeds: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for a tuple of non-negative integers such as (seed, step)."""
    state = np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state) >> 1)
