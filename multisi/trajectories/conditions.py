"""Conditions of rows: numbers such as doses, or names such as perturbations."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from multisi.common import checks
from multisi.errors import ConfigError, DataError

_Part = TypeVar("_Part")


def columns_of(condition: Any) -> list[Any]:
    """The names of the columns of conditions.

    Raises:
        ConfigError: they are no names, or one is there twice.
    """
    if condition is None:
        return []
    found = [condition] if isinstance(condition, str) else checks.several(condition, "condition")
    if len(set(found)) < len(found):
        raise ConfigError(f"condition must name each column once; got {found}.")
    return found


def categories(frame: Any, columns: Sequence[Any]) -> tuple[str, ...]:
    """The names in a column of texts or categories, sorted; none if the columns have numbers.

    Raises:
        DataError: there are several columns, and not all have numbers; or some have neither.
    """
    chosen = frame[list(columns)].dropna()
    values = [value for name in columns for value in chosen[name].tolist()]
    if all(
        isinstance(value, int | float | np.integer | np.floating | np.bool_) for value in values
    ):
        return ()
    if len(columns) > 1:
        raise DataError(
            f"Conditions must be columns of numbers, or one of names; got {list(columns)}. "
            "Encode names first, as by pandas.get_dummies."
        )
    if not all(isinstance(value, str) for value in values):
        kinds = sorted({type(value).__name__ for value in values})
        raise DataError(f"Conditions must be numbers or names; {columns[0]!r} has {kinds}.")
    return tuple(sorted(set(values)))


def conditions(
    frame: Any, here: Any, columns: Sequence[Any], names: Sequence[str]
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
            f"Some rows of a time have no condition in {list(columns)}: "
            f"{int(missing.any(1).sum())} of {len(chosen)}; all or none may."
        )
    if names or categories(chosen, columns):
        return np.asarray(encoded(chosen[columns[0]], names))
    return rounded(chosen.to_numpy(np.float64))


def rounded(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Conditions as float64 with the accuracy of float32, so that both mean the same."""
    values = np.asarray(values, np.float64)
    part = (values != np.round(values)) & np.isfinite(values)
    found = values.copy()
    found[part] = values[part].astype(np.float32)
    return found


def encoded(given: Any, names: Sequence[str]) -> Any:
    """Conditions as numbers: a name, or several, as zeros and a one.

    Arguments:
        given: A name, names of shape `(b,)`, or numbers, which stay as they are.
        names: The names that are known, sorted; none where conditions are numbers.

    Raises:
        ConfigError: a name is unknown, or missing.

    Examples:
        >>> encoded("b", ["a", "b"]).tolist()
        [0.0, 1.0]
    """
    if given is None and names:
        raise ConfigError(f"Give condition=, one of {list(names)}.")
    texts = _texts(given)
    if texts is None:
        return [float(given)] if isinstance(given, int | float | np.number) else given
    places = {name: i for i, name in enumerate(names)}
    if unknown := sorted(set(texts.flat) - set(names)):
        known = f"one of {list(names)}" if names else "numbers"
        raise ConfigError(f"condition must be {known}; got {', '.join(map(repr, unknown))}.")
    rows = np.eye(len(names))[[places[text] for text in texts.flat]]
    return rows.reshape(*texts.shape, len(names))


def _texts(given: Any) -> "np.ndarray[Any, Any] | None":
    """Names as an array of texts; `None` for anything else."""
    if isinstance(given, str):
        return np.array(given, dtype=object)
    if isinstance(given, Tensor) or not hasattr(given, "__len__") or not len(given):
        return None
    values = given if isinstance(given, list | tuple) else np.asarray(given, dtype=object)
    if isinstance(values, np.ndarray) and values.ndim != 1:
        return None
    if not all(isinstance(value, str) for value in values):
        return None
    return np.array([str(value) for value in values], dtype=object)


def key_of(condition: Any, names: Sequence[str]) -> tuple[float, ...]:
    """One condition as a tuple of numbers; an empty one for `None`.

    Raises:
        ConfigError: a name is unknown, or it is no vector of numbers.
    """
    if condition is None:
        return ()
    value = encoded(condition, names)
    value = value.detach().cpu() if isinstance(value, Tensor) else value
    try:
        found = rounded(np.atleast_1d(np.asarray(value, np.float64)))
    except (TypeError, ValueError):
        found = np.zeros((0, 0))
    if found.ndim > 1 or not np.isfinite(found).all():
        raise ConfigError(f"condition must be one vector of numbers; got {condition!r}.")
    return tuple(found.tolist())


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
        known = sorted(named(one, names) for one in parts)
        raise ConfigError(f"Growth is known for the conditions {known}; got {condition!r}.")
    return parts[key]
