"""Labels of pictures as conditions of a model, some of them left out, so that it can be guided."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.arrays import floats
from multisi.data.marginals import Marginal
from multisi.errors import ConfigError, DataError
from multisi.field.wrapped_means import guided
from multisi.model.model import Model


def labelled(
    pictures: Any, labels: Any, *, classes: Sequence[Any] | None = None, drop: float = 0.1
) -> Marginal:
    """Pictures with their labels as conditions, for a model that is told what to show.

    One marginal of a model has conditions, as all rows of a joint draw have one. With labels in
    the others too, and a coupling within labels, that one label is the label of all.

    The condition has one entry per class. Each picture comes a second time without a label, with
    weights such that a share `drop` of all draws has none: the model then knows the law of all
    pictures too, as guidance needs.

    Arguments:
        pictures: Pictures, shape `(n, c, h, w)`.
        labels: One label per picture.
        classes: All labels, in the order of the condition; `None` for those of these pictures.
        drop: Share of draws without a label, at least 0 and less than 1.

    Raises:
        ConfigError: `drop` is outside its range, or classes come twice.
        DataError: a label is not among the classes, there is not one for each picture, or pictures
            are no finite numbers.

    Examples:
        >>> marginal = labelled(torch.rand(4, 1, 2, 2), ["a", "b", "a", "b"], drop=0.2)
        >>> marginal.condition_features, round(float(marginal.weights[4:].sum()), 3)
        (('a', 'b'), 0.2)
    """
    if not checks.number(drop, "drop") < 1:
        raise ConfigError(f"drop must be less than 1; got {drop!r}.")
    states = floats(pictures, "pictures")
    own = np.asarray(labels)
    given = own.astype(str)
    names = sorted(set(given.tolist())) if classes is None else [str(name) for name in classes]
    if len(set(names)) < len(names):
        raise ConfigError(f"classes must differ; got {names}.")
    if given.shape != (len(states),):
        raise DataError(f"There must be one label for each of {len(states)} pictures.")
    if unknown := sorted(set(given.tolist()) - set(names)):
        raise DataError(f"The label {unknown[0]!r} is not among the classes, {names}.")
    told = torch.as_tensor(given[:, None] == np.array(names)).float()
    weights = torch.tensor([1 - drop, drop]).repeat_interleave(len(states))
    if not drop:
        states, weights = states[: len(told)], weights[: len(told)]
    both = drop > 0
    marginal = Marginal(
        torch.cat([states, states]) if both else states,
        labels=np.concatenate([own, own]) if both else own,
        weights=weights if both else None,
        condition=torch.cat([told, torch.zeros_like(told)]) if both else told,
    )
    marginal.condition_features = tuple(names)
    return marginal


def condition_of(model: Model, label: Any, count: int) -> Tensor:
    """The condition of a label, or of one for each row, shape `(count, c)`.

    Raises:
        ConfigError: the model has no labels.
        DataError: it does not know a label, or there is not one for each row.
    """
    known = None if model.conditions is None else model.conditions.features
    if known is None:
        raise ConfigError(
            "This model has no labels to be told. Train it on style.labelled(pictures, labels)."
        )
    several = isinstance(label, list | tuple | np.ndarray | Tensor)
    given = [str(value) for value in np.asarray(label)] if several else [str(label)] * count
    if unknown := sorted(set(given) - set(known)):
        raise DataError(f"The model does not know the label {unknown[0]!r}; it knows {known}.")
    if len(given) != count:
        raise DataError(f"There must be one label, or one for each of {count} rows.")
    return torch.tensor([[float(name == value) for name in known] for value in given])


def led(model: Model, scale: float) -> Model:
    """The model with its conditional means led away from those without a label.

    Arguments:
        model: A model of pictures with labels.
        scale: 1 for the model itself; more for pictures that show their label more clearly.
    """
    scale = checks.number(scale, "guidance")
    if scale == 1 or model.conditions is None:
        return model
    none = model.conditions.standardise(torch.zeros(1, model.conditions.size))[0]
    found = copy.copy(model)
    found.conditional_means = guided(model.conditional_means, none, scale)
    return found
