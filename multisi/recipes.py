"""Recipes: how the means of a saved model are made again."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from multisi import registry
from multisi.errors import ConfigError
from multisi.means import ConditionalMeans
from multisi.mixture import GaussianMixtureMeans

MIXTURE = "gaussian-mixture"


def make(
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
    plugin = registry.installed().find("network", network)
    recipe = {
        "name": network,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "event_shape": list(event_shape),
        "marginals": marginals,
        "options": dict(options or {}),
    }
    return follow(recipe)


def describe(means: ConditionalMeans) -> dict[str, Any] | None:
    """The recipe to save, or `None` for a network that was given as an object."""
    return {"name": MIXTURE} if isinstance(means, GaussianMixtureMeans) else means.recipe


def follow(recipe: Mapping[str, Any]) -> ConditionalMeans:
    """Fresh means from a recipe."""
    factory = registry.installed().find("network", recipe["name"]).load()
    event, marginals, options = (
        tuple(recipe["event_shape"]),
        recipe["marginals"],
        recipe["options"],
    )
    try:
        inspect.signature(factory).bind(event, marginals, **options)
    except TypeError as error:
        raise ConfigError(f"network {recipe['name']!r}: {error}.") from None
    return ConditionalMeans(factory(event, marginals, **options), dict(recipe))
