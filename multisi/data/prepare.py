"""The marginals of a model: checked to fit together, and aligned by the names of features."""

import copy
from collections import Counter
from collections.abc import Mapping
from typing import Any

from multisi.common.features import listed
from multisi.data.marginals import AnyMarginal, Marginal, StandardNormal
from multisi.errors import ConfigError, DataError, ShapeError


def prepare(marginals: Mapping[str, Any]) -> dict[str, AnyMarginal]:
    """Check that marginals fit together; the standard normal, if there is one, comes first.

    Raises:
        ConfigError: `marginals` is not a dict, a name is not a non-empty string, or more than one
            marginal is standard normal or has a condition.
        DataError: there are fewer than two marginals or no dataset, or a dataset is invalid.
        ShapeError: the event shapes differ.
    """
    if not isinstance(marginals, Mapping):
        raise ConfigError(
            f"marginals must be a dict of names to samples; got {type(marginals).__name__}."
        )
    check_names(list(marginals))
    ready = {name: _as_marginal(name, value) for name, value in marginals.items()}
    noise = [name for name, m in ready.items() if isinstance(m, StandardNormal)]
    data = {name: m for name, m in ready.items() if isinstance(m, Marginal)}
    if len(noise) > 1:
        raise ConfigError(f"At most one marginal may be a StandardNormal(); got {noise}.")
    if not data:
        raise DataError("At least one marginal must be a dataset; got none.")
    data = _aligned(data)
    first, *others = data
    for name in others:
        if data[name].event_shape != data[first].event_shape:
            raise ShapeError(
                f"All marginals must have the same event shape; {first!r} has "
                f"{data[first].event_shape}, {name!r} has {data[name].event_shape}."
            )
    if len(conditional := [name for name, m in data.items() if m.condition is not None]) > 1:
        raise ConfigError(f"At most one marginal may have a condition; got {conditional}.")
    return {name: ready[name] for name in noise} | data


def _aligned(data: dict[str, Marginal]) -> dict[str, Marginal]:
    """The marginals with their columns in the order of the first one that names them.

    Raises:
        DataError: the names differ, or some marginals have names that are not mere places, and
            others have none.
    """
    named = {name: m.features for name, m in data.items() if m.features is not None}
    if not named:
        return data
    first, features = next(iter(named.items()))
    bare = [name for name in data if name not in named]
    if bare and features != tuple(map(str, range(len(features)))):
        raise DataError(
            f"Either all marginals must name their features or none; {first!r} has "
            f"{listed(features)}, {bare[0]!r} has no names. Give it as a DataFrame, or as "
            "Marginal(samples, features=[...])."
        )
    try:
        return {n: m.aligned(features) if n in named else m for n, m in data.items()}
    except DataError as error:
        other = next(n for n, f in named.items() if set(f) != set(features))
        raise DataError(f"Marginals {first!r} and {other!r} must agree: {error}") from None


def check_names(names: list[Any]) -> None:
    """Check that names are two or more different, non-empty strings.

    Raises:
        ConfigError: a name is not a string, is empty, or is repeated.
        DataError: there are fewer than two names.
    """
    for name in names:
        if not isinstance(name, str) or not name:
            raise ConfigError(f"A marginal's name must be a non-empty string; got {name!r}.")
    if repeated := sorted(name for name, times in Counter(names).items() if times > 1):
        raise ConfigError(f"Each marginal must have a different name; repeated: {repeated}.")
    if len(names) < 2:
        raise DataError(
            f"At least 2 marginals are needed; got {len(names)}. "
            "A StandardNormal() may be one of them."
        )


def _as_marginal(name: str, value: Any) -> AnyMarginal:
    if isinstance(value, StandardNormal):
        return value
    try:
        marginal = copy.copy(value) if isinstance(value, Marginal) else Marginal(value)
    except (DataError, ShapeError) as error:
        raise type(error)(f"Marginal {name!r}: {error}") from None
    marginal.name = name
    return marginal
