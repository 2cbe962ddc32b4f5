"""Strict JSON: values that JSON cannot hold as they are."""

import json
import math
from collections.abc import Mapping
from typing import Any


def dumps(value: Any, **options: Any) -> str:
    """The value as a JSON text; numbers that are not finite become null.

    Arguments:
        value: Dicts, lists, tuples, strings, numbers, scalars of numpy, booleans and `None`.
        options: Options of `json.dumps`.

    Examples:
        >>> dumps({"loss": float("nan"), "steps": 3})
        '{"loss": null, "steps": 3}'

    Raises:
        TypeError: JSON cannot hold a value.
    """
    return json.dumps(_finite(value), allow_nan=False, **options)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
