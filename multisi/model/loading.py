"""`load`: read a model from a file."""

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from multisi.common import seeds
from multisi.common.compiled import plain_name
from multisi.common.printable import printable, told
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
from multisi.model.bounded import Bounded
from multisi.model.description import FLOATS, check
from multisi.model.model import Model
from multisi.paths import Learned
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

    Examples:
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
    check(path, tensors, description)
    weights = checkpoint.under(tensors, "means.")
    try:
        model = Model(
            _means(description, weights, network),
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
        for source, target, learned in description.get("paths", []):
            model.keep(source, target, Learned(**learned))
        _compare(model.plugins)
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, MultisiError) as error:
        raise CheckpointError(
            f"The description in {str(path)!r} is not that of a model: {told(error)}. Use a copy "
            "of the file, or fit again."
        ) from error
    return model.to(device)


def _compare(plugins: Sequence[Mapping[str, str]]) -> None:
    """Warn of plugins that are installed in another version; a coupling may be missing."""
    for record in plugins:
        with contextlib.suppress(UnknownPluginError):
            here = find_plugin(record)
            if here.version != record["version"] and here.distribution != PROJECT:
                warnings.warn(
                    printable(
                        f"This model was fitted with the {record['kind']} {record['name']!r} of "
                        f"{record['distribution']} {record['version']}; {here.version} is "
                        "installed. If its results differ, install the version that it was "
                        "fitted with."
                    ),
                    PluginWarning,
                    stacklevel=3,
                )


def _means(
    description: Mapping[str, Any], weights: dict[str, Tensor], network: nn.Module | None
) -> ConditionalMeans:
    """The conditional means of a saved model, with their weights.

    Raises:
        CheckpointError: the network is needed and not given, its plugin is not installed, or the
            weights do not fit.
    """
    recipe = description["network"]
    if network is not None:
        try:
            means = ConditionalMeans(network, dict(recipe) if recipe else None)
        except ConfigError as error:
            raise CheckpointError(f"The weights do not fit the network: {error}") from None
        _check_fit(means, weights)
    elif recipe is None:
        raise CheckpointError(
            "This model was fitted with a module as its network, which a file cannot hold. Create "
            "the network again and pass it: load(path, network=...)."
        )
    elif recipe["name"] == MIXTURE:
        return _mixture(weights, len(description["marginals"]), description.get("event_shape"))
    else:
        means = _made(recipe, weights)
    for name, weight in means.state_dict(keep_vars=True).items():
        weight.data = weights[plain_name(name)].to(weight.device, copy=True)
    return means


def _made(recipe: Mapping[str, Any], weights: dict[str, Tensor]) -> ConditionalMeans:
    """The network of a recipe, which is compared with the weights before it takes memory.

    Raises:
        CheckpointError: it cannot be made, or is not that of the weights.
    """
    try:
        try:
            with Bounded(weights), torch.device("meta"):
                _check_fit(means_from(recipe), weights)
        except (UnknownPluginError, CheckpointError):
            raise
        except PluginError:  # Some networks compute with their weights as they are made.
            with Bounded(weights), seeds.FreshWeights():
                means = means_from(recipe)
            _check_fit(means, weights)
            return means
        with seeds.FreshWeights():  # Their weights are replaced.
            return means_from(recipe)
    except (PluginError, ConfigError) as error:
        raise CheckpointError(
            f"The network of this model cannot be created: {printable(str(error))}"
        ) from error


def _check_fit(means: ConditionalMeans, weights: Mapping[str, Tensor]) -> None:
    """Check that weights of a file are those of a network, before any of them is set.

    Raises:
        CheckpointError: names, shapes or types differ, or a weight is not finite.
    """
    own = {plain_name(name): t for name, t in means.state_dict(keep_vars=True).items()}
    wrong = [f"{name} is not in the file" for name in own if name not in weights]
    wrong += [f"{name} is not in the network" for name in weights if name not in own]
    wrong += [
        f"{name} has shape {tuple(own[name].shape)} here, {tuple(tensor.shape)} in the file"
        for name, tensor in weights.items()
        if name in own and own[name].shape != tensor.shape
    ]
    if wrong:
        shown = "; ".join(printable(one, 200) for one in wrong[:5])
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise CheckpointError(f"The weights do not fit the network: {shown}{more}.")
    types: dict[torch.dtype, torch.dtype] = {}
    for name, tensor in own.items():
        kind = weights[name].dtype
        if tensor.is_floating_point():
            right = kind in FLOATS and types.setdefault(tensor.dtype, kind) == kind
        else:
            right = kind == tensor.dtype
        if not right:
            raise CheckpointError(
                f"The weights do not fit the network: {printable(repr(name))} has type {kind}. "
                "Weights of one type in the network must have one type in the file, "
                "floating point if the network's are."
            )
        if isinstance(tensor, nn.Parameter) and not torch.isfinite(weights[name]).all():
            raise CheckpointError(
                f"The weights {name!r} have NaN or infinity, so this model cannot be used. Fit it "
                "again."
            )


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


def _mixture(
    weights: Mapping[str, Tensor], marginals: int, event_shape: list[int] | None
) -> ConditionalMeans:
    """The closed form of as many mixtures as there are marginals.

    Raises:
        CheckpointError: a tensor is missing, there are others, or their shape is another one.
    """
    three = ("weights", "means", "covariances")
    if len(weights) == 3 * marginals:
        with contextlib.suppress(KeyError):
            parts = [[weights[f"network.{part}_{k}"] for k in range(marginals)] for part in three]
            shapes = [list(means.shape[1:]) for means in parts[1]]
            if event_shape is not None and any(shape != event_shape for shape in shapes):
                raise CheckpointError(
                    f"The mixtures have samples of shape {shapes[0]}, the model {event_shape}."
                )
            if all(tensor.dtype in FLOATS for part in parts for tensor in part):
                return GaussianMixtureMeans(*parts)
    raise CheckpointError(
        f"The file must have the {', '.join(three)} of {marginals} mixtures, {3 * marginals} "
        f"tensors of floats; got {len(weights)} tensors, of other names, types or number."
    )
