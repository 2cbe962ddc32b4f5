"""The file of a repair: its options, columns and groups, and the arrays of its map."""

from typing import Any

import numpy as np
import torch

from multisi.errors import CheckpointError
from multisi.fairness.coordinates import Coordinates
from multisi.fairness.copula import Copula
from multisi.fairness.core import Core
from multisi.fairness.maps import Affine, GroupMap, Quantile
from multisi.fairness.refined import Refined
from multisi.fairness.selection import Selection
from multisi.fairness.tables import Schema
from multisi.files import checkpoint

_ARRAYS = ("shift", "scale", "low", "high")
_PLAIN = (str, int, float, bool)


def write(path: Any, core: Core, options: dict[str, Any]) -> None:
    """Write a fitted repair to a file, atomically.

    Arguments:
        path: The file.
        core: What the repair consists of.
        options: The options of the estimator, plain values.

    Raises:
        CheckpointError: the file cannot be written, or groups or levels are no texts or numbers.
    """
    made = core.coordinates
    tensors = {f"columns.{name}": _tensor(getattr(made, name)) for name in _ARRAYS}
    tensors |= {"weights": _tensor(core.weights), "target": _tensor(core.target)}
    if core.map is not None:
        tensors |= {f"map.{name}": _tensor(a) for name, a in core.map.tensors().items()}
    description = {
        "repair": {name: value for name, value in options.items() if _is_plain(value)},
        "columns": made.to_dict(),
        "names": core.schema.names,
        "levels": [None if e is None else [_plain(v) for v in e] for e in core.schema.levels],
        "types": core.schema.types,
        "groups": [_plain(group) for group in core.groups],
        "seed": core.seed,
        "nameless": core.nameless,
        "field": core.selection.name,
        "reason": core.selection.reason,
    }
    checkpoint.write(path, tensors, description)


def read(path: Any) -> tuple[Core, dict[str, Any]]:
    """What a repair consists of, and its options, from a file.

    Arguments:
        path: The file.

    Raises:
        CheckpointError: the file is missing or damaged, or has no repair.
    """
    tensors, told = checkpoint.read(path)
    if "repair" not in told:
        raise CheckpointError(
            f"{str(path)!r} has no repair of a table. Read a model with multisi.load."
        )
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in tensors.items()}
    levels = tuple(None if each is None else tuple(each) for each in told["levels"])
    names = None if told["names"] is None else tuple(told["names"])
    groups = np.empty(len(told["groups"]), object)
    groups[:] = told["groups"]
    core = Core(
        Schema(names, levels, tuple(told["types"])),
        Coordinates.from_dict(told["columns"], {n: arrays[f"columns.{n}"] for n in _ARRAYS}),
        groups,
        arrays["weights"],
        arrays["target"],
        told["seed"],
        told["nameless"],
        _map(checkpoint.under(arrays, "map."), told["repair"]),
        Selection(told["field"], {}, float("nan"), told["reason"]),
    )
    return core, told["repair"]


def _map(arrays: dict[str, Any], options: dict[str, Any]) -> GroupMap | None:
    """The map that consists of these arrays."""
    if not arrays:
        return None
    if "hub" in arrays:
        parts = (checkpoint.under(arrays, f"{name}.") for name in ("first", "rest"))
        first, rest = (_map(part, options) for part in parts)
        return Refined(first, rest, arrays["hub"])  # type: ignore[arg-type]
    if {"means", "values"} <= arrays.keys():
        return Copula(Quantile(arrays.pop("values")), Affine(**arrays))
    if "means" in arrays:
        return Affine(**arrays)
    if "values" in arrays:
        return Quantile(**arrays)
    from multisi.fairness.flow import Flow  # The other maps need no model.

    return Flow.from_bytes(arrays["model"], options["n_steps"], options["solver"])


def _tensor(array: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(array))


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, _PLAIN):
        raise CheckpointError(
            f"A file of a repair can hold groups and levels that are texts or numbers; got "
            f"{value!r}."
        )
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict | list | tuple):
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return all(map(_is_plain, parts))
    return value is None or isinstance(value, _PLAIN)
