"""The description in a model file, checked before anything is made from it."""

import reprlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from multisi.common.printable import printable
from multisi.errors import CheckpointError
from multisi.field.recipe import MIXTURE

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""The types that weights may have."""
_PLUGINS = 100
_RECORD = ("kind", "name", "distribution", "version")


def check(path: Any, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Check that a description and the tensors beside it can be those of a model.

    Raises:
        CheckpointError: an entry is missing, has another type, or contradicts another one.
    """
    try:
        names = _names(description)
        _network(description, len(names))
        _further(description)
        _units(tensors, "units.", _event_shape(description))
        _condition(tensors, description)
    except ValueError as error:
        raise CheckpointError(
            f"The description in {str(path)!r} is not that of a model: {printable(str(error))}. "
            "Use a copy of the file, or fit again."
        ) from None


def _need(true: bool, what: str, expected: str, got: Any) -> None:
    """Check one entry.

    Raises:
        ValueError: it is not what was expected.
    """
    if not true:
        raise ValueError(f"{what} must be {expected}; got {reprlib.repr(got)}")


def _names(description: Mapping[str, Any]) -> list[str]:
    names, noise = description.get("marginals"), description.get("noise")
    _need(_texts(names), "marginals", "a list of names", names)
    names = list(names or [])
    _need(all(names) and len(names) > 1, "marginals", "two or more names, none empty", names)
    _need(len(set(names)) == len(names), "marginals", "different names, none repeated", names)
    first = "noise" in description and (noise is None or noise == names[0])
    _need(first, "noise", f"null or the first of the marginals {reprlib.repr(names)}", noise)
    return names


def _network(description: Mapping[str, Any], marginals: int) -> None:
    recipe = description.get("network")
    if recipe is None or recipe == {"name": MIXTURE}:
        _need("network" in description, "network", "there", None)
        return
    _need(isinstance(recipe, dict), "network", "null or an object", recipe)
    kind = {"kind": "network", **recipe}
    for key in _RECORD:
        _need(isinstance(kind.get(key), str), f"network: {key}", "a text", kind.get(key))
    _need(kind["kind"] == "network", "network: kind", "'network'", kind["kind"])
    options = recipe.get("options")
    _need(isinstance(options, dict), "network: options", "an object", options)
    _need(_sizes(recipe.get("event_shape")), "network: event_shape", "a list of sizes", recipe)
    own = recipe.get("marginals")
    _need(type(own) is int, "network: marginals", "a number", own)
    if own != marginals:
        raise ValueError(f"the network has {own} marginals, and there are {marginals} names")


def _further(description: Mapping[str, Any]) -> None:
    """The entries that do not depend on each other."""
    for key, kind, expected in (("version", str, "a text"), ("noise_independent", bool, "a bool")):
        value = description.get(key)
        _need(isinstance(value, kind), key, expected, value)
    plugins, card = description.get("plugins", []), description.get("card")
    few = isinstance(plugins, list) and len(plugins) <= _PLUGINS
    _need(few, "plugins", f"a list of at most {_PLUGINS}", plugins)
    for record in plugins:
        texts = isinstance(record, dict) and _texts([record.get(key) for key in _RECORD])
        _need(texts, "a plugin", f"an object with the texts {', '.join(_RECORD)}", record)
    _need(card is None or isinstance(card, dict), "card", "null or an object", card)
    features = description.get("features")
    _need(features is None or _texts(features), "features", "null or a list of names", features)


def _event_shape(description: Mapping[str, Any]) -> tuple[int, ...] | None:
    """The shape of one sample, if it is known."""
    given = description.get("event_shape")
    _need(given is None or _sizes(given), "event_shape", "null or a list of sizes", given)
    of_network = (description.get("network") or {}).get("event_shape")
    known = [shape for shape in (given, of_network) if shape is not None]
    if len(known) == 2 and known[0] != known[1]:
        raise ValueError(f"event_shape is {given}, and that of the network {of_network}")
    features = description.get("features")
    if features is not None and known and known[0] != [len(features)]:
        raise ValueError(f"there are {len(features)} features for samples of shape {known[0]}")
    return tuple(known[0]) if known else None


def _units(
    tensors: Mapping[str, Tensor], prefix: str, event_shape: tuple[int, ...] | None
) -> None:
    """Shift, scale, and what is constant, of samples or of conditions."""
    for name in (f"{prefix}shift", f"{prefix}scale"):
        tensor = tensors.get(name)
        right = tensor is not None and tensor.dtype in FLOATS
        _need(right, name, "a tensor of floats", None if tensor is None else tensor.dtype)
    shift, scale = tensors[f"{prefix}shift"], tensors[f"{prefix}scale"]
    constant = tensors.get(f"{prefix}constant", shift)
    shapes = [tuple(tensor.shape) for tensor in (shift, scale, constant)]
    whole = tuple(shift.shape) if event_shape is None and shift.ndim else event_shape
    if shapes[0] != shapes[1] or not all(_spreads(shape, whole) for shape in shapes):
        raise ValueError(
            f"{prefix}shift and {prefix}scale must fit samples of shape {whole}; got {shapes}"
        )
    _need(constant.dtype in FLOATS, f"{prefix}constant", "a tensor of floats", constant.dtype)
    if not (shift.isfinite().all() and scale.isfinite().all() and (scale > 0).all()):
        raise ValueError(f"{prefix}shift must be finite, {prefix}scale finite and positive")


def _condition(tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    names, shift = description.get("condition_features"), tensors.get("condition.shift")
    _need(names is None or _texts(names), "condition_features", "null or a list of names", names)
    if any(name.startswith("condition.") for name in tensors):
        _units(tensors, "condition.", None)
        shape = [] if shift is None else list(shift.shape)
        right = len(shape) == 1 and (names is None or shape == [len(names)])
        _need(right, "condition.shift", "one number for each feature of the condition", shape)


def _spreads(shape: tuple[int, ...], event_shape: tuple[int, ...] | None) -> bool:
    """Whether a shape can be broadcast to that of a sample."""
    if event_shape is None or not shape:
        return True
    return len(shape) <= len(event_shape) and all(
        own in (1, whole)
        for own, whole in zip(reversed(shape), reversed(event_shape), strict=False)
    )


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 < n < 2**40 for n in value)
