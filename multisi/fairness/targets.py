"""The point of the simplex that rows are repaired to, and checks of options."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multisi.errors import ConfigError, DataError, SimplexError

Array = Any


def resolve(target: Any, groups: Sequence[Any], weights: Array) -> Array:
    """The point that a target stands for, shape `(k,)`.

    Arguments:
        target: `"prior"`, `"uniform"`, a group, a dict of group to weight, or coordinates `(k,)`.
        groups: The groups in order.
        weights: Their shares.

    Raises:
        ConfigError: the target is none of these.
        SimplexError: weights are negative, or their sum is not one.
    """
    places = {group: k for k, group in enumerate(groups)}
    if isinstance(target, Mapping):
        point = np.zeros(len(groups))
        for group, weight in target.items():
            point[place_of(group, places, "target")] = _numbers(weight)
        return _checked(point)
    if isinstance(target, str) or np.ndim(target) == 0:
        if _known(target, places):
            return np.eye(len(groups))[places[target]]
        if target == "prior":
            return np.asarray(weights, float)
        if target == "uniform":
            return np.full(len(groups), 1 / len(groups))
        raise ConfigError(
            f"target must be 'prior', 'uniform', a group, a dict of weights or coordinates; got "
            f"{target!r}. The groups are {', '.join(map(repr, groups))}."
        )
    point = _numbers(target)
    if point.shape != (len(groups),):
        raise ConfigError(
            f"target must have a coordinate for each of the {len(groups)} groups; got shape "
            f"{point.shape}."
        )
    return _checked(point)


def place_of(group: Any, places: Mapping[Any, int], what: str) -> int:
    """The number of a group.

    Raises:
        DataError: there was no such group at the fit.
    """
    if not _known(group, places):
        raise DataError(
            f"{what}: no group {group!r} was there at the fit. Known: "
            f"{', '.join(map(repr, places))}."
        )
    return places[group]


def amount_of(amount: Any) -> float:
    """An amount of repair.

    Raises:
        ConfigError: it is not a number from 0 to 1.
    """
    number = isinstance(amount, numbers.Real) and not isinstance(amount, bool | np.bool_)
    if not number or not 0 <= amount <= 1:
        raise ConfigError(
            f"amount must be a number from 0, untouched, to 1, repaired; got {amount!r}."
        )
    return float(amount)


def _known(group: Any, places: Mapping[Any, int]) -> bool:
    try:
        return group in places
    except TypeError:
        return False


def _numbers(given: Any) -> Array:
    try:
        return np.asarray(given, float)
    except (TypeError, ValueError):
        raise ConfigError(f"The weights of a target must be numbers; got {given!r}.") from None


def _checked(point: Array) -> Array:
    if not np.isfinite(point).all() or (point < 0).any() or abs(point.sum() - 1) > 1e-6:
        raise SimplexError(
            f"The weights of a target must be at least 0, with the sum 1; got {point.tolist()}."
        )
    return point / point.sum()
