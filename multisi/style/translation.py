"""Pictures of one domain as those of another."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from einops import repeat
from torch import Tensor

from multisi.common import checks, seeds
from multisi.common.arrays import floats
from multisi.errors import ConfigError, DataError, ShapeError
from multisi.model.model import Model
from multisi.style.labels import condition_of, led


class Codec(Protocol):
    """A pair of maps between pictures and their codes, such as those of an autoencoder.

    Examples:
        >>> class Flat:
        ...     def encode(self, pictures):
        ...         return pictures.flatten(1)
        ...
        ...     def decode(self, codes):
        ...         return codes.reshape(-1, 1, 4, 4)
        >>> codec: Codec = Flat()
        >>> codec.decode(codec.encode(torch.zeros(2, 1, 4, 4))).shape
        torch.Size([2, 1, 4, 4])
    """

    def encode(self, pictures: Tensor, /) -> Tensor:
        """The codes of pictures, shape `(n, *event)`.

        Arguments:
            pictures: Pictures, shape `(n, c, h, w)`.
        """

    def decode(self, codes: Tensor, /) -> Tensor:
        """The pictures of codes, shape `(n, c, h, w)`.

        Arguments:
            codes: Codes, shape `(n, *event)`.
        """


def translate(
    model: Model,
    images: Any,
    source: Any,
    target: Any,
    *,
    draws: int | None = None,
    sigma: float = 0.0,
    told: bool = False,
    label: Any = None,
    guidance: float = 1.0,
    codec: "Codec | None" = None,
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
        draws: Number of draws of each picture, by an SDE, which needs `noise`, or from `sigma`;
            `None` for one.
        sigma: Standard deviation of noise that is added to the pictures first, in data units: that
            of a data-dependent coupling, for restoration.
        told: Whether the network is told the pictures, as by that coupling with `told`.
        label: What the pictures show, or a list with one label for each, for a model of
            `labelled` pictures.
        guidance: How clearly pictures show their label; 1 for the law of the model, more for
            pictures that are less like others, and no longer of that law.
        codec: Encodes pictures before they are moved, and decodes them after: the model is then
            one of their codes. Pictures must have their channels first.
        options: Other options of `Model.transport`, such as `steps`, `noise`, `via`, `seed` and
            `batch_size`.

    Returns:
        Pictures like `images`, with an axis of draws in front if `draws` is set.

    Raises:
        ConfigError: there are `draws` without `noise` or `sigma`, which would all be the same; or
            a label or guidance for a model without labels.
        DataError: the pictures are whole numbers other than uint8, the model does not know a
            label, or a codec does not return finite numbers.
        ShapeError: the pictures have other sizes or channels than those of the model.

    References:
        Ho, Salimans. Classifier-free diffusion guidance (2022), arXiv:2207.12598.
        Albergo, Goldstein, Boffi, Ranganath, Vanden-Eijnden. Stochastic interpolants with
        data-dependent couplings (2023), arXiv:2310.03725.

    Examples:
        >>> import multisi
        >>> a, b = torch.rand(2, 20, 1, 4, 4).unbind()
        >>> model = multisi.fit({"a": a, "b": b}, steps=2, progress=False)
        >>> translate(model, a[:3], "a", "b").shape
        torch.Size([3, 1, 4, 4])
    """
    count = 1 if draws is None else checks.integer(draws, "draws")
    sigma = checks.number(sigma, "sigma")
    if draws is not None and not options.get("noise") and not sigma:
        raise ConfigError(
            "draws need noise: a flow moves a picture to one other. Set noise=1.0, for a model "
            "with a noise marginal, or sigma, for one of a data-dependent coupling."
        )
    if guidance != 1 and label is None:
        raise ConfigError("guidance leads towards a label. Set label.")
    states, last = _states(images, model.event_shape if codec is None else None)
    states = repeat(states, "n ... -> (r n) ...", r=count)
    if checks.instance(told, bool, "told"):
        options["condition"] = states.flatten(1)
    if sigma:
        states = states + sigma * _noise(states, options.get("seed", 0))
    if label is not None:
        shown = condition_of(model, label, len(states) // count)
        options["condition"] = repeat(shown, "n c -> (r n) c", r=count)
    moved = moved_by(led(model, guidance), codec)(states, source, target, **options)
    moved = moved.movedim(1, -1) if last else moved
    found = _like(moved, images)
    return found if draws is None else found.reshape(count, -1, *found.shape[1:])


def moved_by(model: Model, codec: "Codec | None" = None) -> Callable[..., Tensor]:
    """A function that moves states by a model, or pictures by a model of their codes.

    Raises:
        ConfigError: the codec lacks a method.
    """
    if codec is not None and not (hasattr(codec, "encode") and hasattr(codec, "decode")):
        raise ConfigError(f"A codec has the methods encode and decode; got {codec!r}.")

    def move(x: Tensor, source: Any, target: Any, **options: Any) -> Tensor:
        if codec is None:
            return torch.as_tensor(model.transport(x, source, target, **options))
        with torch.no_grad():
            codes = floats(codec.encode(x), "What the codec encodes")
            moved = torch.as_tensor(model.transport(codes, source, target, **options))
            found = floats(codec.decode(moved), "What the codec decodes").to(x)
        if len(found) != len(x):
            raise ShapeError(f"A codec must keep the number of rows, {len(x)}; got {len(found)}.")
        return found

    return move


def _noise(states: Tensor, seed: Any) -> Tensor:
    source = seeds.generator(seeds.check(seed), 6)
    return torch.randn(states.shape, generator=source, dtype=torch.float32).to(states)


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
