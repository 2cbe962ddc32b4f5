"""The file of a model for browsers."""

import base64
import importlib.resources
from typing import Any

import numpy as np

from multisi.common import checks
from multisi.common.compiled import weights_of
from multisi.errors import ConfigError, DataError
from multisi.files.atomic import write_whole
from multisi.files.plain import dumps
from multisi.model.model import Model
from multisi.networks.mlp import MLP

FORMAT = "multisi-browser-1"


def export(model: Model, path: Any) -> None:
    """Write a model for browsers: one file of JSON, which the script of `engine` reads.

    The weights are float32, in base64: a network of width 64 and depth 3 has about 130 kB.

    Arguments:
        model: A model of vectors with the network `mlp`, without a condition.
        path: The file to write.

    Raises:
        ConfigError: `model` is no `Model`, or has another network, a condition, or constant
            features.
        DataError: the file cannot be written.

    Examples:
        >>> import multisi, pathlib, tempfile, torch
        >>> a = torch.randn(50, 2)
        >>> options = {"preset": "small"}
        >>> model = multisi.fit(
        ...     {"a": a, "b": a + 3}, network_options=options, steps=2, progress=False
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export(model, f"{folder}/model.json")
        ...     pathlib.Path(folder, "model.json").stat().st_size < 2**18
        True
    """
    text = dumps(_described(model))
    path = checks.path(path, "The file")
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise DataError(f"{str(path)!r} could not be written: {error}.") from None


def engine() -> str:
    """The script for browsers, a module of JavaScript with the class `Model`.

    Examples:
        >>> "export class Model" in engine()
        True
    """
    return importlib.resources.files("multisi.browser").joinpath("engine.js").read_text("utf-8")


def _described(model: Model) -> dict[str, Any]:
    model = checks.instance(model, Model, "model")
    network, units = model.conditional_means.network, model.standardiser
    event = model.event_shape
    if not isinstance(network, MLP) or event is None or len(event) != 1:
        raise ConfigError(
            "Only models of vectors with network='mlp' run in a browser; this one has "
            f"{type(network).__name__} and samples of shape {event}."
        )
    if network.condition or units.constant is not None:
        raise ConfigError("Models with a condition or with constant features do not run there.")
    shift, scale = (part.expand(event).tolist() for part in (units.shift, units.scale))
    return {
        "format": FORMAT,
        "marginals": list(model.marginals),
        "noise": model.noise,
        "features": event[0],
        "shift": shift,
        "scale": scale,
        "depth": len(network.layers),
        "weights": {name: _text(tensor) for name, tensor in weights_of(network).items()},
    }


def _text(tensor: Any) -> str:
    numbers = np.ascontiguousarray(tensor.detach().cpu().float().numpy(), "<f4")
    return base64.b64encode(numbers.tobytes()).decode()
