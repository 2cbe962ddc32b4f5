"""Photographs in the palettes of each other, by one model of all their colours."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from multisi.common import checks
from multisi.data.marginals import Marginal
from multisi.errors import ConfigError, DataError
from multisi.model.model import Model
from multisi.style.colours import Array, Lattice, calmed
from multisi.training.fitting import fit

TRAINING, STEPS = 4000, 20
"""Steps of the training, and of a transport."""
_MOST, _LEAST = 2**17, 8
"""Pixels of a picture that are learned from: at most, and at least."""


class Palettes(Mapping[tuple[Any, Any], Array]):
    """Pictures in the palettes of each other: `(source, target)` to a picture.

    A picture is computed whenever it is asked for, so that few are in memory at once.

    Arguments:
        pictures: Name to picture, `(h, w, 3)`, or `(h, w, 4)` with its opacity, uint8 or floats
            in [0, 1].
        model: The model of their colours, whose marginals are the names as text.
        strength: How far colours are moved: 0 for the source as it is, 1 for the target's palette.
        grain: Whether grain and the blocks of JPEG may grow with the colours; otherwise the
            change of colours is smoothed where the source is even.
        steps: Steps of the transport.

    Raises:
        ConfigError: `strength` is not in [0, 1], or `grain` is neither True nor False.

    Examples:
        >>> source = np.random.default_rng(0)
        >>> red, blue = source.random((2, 9, 9, 3)) * [[[[1, 0.2, 0.2]]], [[[0.2, 0.2, 1]]]]
        >>> found = palette([red, blue], training=20)
        >>> found[0, 1].shape, len(found)
        ((9, 9, 3), 2)
    """

    def __init__(
        self,
        pictures: Mapping[Any, Array],
        model: Model,
        strength: float = 1.0,
        grain: bool = False,
        steps: int = STEPS,
    ) -> None:
        self.pictures, self.model, self.strength = dict(pictures), model, share(strength)
        self.grain, self.steps = checks.instance(grain, bool, "grain"), steps
        self._pairs = [(a, b) for a in self.pictures for b in self.pictures if a != b]

    def __getitem__(self, key: tuple[Any, Any]) -> Array:
        if key not in self._pairs:
            raise KeyError(f"{key!r}; known: {', '.join(map(repr, self._pairs))}")
        return self.picture(key[0], str(key[1]))

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def picture(self, source: Any, target: Any, strength: float | None = None) -> Array:
        """A picture in any palette.

        Arguments:
            source: The name of the picture.
            target: The name of another as text, weights of several as a dict, or
                `model.barycenter`.
            strength: As in the constructor, whose value is the default.

        Returns:
            The picture, with the size and the type of the source, and its opacity.

        Raises:
            ConfigError: `strength` is not in [0, 1].
        """
        whole: Array = self.pictures[source]
        part = self.strength if strength is None else share(strength)
        if part == 0:
            return np.array(whole)
        colours = whole[..., :3]
        flat = colours.reshape(-1, 3)
        lattice = Lattice(flat)
        moved = self.model.transport(lattice.corners, str(source), target, steps=self.steps)
        found = lattice.between(moved, flat)[0].reshape(colours.shape)
        before = colours.astype(np.float32) / (255 if colours.dtype == np.uint8 else 1)
        if not self.grain:
            found = calmed(before, found)
        shown = (before + part * (found - before)).clip(0, 1)
        if whole.dtype == np.uint8:
            shown = np.rint(255 * shown)
        result: Array = whole.copy()
        result[..., :3] = shown.astype(whole.dtype)
        return result


def palette(
    pictures: Mapping[Any, Array] | Sequence[Array],
    strength: float = 1.0,
    *,
    grain: bool = False,
    training: int = TRAINING,
    steps: int = STEPS,
    seed: int = 0,
    **options: Any,
) -> Palettes:
    """Learn the colours of pictures, and give each the palettes of all others.

    Only the laws of colours are exchanged: what is where stays as it is. Transparent pixels are
    not learned from.

    Arguments:
        pictures: Two pictures or more, of any sizes: a list, whose names are 0, 1, …, or a
            mapping. Each is `(h, w, 3)`, or `(h, w, 4)` with its opacity, uint8 or floats in
            [0, 1].
        strength: How far colours are moved: 0 for the source as it is, 1 for the target's palette.
        grain: Whether grain and the blocks of JPEG may grow with the colours.
        training: Training steps.
        steps: Steps of the transport.
        seed: Random seed.
        options: Other options of `multisi.fit`, such as `progress` and `device`.

    Returns:
        A mapping of `(source, target)` to a picture; its method `picture` also mixes palettes.

    Raises:
        ConfigError: there is one picture, two names are one text, or `strength` is not in [0, 1].
        DataError: a picture has another shape, type or range, or too few pixels that can be seen.

    References:
        Ferradans et al. Regularized discrete optimal transport (2013), arXiv:1307.5551.

    Examples:
        >>> source = np.random.default_rng(0)
        >>> red, blue = source.random((2, 9, 9, 3)) * [[[[1, 0.2, 0.2]]], [[[0.2, 0.2, 1]]]]
        >>> found = palette({"a": red, "b": blue}, 0.5, training=20)
        >>> mixed = found.picture("a", {"a": 0.5, "b": 0.5})
        >>> mixed.shape
        (9, 9, 3)
    """
    named = dict(pictures) if isinstance(pictures, Mapping) else dict(enumerate(pictures))
    if len(named) < 2:
        raise ConfigError(f"At least 2 pictures are needed; got {len(named)}.")
    if len({str(name) for name in named}) < len(named):
        raise ConfigError(f"Names must differ as text; got {', '.join(map(repr, named))}.")
    share(strength)
    named = {name: _checked(picture, name) for name, picture in named.items()}
    source = np.random.default_rng(seed)
    marginals = {str(name): _marginal(picture, name, source) for name, picture in named.items()}
    given = {"coupling": "ot", "batch_size": 512, "learning_rate": 2e-3, "progress": False}
    model = fit(marginals, **{**given, "steps": training, "seed": seed, **options})
    return Palettes(named, model, strength, grain, steps)


def _marginal(picture: Array, name: Any, source: np.random.Generator) -> Marginal:
    """Some of the colours that can be seen, with their opacity as weights."""
    rows = picture.reshape(-1, picture.shape[2])
    scale = 255 if picture.dtype == np.uint8 else 1
    weights = rows[:, 3] / scale if rows.shape[1] == 4 else np.ones(len(rows))
    seen = np.flatnonzero(weights > 0)
    if len(seen) < _LEAST:
        raise DataError(
            f"Picture {name!r} must have at least {_LEAST} pixels that are not transparent; got "
            f"{len(seen)}."
        )
    chosen = source.choice(seen, min(_MOST, len(seen)), replace=False)
    colours = rows[chosen, :3].astype(np.float32) / np.float32(scale)
    return Marginal(colours, weights=weights[chosen] if rows.shape[1] == 4 else None)


def _checked(picture: Any, name: Any) -> Array:
    """A picture as an array.

    Raises:
        DataError: it has another shape, type or range.
    """
    found: Array = np.asarray(picture)
    what = f"Picture {name!r} must be (h, w, 3), or (h, w, 4) with its opacity"
    if found.ndim != 3 or found.shape[2] not in (3, 4):
        raise DataError(f"{what}; got the shape {found.shape}. Repeat a grey picture three times.")
    if found.dtype != np.uint8:
        if not np.issubdtype(found.dtype, np.floating):
            raise DataError(f"{what}, uint8 or floats in [0, 1]; got {found.dtype}.")
        if not ((found >= 0) & (found <= 1)).all():
            raise DataError(f"{what}, uint8 or floats in [0, 1]; it has other values, or NaN.")
    return found


def share(strength: Any) -> float:
    """A strength, checked.

    Raises:
        ConfigError: it is not a number from 0 to 1.
    """
    found = checks.number(strength, "strength")
    if found > 1:
        raise ConfigError(f"strength must be in [0, 1]; got {strength!r}.")
    return found
