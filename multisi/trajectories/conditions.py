"""Conditions of rows: numbers such as doses, or names such as perturbations."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from multisi.common import checks
from multisi.errors import ConfigError, DataError

_Part = TypeVar("_Part")


def columns_of(condition: Any) -> list[str]:
    """The names of the columns of conditions.

    Raises:
        ConfigError: they are no names.
    """
    if condition is None:
        return []
    found = [condition] if isinstance(condition, str) else checks.several(condition, "condition")
    return [str(name) for name in found]


def categories(frame: Any, columns: Sequence[str]) -> tuple[str, ...]:
    """The names in a column of categories, sorted; none if the columns have numbers.

    Raises:
        DataError: there are several columns, and not all have numbers.
    """
    chosen = frame[list(columns)].dropna()
    try:
        chosen.to_numpy(np.float64)
    except (TypeError, ValueError):
        if len(columns) > 1:
            raise DataError(
                f"Conditions must be columns of numbers, or one of names; got {list(columns)}. "
                "Encode names first, as by pandas.get_dummies."
            ) from None
        return tuple(sorted(set(map(str, chosen[columns[0]]))))
    return ()


def conditions(
    frame: Any, here: Any, columns: Sequence[str], names: Sequence[str]
) -> "np.ndarray[Any, Any] | None":
    """The conditions of some rows, shape `(n, c)`; `None` if they have none.

    Raises:
        ConfigError: a name is unknown.
        DataError: only some rows have one.
    """
    if not columns:
        return None
    chosen = frame.loc[here, list(columns)]
    missing = chosen.isna().to_numpy()
    if missing.all():
        return None
    if missing.any():
        raise DataError(
            f"Some rows of a time have no condition in {list(columns)}; all or none may."
        )
    if names or categories(chosen, columns):
        return np.asarray(encoded(list(map(str, chosen[columns[0]])), names))
    found: np.ndarray[Any, Any] = chosen.to_numpy(np.float64)
    return found


def encoded(given: Any, names: Sequence[str]) -> Any:
    """Conditions as numbers: a name, or several, as zeros and a one.

    Arguments:
        given: A name, names of shape `(b,)`, or numbers, which stay as they are.
        names: The names that are known, sorted; none where conditions are numbers.

    Raises:
        ConfigError: a name is unknown.

    Examples:
        >>> encoded("b", ["a", "b"]).tolist()
        [0.0, 1.0]
    """
    wanted = np.asarray(given if isinstance(given, str | list | tuple | np.ndarray) else 0)
    if wanted.dtype.kind not in "UO":
        return given
    unknown = sorted(set(map(str, wanted.flat)) - set(names))
    if unknown:
        known = f"one of {list(names)}" if names else "numbers"
        raise ConfigError(f"condition must be {known}; got {', '.join(map(repr, unknown))}.")
    return (wanted.astype(str)[..., None] == np.array(names)).astype(np.float64)


def key_of(condition: Any, names: Sequence[str]) -> tuple[float, ...]:
    """One condition as a tuple of numbers; an empty one for `None`.

    Raises:
        ConfigError: a name is unknown, or it is no vector of numbers.
    """
    if condition is None:
        return ()
    value = encoded(condition, names)
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        found = np.zeros((0, 0))
    if found.ndim > 1:
        raise ConfigError(f"condition must be one vector of numbers; got {condition!r}.")
    return tuple(np.atleast_1d(found).tolist())


def named(condition: Any, names: Sequence[str]) -> str:
    """A condition in words: its name, or its numbers."""
    values: list[float] = np.asarray(condition).tolist()
    if names and sorted(values) == [0.0] * (len(names) - 1) + [1.0]:
        return names[values.index(1.0)]
    return ", ".join(f"{value:g}" for value in values)


def of_condition(
    parts: Mapping[tuple[float, ...], _Part], condition: Any, names: Sequence[str]
) -> _Part:
    """What belongs to a condition.

    Raises:
        ConfigError: nothing does.
    """
    key = key_of(condition, names)
    if key not in parts:
        known = [named(one, names) for one in parts]
        raise ConfigError(f"Growth is known for the conditions {known}; got {condition!r}.")
    return parts[key]
