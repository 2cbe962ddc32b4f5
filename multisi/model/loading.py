"""`load`: read a model from a file."""

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from multisi.common import seeds
from multisi.common.torch_state import own_state
from multisi.data.conditions import Conditions
from multisi.data.standardiser import Standardiser
from multisi.errors import (
    CheckpointError,
    ConfigError,
    MultisiError,
    PluginError,
    PluginWarning,
    UnknownPluginError,
)
from multisi.field.conditional_means import ConditionalMeans
from multisi.field.gaussian_mixture import GaussianMixtureMeans
from multisi.field.recipe import MIXTURE, find_plugin, means_from
from multisi.files import checkpoint
from multisi.model.model import Model
from multisi.registry.hookspecs import PROJECT


@own_state
def load(path: Any, *, network: nn.Module | None = None, device: Any = "cpu") -> Model:
    """Read a model that `Model.save` wrote; nothing in the file is executed.

    Arguments:
        path: Path of the file.
        network: The network, if the model was fitted with a module instead of a name.
        device: The device of the model; `"auto"` selects an accelerator if there is one.

    Returns:
        The model.

    Raises:
        CheckpointError: the file is missing, damaged, altered or not a model; its network is
            needed and not given, or its plugin is not installed; or the weights do not fit.
        ConfigError: `path` is not a path, or `device` cannot be used.

    Example:
        >>> import pathlib, tempfile
        >>> from multisi import GaussianMixtureMeans
        >>> one, var = torch.ones(1), torch.ones(1, 1, 1)
        >>> means = GaussianMixtureMeans([one, one], [torch.zeros(1, 1)] * 2, [var, var])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "model.safetensors")
        ...     Model(means, ["a", "b"]).save(path)
        ...     load(path)
        Model(['a', 'b'], noise=None)
    """
    tensors, description = checkpoint.read(path)
    means = checkpoint.under(tensors, "means.")
    try:
        model = Model(
            _means(description["network"], means, network),
            description["marginals"],
            description["noise"],
            standardiser=_standardiser(tensors, "units.", description["noise"] is not None),
            noise_independent=description["noise_independent"],
            event_shape=description.get("event_shape"),
            features=description.get("features"),
            conditions=_conditions(tensors, description),
            plugins=description.get("plugins", []),
            card=description.get("card"),
        )
        _compare(model.plugins)
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, MultisiError) as error:
        raise CheckpointError(
            f"The description in {str(path)!r} is not that of a model: "
            f"{type(error).__name__}: {error}. Use a copy of the file, or fit again."
        ) from error
    return model.to(device)


def _compare(plugins: Sequence[Mapping[str, str]]) -> None:
    """Warn of plugins that are installed in another version; a coupling may be missing."""
    for record in plugins:
        with contextlib.suppress(UnknownPluginError):
            here = find_plugin(record)
            if here.version != record["version"] and here.distribution != PROJECT:
                warnings.warn(
                    f"This model was fitted with the {record['kind']} {record['name']!r} of "
                    f"{record['distribution']} {record['version']}; {here.version} is installed. "
                    "If its results differ, install the version that it was fitted with.",
                    PluginWarning,
                    stacklevel=3,
                )


def _means(
    recipe: Mapping[str, Any] | None, tensors: Mapping[str, Tensor], network: nn.Module | None
) -> ConditionalMeans:
    """The conditional means of a saved model, with their weights.

    Raises:
        CheckpointError: the network is needed and not given, its plugin is not installed, or the
            weights do not fit.
    """
    if recipe is None and network is None:
        raise CheckpointError(
            "This model was fitted with a module as its network, which a file cannot hold. Create "
            "the network again and pass it: load(path, network=...)."
        )
    if network is not None:
        try:
            means = ConditionalMeans(network, dict(recipe) if recipe else None)
        except ConfigError as error:
            raise CheckpointError(f"The weights do not fit the network: {error}") from None
    elif recipe is not None and recipe["name"] == MIXTURE:
        return _mixture(tensors)
    elif recipe is not None:
        try:
            with seeds.FreshWeights():  # Their weights are replaced below.
                means = means_from(recipe)
        except (PluginError, ConfigError) as error:
            raise CheckpointError(
                f"The network of this model cannot be created: {error}"
            ) from error
    _fill(means, tensors)
    return means


def _fill(means: ConditionalMeans, tensors: Mapping[str, Tensor]) -> None:
    """Set all weights of a network from a file, with the types of the file, or none of them.

    Raises:
        CheckpointError: names or shapes differ, or a weight is not finite.
    """
    own = means.state_dict(keep_vars=True)
    wrong = [f"{name} is not in the file" for name in own if name not in tensors]
    wrong += [f"{name} is not in the network" for name in tensors if name not in own]
    wrong += [
        f"{name} has shape {tuple(own[name].shape)} here, {tuple(tensor.shape)} in the file"
        for name, tensor in tensors.items()
        if name in own and own[name].shape != tensor.shape
    ]
    if wrong:
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise CheckpointError(f"The weights do not fit the network: {'; '.join(wrong[:5])}{more}.")
    for name, weight in own.items():
        if isinstance(weight, nn.Parameter) and not torch.isfinite(tensors[name]).all():
            raise CheckpointError(
                f"The weights {name!r} have NaN or infinity, so this model cannot be used. Fit it "
                "again."
            )
    for name, weight in own.items():
        weight.data = tensors[name].to(weight.device, copy=True)


def _standardiser(tensors: Mapping[str, Tensor], prefix: str, noise: bool) -> Standardiser:
    shift, scale = tensors[f"{prefix}shift"], tensors[f"{prefix}scale"]
    return Standardiser(shift, scale, noise, constant=tensors.get(f"{prefix}constant"))


def _conditions(
    tensors: Mapping[str, Tensor], description: Mapping[str, Any]
) -> Conditions | None:
    if "condition.shift" not in tensors:
        return None
    names = description.get("condition_features")
    units = _standardiser(tensors, "condition.", noise=False)
    return Conditions(units, None if names is None else tuple(names))


def _mixture(tensors: Mapping[str, Tensor]) -> ConditionalMeans:
    count = sum(name.startswith("network.weights_") for name in tensors)
    parts = [
        [tensors[f"network.{part}_{k}"] for k in range(count)]
        for part in ("weights", "means", "covariances")
    ]
    return GaussianMixtureMeans(*parts)
