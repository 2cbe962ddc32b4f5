"""Recipes: how the means of a saved model are made again."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from multisi import registry
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
    """Means of a network; the recipe is kept if the network is given by name.

    Raises:
        UnknownPluginError: no network has this name.
        ConfigError: options that the network does not take.
    """
    if not isinstance(network, str):
        if options:
            raise ConfigError("network_options are for a network that is given by its name.")
        return ConditionalMeans(network)
    recipe = {
        **registry.installed().find("network", network).record(),
        "event_shape": list(event_shape),
        "marginals": marginals,
        "options": dict(options or {}),
    }
    return means_from(recipe)


def describe(means: ConditionalMeans) -> dict[str, Any] | None:
    """The recipe to save, or `None` for a network that was given as an object."""
    return {"name": MIXTURE} if isinstance(means, GaussianMixtureMeans) else means.recipe


def find_plugin(record: Mapping[str, Any]) -> registry.Plugin:
    """The plugin that a model notes, of the same distribution.

    Raises:
        UnknownPluginError: it is not here; with what to do about it.
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
    """Fresh means from a recipe."""
    plugin = find_plugin(recipe)
    event, marginals, options = (
        tuple(recipe["event_shape"]),
        recipe["marginals"],
        recipe["options"],
    )
    plugin.bind(event, marginals, **options)
    return ConditionalMeans(plugin.make(event, marginals, **options), dict(recipe))
