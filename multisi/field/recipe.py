"""Recipes: how to create the conditional means of a saved model."""

import json
from collections.abc import Mapping
from typing import Any

from torch import nn

from multisi import registry
from multisi.common.printable import shown, told
from multisi.errors import ConfigError, UnknownPluginError
from multisi.field.conditional_means import ConditionalMeans
from multisi.field.gaussian_mixture import GaussianMixtureMeans

MIXTURE = "gaussian-mixture"


def means_of(
    network: str | nn.Module,
    options: Mapping[str, Any] | None,
    event_shape: tuple[int, ...],
    marginals: int,
) -> ConditionalMeans:
    """Conditional means of a network; the recipe is kept if the network is given by name.

    Raises:
        UnknownPluginError: no network has this name.
        ConfigError: the network does not take these options, or is not given by name and there
            are options.
    """
    if not isinstance(network, str):
        if options:
            raise ConfigError(
                "network_options need a network that is given by name; got an object of type "
                f"{type(network).__name__}. Pass the options to the network itself."
            )
        return ConditionalMeans(network)
    recipe = {
        **registry.installed().find("network", network).record(),
        "event_shape": list(event_shape),
        "marginals": marginals,
        "options": _plain(dict(options or {})),
    }
    means = means_from(recipe)  # First, since a network says best what is wrong with an option.
    for name, value in recipe["options"].items():
        _check_held(value, name)
    return means


def _plain(value: Any) -> Any:
    """Numbers of numpy as those of Python, arrays and tuples as lists, as a file will hold them.

    So the network is the same when it is loaded.
    """
    if hasattr(value, "tolist") and not isinstance(value, type):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _check_held(value: Any, name: str) -> None:
    """Check that a file can hold an option, so that it comes back as it is.

    Raises:
        ConfigError: it cannot.
    """
    try:
        back = json.loads(json.dumps(value, allow_nan=False))
        reason = "" if back == value else f"{shown(value)} would come back as {shown(back)}"
    except (TypeError, ValueError, RecursionError) as error:
        reason = told(error)
    if reason:
        raise ConfigError(
            f"network_options: {name!r} must be a value that a model file can hold, of numbers, "
            f"texts, lists and dicts: {reason}. Pass the network itself for other options."
        )


def describe(means: ConditionalMeans) -> dict[str, Any] | None:
    """The recipe to save, or `None` for a network that was given as an object."""
    return {"name": MIXTURE} if isinstance(means, GaussianMixtureMeans) else means.recipe


def find_plugin(record: Mapping[str, Any]) -> registry.Plugin:
    """The plugin that a saved model names, from the same distribution.

    Raises:
        UnknownPluginError: the plugin is missing; the message says how to install it.
    """
    name, distribution, version = (record[key] for key in ("name", "distribution", "version"))
    kind = record.get("kind", "network")
    try:
        return registry.installed().find(kind, f"{distribution}:{name}")
    except UnknownPluginError as error:
        remedy = f"pip install {distribution}=={version}"
        if distribution == registry.HERE:
            remedy = f"multisi.register({kind!r}, {name!r}, <its class>)"
        raise UnknownPluginError(
            f"{error} The {kind} {name!r} of {distribution} {version} is needed: {remedy}"
        ) from error


def means_from(recipe: Mapping[str, Any]) -> ConditionalMeans:
    """Conditional means from a recipe, with new weights."""
    plugin = find_plugin(recipe)
    event, marginals, options = (
        tuple(recipe["event_shape"]),
        recipe["marginals"],
        recipe["options"],
    )
    plugin.bind(event, marginals, **options)
    return ConditionalMeans(plugin.make(event, marginals, **options), dict(recipe))
