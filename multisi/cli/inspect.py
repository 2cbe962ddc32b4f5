"""The description of a model file, read without creating the network."""

from typing import Any

from torch import Tensor

from multisi.errors import CheckpointError
from multisi.files import checkpoint


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
    if not {"marginals", "network"} <= set(description):
        raise CheckpointError(
            f"{str(path)!r} is not a model: its description must have the keys marginals and "
            f"network; got {', '.join(description)}."
        )
    means = checkpoint.under(tensors, "means.")
    return {
        **description,
        "weights": sum(tensor.numel() for tensor in means.values()),
        "units": {name: _brief(t) for name, t in checkpoint.under(tensors, "units.").items()},
    }


def text(found: dict[str, Any]) -> str:
    """A description as text."""
    card, network = found.get("card", {}), found["network"]
    options = card.get("options", {})
    sizes = options.get("marginals", {})
    lines = [
        f"format      {found['format']}, written by multisi {found['version']}",
        *(f"marginal    {_marginal(name, found['noise'], sizes)}" for name in found["marginals"]),
        *(f"{name:<11} {value}" for name, value in found["units"].items()),
        f"network     {_network(network)}, {found['weights']:,} weights",
    ]
    for plugin in found.get("plugins", []):
        lines.append("{:<11} {}, of {} {}".format(*(plugin[key] for key in _PLUGIN)))
    for name in ("options", "training"):
        shown = {k: v for k, v in card.get(name, {}).items() if k != "marginals" and v is not None}
        lines += [f"{name:<11} {key}: {value}" for key, value in shown.items()]
    if "training" in found:
        lines.append(f"checkpoint  at step {found['training']['numbers']['step']}")
    for pair in card.get("evaluation", {}).get("pairs", []):
        figures = "energy distance {energy_distance:.3g}, p {p_value:.3g}, W2 {w2:.3g}"
        lines.append(f"evaluation  {pair['source']} to {pair['target']}: {figures.format(**pair)}")
    return "\n".join(lines)


_PLUGIN = ("kind", "name", "distribution", "version")


def _brief(tensor: Tensor) -> Any:
    return tensor.tolist() if tensor.numel() <= 16 else f"{tensor.numel()} numbers"


def _marginal(name: str, noise: str | None, sizes: dict[str, list[int]]) -> str:
    if name == noise:
        return f"{name}: standard normal"
    if name not in sizes:
        return name
    rows, *event = sizes[name]
    return f"{name}: {rows:,} rows of shape {tuple(event)}"


def _network(recipe: dict[str, Any] | None) -> str:
    if recipe is None:
        return "a module of the user"
    options = ", ".join(f"{key}={value!r}" for key, value in recipe.get("options", {}).items())
    return f"{recipe['name']}({options})"
