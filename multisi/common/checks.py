"""Checks of options: numbers, paths, functions, and instances of a class."""

import math
import numbers
import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import numpy as np

from multisi.common import frames
from multisi.errors import ConfigError

T = TypeVar("T")


def integer(value: Any, what: str, least: int = 1) -> int:
    """The value as an integer of at least `least`; integers of numpy are accepted.

    Raises:
        ConfigError: `value` is not an integer, or is below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ConfigError(f"{what} must be an integer of at least {least}; got {value!r}.")
    return int(value)


def number(value: Any, what: str, positive: bool = False) -> float:
    """The value as a finite number of at least 0, or above 0 if it must be `positive`.

    Raises:
        ConfigError: `value` is not a finite number within these bounds.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        found = float(value) if real else math.nan
    except OverflowError:
        found = math.inf
    if not 0 <= found < math.inf or (positive and found == 0):
        bound = "above 0" if positive else "of at least 0"
        raise ConfigError(f"{what} must be a finite number {bound}; got {value!r}.")
    return found


def options(value: Any, what: str) -> dict[str, Any]:
    """The value as a new dict of names to values; `None` gives an empty dict.

    Raises:
        ConfigError: `value` is not a dict whose keys are strings, or `None`.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ConfigError(f"{what} must be a dict of names to values; got {value!r}.")
    return dict(value)


def not_set(given: Mapping[str, Any], taken: Collection[str], by: str) -> None:
    """Check that options do not set what is set already.

    Raises:
        ConfigError: one does.
    """
    if both := sorted(set(given) & set(taken)):
        raise ConfigError(
            f"{', '.join(both)} cannot be an option here: {by} sets it. Leave it out."
        )


def path(value: Any, what: str) -> pathlib.Path:
    """The value as the path of a file or folder; `~` at its start is the home folder.

    Raises:
        ConfigError: `value` is not a string or a path, is empty, or contains a null character.
    """
    given = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(given, str) or not given or "\0" in given:
        raise ConfigError(f"{what} must be the path of a file or a folder; got {value!r}.")
    return pathlib.Path(os.path.expanduser(given))


def several(value: Any, what: str) -> list[Any]:
    """The value, a list, a tuple, an array of one axis or an index of pandas, as a new list.

    Raises:
        ConfigError: `value` is none of these.
    """
    value = frames.plain(value)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{what} must be a list or a tuple; got {value!r}.")
    return list(value)


def function(value: Any, what: str) -> Any:
    """The value itself, if it is a function or a callable object.

    Raises:
        ConfigError: `value` is not callable, or is a class.
    """
    if not callable(value) or isinstance(value, type):
        raise ConfigError(f"{what} must be a function or a callable object; got {value!r}.")
    return value


def instance(value: Any, kind: type[T], what: str) -> T:
    """The value itself, if it is an instance of the class `kind`.

    Raises:
        ConfigError: `value` is not an instance of `kind`.
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, type) and issubclass(value, kind):
        raise ConfigError(
            f"{what} must be an instance, not a class; got the class {value.__name__}. "
            f"Create an instance: {value.__name__}(...)."
        )
    raise ConfigError(f"{what} must be an instance of {kind.__name__}; got {value!r}.")
