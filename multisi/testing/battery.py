"""Named checks of a kind, run one by one, so that authors see all failures at once."""

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
    """The checks of one kind of plugin: functions of a subject that raise if it fails.

    Arguments:
        kind: Kind of plugin.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.checks: dict[str, Check[T]] = {}

    def check(self, function: Check[T]) -> Check[T]:
        """Add a check under the name of the function."""
        self.checks[function.__name__.lstrip("_")] = function
        return function

    def run(self, factory: Any, subject: T, skip: Collection[str] = ()) -> None:
        """Run all checks except those in `skip`; if the first one fails, no other is run.

        Raises:
            ConformanceError: a check fails; the error lists all failed checks.
            ConfigError: `skip` names an unknown check.
        """
        if unknown := set(skip) - set(self.checks):
            raise ConfigError(
                f"skip must name checks of {self.kind}s, which are {', '.join(self.checks)}; got "
                f"{', '.join(sorted(unknown))}."
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
    """A check failed."""


def demand(condition: Any, message: str) -> None:
    """Fail the current check unless a condition holds."""
    if not condition:
        raise _Broken(message)


def demand_kind(made: Any, base: type, name: str) -> None:
    """Fail unless an object is an instance of a class with the public name `name`."""
    demand(isinstance(made, base), f"the factory must create a {name}; got {made!r}.")


def factory_of(kind: str, factory: Any, options: dict[str, Any]) -> Callable[..., Any]:
    """The factory of a plugin, given as a callable or by name, bound to options.

    Raises:
        ConfigError: `factory` is neither callable nor a name.
        UnknownPluginError: no plugin, or more than one, has the name.
    """
    if isinstance(factory, str):
        factory = registry.installed().find(kind, factory).load()
    if not callable(factory):
        raise ConfigError(
            f"factory must be a class, a function, or the registered name of a {kind}; got "
            f"{factory!r}."
        )
    return functools.partial(factory, **options)


def close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Whether two tensors differ by at most `tolerance * (1 + largest absolute value)`."""
    if a.shape != b.shape:
        return False
    if a.numel() == 0:
        return True
    scale = 1 + max(a.abs().max().item(), b.abs().max().item())
    return bool((a - b).abs().max() <= tolerance * scale)


def same_generators(action: Callable[[], Any]) -> bool:
    """Whether an action leaves the global generators of Python, numpy and torch unchanged."""
    import random

    import numpy as np

    def states() -> tuple[Any, ...]:
        return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state()  # type: ignore[index]

    before = states()
    action()
    after = states()
    return before[:2] == after[:2] and torch.equal(before[2], after[2])


def numbers(tensor: Tensor) -> str:
    """The first numbers of a tensor, for a message."""
    return str([round(value, 6) for value in tensor.detach().flatten()[:6].tolist()])
