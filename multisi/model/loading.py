"""`load`: from a file to a model."""

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from multisi.common import seeds
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


def load(path: Any, *, network: nn.Module | None = None, device: Any = "cpu") -> Model:
    """Read a model that `Model.save` wrote; nothing in the file is executed.

    Arguments:
        path: The file.
        network: The network, if the model was fitted with one of your own.
        device: Where the model shall compute; `"auto"` takes an accelerator where there is one.

    Raises:
        CheckpointError: a missing, foreign, damaged or altered file; a network that is not here.
    """
    tensors, description = checkpoint.read(path)
    means = checkpoint.under(tensors, "means.")
    try:
        model = Model(
            _means(description["network"], means, network),
            description["marginals"],
            description["noise"],
            standardiser=Standardiser(
                tensors["units.shift"],
                tensors["units.scale"],
                noise=description["noise"] is not None,
            ),
            noise_independent=description["noise_independent"],
            plugins=description.get("plugins", []),
            card=description.get("card"),
        )
        _compare(model.plugins)
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, MultisiError) as error:
        raise CheckpointError(
            f"The description in {str(path)!r} is not that of a model: "
            f"{type(error).__name__}: {error}."
        ) from error
    return model.to(device)


def _compare(plugins: Sequence[Mapping[str, str]]) -> None:
    """Warn of plugins that are here in another version; couplings may be gone altogether."""
    for record in plugins:
        with contextlib.suppress(UnknownPluginError):
            here = find_plugin(record)
            if here.version != record["version"] and here.distribution != PROJECT:
                warnings.warn(
                    f"This model was made with the {record['kind']} {record['name']!r} of "
                    f"{record['distribution']} {record['version']}; {here.version} is installed. "
                    "If it does otherwise now, install the version that it was made with.",
                    PluginWarning,
                    stacklevel=3,
                )


def _means(
    recipe: Mapping[str, Any] | None, tensors: Mapping[str, Tensor], network: nn.Module | None
) -> ConditionalMeans:
    """The means of a saved model, with their weights.

    Raises:
        CheckpointError: the network is needed and was not given, its plugin is not installed, or
            the weights do not fit.
    """
    if recipe is None and network is None:
        raise CheckpointError(
            "This model was fitted with a network of your own, which a file cannot hold. Make the "
            "network again and pass it: load(path, network=...)."
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
            with seeds.FreshWeights():  # which those of the file replace
                means = means_from(recipe)
        except (PluginError, ConfigError) as error:
            raise CheckpointError(f"This model cannot be made again: {error}") from error
    _fill(means, tensors)
    return means


def _fill(means: ConditionalMeans, tensors: Mapping[str, Tensor]) -> None:
    """Give a network the weights of a file in their own type, all of them or none.

    Raises:
        CheckpointError: names or shapes differ, or weights are not finite.
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
                f"The weights {name!r} have NaN or infinity: this model cannot be used."
            )
    for name, weight in own.items():
        weight.data = tensors[name].to(weight.device, copy=True)


def _mixture(tensors: Mapping[str, Tensor]) -> ConditionalMeans:
    count = sum(name.startswith("network.weights_") for name in tensors)
    parts = [
        [tensors[f"network.{part}_{k}"] for k in range(count)]
        for part in ("weights", "means", "covariances")
    ]
    return GaussianMixtureMeans(*parts)
