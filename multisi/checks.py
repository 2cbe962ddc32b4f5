"""Options that must be numbers, or objects of some class."""

import math
import numbers
from typing import Any, TypeVar

from multisi.errors import ConfigError

T = TypeVar("T")


def integer(value: Any, what: str, least: int = 1) -> int:
    """The value as an integer of at least `least`; those of numpy are welcome.

    Raises:
        ConfigError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ConfigError(f"{what} must be an integer of at least {least}; got {value!r}.")
    return int(value)


def number(value: Any, what: str, positive: bool = False) -> float:
    """The value as a finite number of at least 0, or above 0 if it must be `positive`.

    Raises:
        ConfigError: anything else.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not 0 <= value < math.inf or (positive and value == 0):
        bound = "above 0" if positive else "of at least 0"
        raise ConfigError(f"{what} must be a finite number {bound}; got {value!r}.")
    return float(value)


def function(value: Any, what: str) -> Any:
    """The value itself, if it can be called.

    Raises:
        ConfigError: anything else.
    """
    if not callable(value) or isinstance(value, type):
        raise ConfigError(
            f"{what} must be a function, or an object that is called; got {value!r}."
        )
    return value


def instance(value: Any, kind: type[T], what: str) -> T:
    """The value itself, if it is an object of the class `kind`.

    Raises:
        ConfigError: anything else.
    """
    if isinstance(value, kind):
        return value
    if isinstance(value, type) and issubclass(value, kind):
        raise ConfigError(
            f"{what} must be an object, not a class; got {value.__name__}. "
            f"Make one: {value.__name__}(...)."
        )
    raise ConfigError(f"{what} must be an instance of {kind.__name__}; got {value!r}.")
