"""Pictures of one domain as those of another."""

from typing import Any

import numpy as np
import torch
from einops import repeat
from torch import Tensor

from multisi.common import checks
from multisi.errors import ConfigError, DataError, ShapeError
from multisi.model.model import Model


def translate(
    model: Model,
    images: Any,
    source: Any,
    target: Any,
    *,
    draws: int | None = None,
    **options: Any,
) -> Any:
    """Pictures of a domain as those of another, or of a mixture of several.

    Pictures may be uint8, and may have their channels last: they come out as they went in. Which
    picture of the target becomes of which one of the source depends on the coupling of the
    training; with pairs or labels it keeps what they have in common, and without them only that
    the law is right.

    Arguments:
        model: A model of pictures.
        images: Pictures `(n, c, h, w)` or `(n, h, w, c)`, an array or a tensor; uint8 from 0 to
            255, for a model that was fitted to values in [0, 1], or floats.
        source: The domain of the pictures, a point of the simplex as for `Model.transport`.
        target: The domain that they are moved to.
        draws: Number of draws of each picture by an SDE, which needs `noise`; `None` for one.
        options: Other options of `Model.transport`, such as `steps`, `noise`, `via`, `seed` and
            `batch_size`.

    Returns:
        Pictures like `images`, with an axis of draws in front if `draws` is set.

    Raises:
        ConfigError: there are `draws` without `noise`, which would all be the same.
        DataError: the pictures are whole numbers other than uint8.
        ShapeError: the pictures have other sizes or channels than those of the model.

    Example:
        >>> import multisi
        >>> a, b = torch.rand(2, 20, 1, 4, 4).unbind()
        >>> model = multisi.fit({"a": a, "b": b}, steps=2, progress=False)
        >>> translate(model, a[:3], "a", "b").shape
        torch.Size([3, 1, 4, 4])
    """
    count = 1 if draws is None else checks.integer(draws, "draws")
    if draws is not None and not options.get("noise"):
        raise ConfigError(
            "draws need noise: a flow moves a picture to one other. Set noise=1.0, for a model "
            "with a noise marginal."
        )
    states, last = _states(images, model.event_shape)
    repeated = repeat(states, "n ... -> (r n) ...", r=count)
    moved = torch.as_tensor(model.transport(repeated, source, target, **options))
    moved = moved.movedim(1, -1) if last else moved
    found = _like(moved, images)
    return found if draws is None else found.reshape(count, len(states), *found.shape[1:])


def _states(images: Any, event: tuple[int, ...] | None) -> tuple[Tensor, bool]:
    """Pictures as states of a model, and whether their channels come last."""
    states = torch.as_tensor(np.asarray(images) if not isinstance(images, Tensor) else images)
    if states.dtype == torch.uint8:
        states = states.float() / 255
    if not states.is_floating_point():
        raise DataError(f"Pictures must be uint8 or floats; got {states.dtype}.")
    shape = tuple(states.shape[1:])
    if event is None or shape == event:
        return states, False
    if len(event) == 3 and shape == (*event[1:], event[0]):
        return states.movedim(-1, 1), True
    raise ShapeError(f"The model is of pictures {event}, (c, h, w); got the shape {shape}.")


def _like(moved: Tensor, images: Any) -> Any:
    """Pictures of the type that was given."""
    if str(getattr(images, "dtype", "")).removeprefix("torch.") == "uint8":
        moved = (255 * moved).round().clamp(0, 255).to(torch.uint8)
    return moved if isinstance(images, Tensor) else moved.cpu().numpy()
