"""The description of a model file, read without creating the network."""

from typing import Any

from torch import Tensor

from multisi.common.features import listed
from multisi.common.printable import printable
from multisi.files import checkpoint
from multisi.model.description import check


def description(path: Any) -> dict[str, Any]:
    """The description in a model file, with the number of weights and the standardiser.

    Arguments:
        path: Model file, or checkpoint of a run.

    Returns:
        Numbers, strings, lists and dicts: `marginals`, `noise`, `network`, `units`, `weights`,
        `plugins`, `format`, `version`, and `card`, which holds the training options and the
        evaluation.

    Raises:
        CheckpointError: the file is missing, damaged, altered, or not a model.
    """
    tensors, description = checkpoint.read(path)
    check(path, tensors, description)
    means = checkpoint.under(tensors, "means.")
    return {
        **description,
        "weights": sum(tensor.numel() for tensor in means.values()),
        "units": {
            name: _brief(t) for name, t in sorted(checkpoint.under(tensors, "units.").items())
        },
    }


def text(found: dict[str, Any]) -> str:
    """A description as text, in which nothing of the file controls the terminal."""
    card, network = found.get("card") or {}, found["network"]
    sizes = _part(card, "options", "marginals")
    lines = [
        f"format      {found['format']}, written by multisi {found['version']}",
        *(f"marginal    {_marginal(name, found['noise'], sizes)}" for name in found["marginals"]),
        *(f"{what:<11} {listed(found[key])}" for what, key in _NAMED.items() if found.get(key)),
        *(f"{name:<11} {value}" for name, value in found["units"].items()),
        f"network     {_network(network)}, {found['weights']:,} weights",
    ]
    for plugin in found.get("plugins", []):
        lines.append("{:<11} {}, of {} {}".format(*(plugin[key] for key in _PLUGIN)))
    for name in ("options", "training"):
        shown = {k: v for k, v in _part(card, name).items() if k not in _LONG and v is not None}
        lines += [f"{name:<11} {key}: {value}" for key, value in shown.items()]
    if "training" in found:
        lines.append(f"checkpoint  at step {_part(found, 'training', 'numbers').get('step')}")
    pairs = _part(card, "evaluation").get("pairs")
    lines += [f"evaluation  {_pair(pair)}" for pair in (pairs if isinstance(pairs, list) else [])]
    return "\n".join(printable(line, 1000) for line in lines)


_LONG = ("marginals", "order", "units", "data", "held_out")
"""Options of a run that are shown with the marginals, or only serve to compare runs."""
_NAMED = {"features": "features", "condition": "condition_features"}
_PLUGIN = ("kind", "name", "distribution", "version")


def _part(found: Any, *keys: str) -> dict[str, Any]:
    """A part of a description, which strangers may have filled with anything."""
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _pair(pair: Any) -> str:
    try:
        figures = "energy distance {energy_distance:.3g}, p {p_value:.3g}, W2 {w2:.3g}"
        return f"{pair['source']} to {pair['target']}: {figures.format(**pair)}"
    except (TypeError, KeyError, ValueError, AttributeError):
        return f"{pair}"


def _brief(tensor: Tensor) -> Any:
    return tensor.tolist() if tensor.numel() <= 16 else f"{tensor.numel()} numbers"


def _marginal(name: str, noise: str | None, sizes: dict[str, Any]) -> str:
    if name == noise:
        return f"{name}: standard normal"
    size = sizes.get(name)
    if not isinstance(size, list) or not all(type(n) is int for n in size) or not size:
        return name
    return f"{name}: {size[0]:,} rows of shape {tuple(size[1:])}"


def _network(recipe: dict[str, Any] | None) -> str:
    if recipe is None:
        return "a module of the user"
    options = ", ".join(f"{key}={value!r}" for key, value in recipe.get("options", {}).items())
    return f"{recipe['name']}({options})"
