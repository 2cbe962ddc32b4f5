"""A battery of named checks, run one by one so that an author sees all that is wrong at once."""

import functools
from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from multisi import registry
from multisi.errors import ConfigError, ConformanceError

T = TypeVar("T")
Check = Callable[[T], None]


class Battery(Generic[T]):
    """The checks of one kind, each a function of the subject that raises where it finds fault.

    Arguments:
        kind: Of which plugins.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.checks: dict[str, Check[T]] = {}

    def check(self, function: Check[T]) -> Check[T]:
        """Add a check; it goes by the name of the function."""
        self.checks[function.__name__.lstrip("_")] = function
        return function

    def run(self, factory: Any, subject: T, skip: Collection[str] = ()) -> None:
        """Run all checks but those to skip; after a failure of the first, no other can run.

        Raises:
            ConformanceError: some failed; with all their names and reasons.
            ConfigError: a name to skip that is none of a check.
        """
        if unknown := set(skip) - set(self.checks):
            raise ConfigError(
                f"There is no check {', '.join(sorted(unknown))} to skip; the checks of "
                f"{self.kind}s are {', '.join(self.checks)}."
            )
        broken: dict[str, str] = {}
        for i, (name, check) in enumerate(self.checks.items()):
            if name in skip:
                continue
            try:
                check(subject)
            except Exception as error:
                raised = "" if isinstance(error, _Broken) else f"raised {type(error).__name__}: "
                broken[name] = f"{raised}{error}"
                if i == 0:
                    break
        if broken:
            raise ConformanceError(self.kind, factory, broken, len(self.checks) - len(set(skip)))


class _Broken(Exception):
    """What a check found."""


def demand(condition: Any, message: str) -> None:
    """See that something holds, for the present check."""
    if not condition:
        raise _Broken(message)


def demand_kind(made: Any, base: type, name: str) -> None:
    """See that a factory made an object of the class of its kind, which users know by `name`."""
    demand(isinstance(made, base), f"must make a {name}; got {made!r}.")


def factory_of(kind: str, factory: Any, options: dict[str, Any]) -> Callable[..., Any]:
    """The factory of a plugin, given by itself or by name, with its options filled in."""
    if isinstance(factory, str):
        factory = registry.installed().find(kind, factory).load()
    if not callable(factory):
        raise ConfigError(
            f"The {kind} to check must be given as a class, a function that makes it, or the name "
            f"it is registered by; got {factory!r}."
        )
    return functools.partial(factory, **options)


def close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Whether two tensors differ by no more than a tolerance, relative to the larger one."""
    if a.shape != b.shape:
        return False
    if a.numel() == 0:
        return True
    scale = 1 + max(a.abs().max().item(), b.abs().max().item())
    return bool((a - b).abs().max() <= tolerance * scale)


def same_generators(action: Callable[[], Any]) -> bool:
    """Whether torch's and numpy's global generators are left as they were."""
    import random

    import numpy as np

    def states() -> tuple[Any, ...]:
        return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state()  # type: ignore[index]

    before = states()
    action()
    after = states()
    return before[:2] == after[:2] and torch.equal(before[2], after[2])


def numbers(tensor: Tensor) -> str:
    """The first numbers of a tensor, short enough for a message."""
    return str([round(value, 6) for value in tensor.detach().flatten()[:6].tolist()])
