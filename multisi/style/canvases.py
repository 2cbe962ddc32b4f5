"""Pictures of pictures: all directions as a matrix, mixtures of three domains as a triangle."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.arrays import floats
from multisi.errors import ConfigError, ShapeError
from multisi.model.model import Model
from multisi.style.translation import Codec, moved_by

Array = np.ndarray[Any, Any]
_GAP = 2
"""Pixels between two pictures."""


def matrix(
    model: Model, images: Mapping[str, Any], *, codec: Codec | None = None, **options: Any
) -> Array:
    """One picture of each domain as those of all others: rows are sources, columns are targets.

    Arguments:
        model: A model of pictures.
        images: Name of each domain to one picture `(c, h, w)`, in [0, 1].
        codec: Encodes pictures before they are moved, and decodes them after.
        options: Options of `Model.transport`, such as `steps` and `via`.

    Returns:
        A picture with the originals on its diagonal, uint8, shape `(height, width, 3)`.

    Raises:
        ConfigError: there are fewer than two domains.
        DataError: a picture is no array of finite numbers.
        ShapeError: a picture has another shape than those of the model.

    Examples:
        >>> import multisi
        >>> a, b = torch.rand(2, 20, 1, 4, 4).unbind()
        >>> model = multisi.fit({"a": a, "b": b}, steps=2, progress=False)
        >>> matrix(model, {"a": a[0], "b": b[0]}).shape
        (14, 14, 3)
    """
    if len(images) < 2:
        raise ConfigError(f"A matrix needs 2 domains or more; got {len(images)}.")
    move = moved_by(model, codec)
    tiles = {(name, name): _one(image, model, codec) for name, image in images.items()}
    for source, target in itertools.permutations(images, 2):
        x = tiles[source, source][None]
        tiles[source, target] = move(x, source, target, **options)[0]
    height, width = (side + _GAP for side in tiles[next(iter(tiles))].shape[1:])
    places = {name: i for i, name in enumerate(images)}
    return _canvas(
        [(tile, places[a] * height, places[b] * width) for (a, b), tile in tiles.items()]
    )


def triangle(
    model: Model,
    image: Any,
    source: str,
    corners: Sequence[str] | None = None,
    *,
    rows: int = 6,
    codec: Codec | None = None,
    **options: Any,
) -> Array:
    """One picture as all mixtures of three domains, at the places of a triangle.

    Arguments:
        model: A model of pictures.
        image: A picture `(c, h, w)` of the source, in [0, 1].
        source: The domain of the picture.
        corners: The domains at the corners, from the top, then left and right; `None` for the
            first three of the model.
        rows: Rows of the triangle.
        codec: Encodes the picture before it is moved, and decodes it after.
        options: Options of `Model.transport`, such as `steps`.

    Returns:
        A picture of the triangle, uint8, shape `(height, width, 3)`.

    Raises:
        ConfigError: there are not three different corners, or fewer than two rows.
        DataError: the picture is no array of finite numbers.
        ShapeError: the picture has another shape than those of the model.

    Examples:
        >>> import multisi
        >>> a, b, c = torch.rand(3, 20, 1, 4, 4).unbind()
        >>> model = multisi.fit({"a": a, "b": b, "c": c}, steps=2, progress=False)
        >>> triangle(model, a[0], "a", rows=3).shape
        (20, 20, 3)
    """
    rows = checks.integer(rows, "rows", least=2)
    names = [name for name in model.marginals if name != model.noise]
    chosen = names[:3] if corners is None else checks.several(corners, "corners")
    if len(chosen) != 3 or len(set(chosen)) < 3:
        raise ConfigError(f"A triangle has three different corners; got {chosen}.")
    x, last, tiles = _one(image, model, codec), rows - 1, []
    height, width = (side + _GAP for side in x.shape[1:])
    for row in range(rows):
        for place in range(row + 1):
            shares = (1 - row / last, (row - place) / last, place / last)
            target = {n: share for n, share in zip(chosen, shares, strict=True) if share > 0}
            tile = moved_by(model, codec)(x[None], source, target, **options)[0]
            tiles.append((tile, row * height, (last - row) * width // 2 + place * width))
    return _canvas(tiles)


def _one(image: Any, model: Model, codec: Codec | None) -> Tensor:
    """A picture as a state of a model, or what a codec makes one of."""
    x = floats(image, "A picture").float()
    event = model.event_shape if codec is None else None
    if x.ndim != 3 or x.shape[0] not in (1, 3) or tuple(x.shape) != (event or x.shape):
        raise ShapeError(
            f"A picture must have the shape of those of the model, {event or '(c, h, w)'}, with "
            f"1 or 3 channels; got {tuple(x.shape)}."
        )
    return x


def _canvas(tiles: Sequence[tuple[Tensor, int, int]]) -> Array:
    """Pictures at some places, top and left, on a white page."""
    _, height, width = tiles[0][0].shape
    bottom, right = max(top for _, top, _ in tiles), max(left for *_, left in tiles)
    page = np.full((bottom + height + 2 * _GAP, right + width + 2 * _GAP, 3), 255, np.uint8)
    for tile, top, left in tiles:
        pixels = (255 * tile.cpu()).round().clamp(0, 255).to(torch.uint8).movedim(0, -1)
        page[top + _GAP : top + _GAP + height, left + _GAP : left + _GAP + width] = pixels
    return page
