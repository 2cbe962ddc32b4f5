"""The shape of one sample and the names of its features, where a model knows them."""

import math
from collections.abc import Sequence

from multisi.common import checks
from multisi.common.features import check_features
from multisi.data.standardiser import Standardiser
from multisi.errors import ConfigError, ShapeError
from multisi.field.conditional_means import ConditionalMeans


def event_shape_of(
    given: Sequence[int] | None, means: ConditionalMeans, standardiser: Standardiser
) -> tuple[int, ...] | None:
    """The shape of one sample: as given, or that of the network or of the standardiser."""
    if given is not None:
        return tuple(checks.integer(size, "event_shape") for size in given)
    recipe = means.recipe or {}
    known = recipe.get("event_shape", getattr(means.network, "event_shape", None))
    if known is None and standardiser.shift.ndim == 1:
        known = standardiser.shift.shape
    return None if known is None else tuple(known)


def features_of(
    names: Sequence[str] | None, event_shape: tuple[int, ...] | None
) -> tuple[str, ...] | None:
    """The names of the features, checked.

    Raises:
        ConfigError: samples are not vectors.
        DataError: a name is repeated, or there are too few or too many.
    """
    if names is None:
        return None
    names = checks.several(names, "features")
    if event_shape is not None and len(event_shape) != 1:
        raise ConfigError(
            f"features are for samples that are vectors; got event_shape={event_shape}."
        )
    return check_features(names, event_shape[0] if event_shape else len(names), "features")


def check_shape(shape: tuple[int, ...], event: tuple[int, ...] | None, what: str) -> None:
    """Check the shape of rows.

    Raises:
        ShapeError: it is not that of the samples of the model.
    """
    if event is None or shape[1:] == event:
        return
    hint = ""
    if sorted(shape[1:]) == sorted(event):
        hint = " The axes are in another order: use numpy.moveaxis."
    elif math.prod(shape[1:]) == math.prod(event):
        hint = " Reshape it."
    raise ShapeError(
        f"{what} must have shape {('b', *event)}".replace("'", "") + f"; got {shape}.{hint}"
    )
