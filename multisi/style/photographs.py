"""The photographs of the demo: their names, their pixels, and what they have beside them."""

import io
import pathlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from multisi.data.marginals import Marginal
from multisi.errors import ConfigError, DataError, DataWarning
from multisi.files.formats import check_writable, read_samples, write_samples
from multisi.files.samples import Picture, Samples
from multisi.style.colours import Array

EXAMPLES = ("astronaut", "coffee", "chelsea", "rocket")
SIDE = 200
"""Pixels on the longer side of an image in the grid."""
MOST, LEAST = 2**18, 8
"""Pixels of a photograph that are learned from or held out: at most, and at least."""
_LETTERS = 40
"""Letters of a file name that are kept in the names of outputs."""


@dataclass(frozen=True)
class Photograph:
    """A photograph whose colours are learned.

    Arguments:
        pixels: The pixels from 0 to 255, shape `(n, 3)`, in the colour space of all photographs.
        picture: What the photograph has beside its pixels.
        opacity: Opacity of each pixel in [0, 1], shape `(n,)`; `None` if all are opaque.
        foreign: Whether the colour space is sRGB, unlike that of the file.
    """

    pixels: Array
    picture: Picture
    opacity: Array | None = None
    foreign: bool = False

    @property
    def profile(self) -> bytes | None:
        """The colour profile of the file; `None` without one."""
        profile: bytes | None = self.picture.kept.get("icc_profile")
        return profile

    def small(self) -> Array:
        """The photograph with at most `SIDE` pixels on a side, in [0, 1], shape `(h, w, 3)`."""
        from PIL import Image

        image = Image.fromarray(self.colours)
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        return np.asarray(image, dtype=np.float32) / 255

    @property
    def colours(self) -> Array:
        """The pixels as a picture, shape `(h, w, 3)`."""
        return self.pixels.reshape(*self.picture.size, 3)

    def halves(self, source: np.random.Generator) -> list[Array]:
        """Places of pixels to learn from, and of others to judge by, of those that can be seen."""
        count = len(self.pixels)
        seen = np.arange(count) if self.opacity is None else np.flatnonzero(self.opacity)
        chosen = source.choice(seen, min(MOST, len(seen)), replace=False)
        return np.array_split(chosen, 2)

    def marginal(self, places: Array) -> Marginal:
        """The pixels at some places, with their opacity as weights."""
        weights = None if self.opacity is None else self.opacity[places]
        return Marginal(self.pixels[places].astype(np.float32) / 255, weights=weights)

    def check(self, path: Any) -> None:
        """Check that the photograph can be written to a path, and warn of what is lost.

        Raises:
            DataError: a file cannot be written there.
            ConfigError: a package is missing.
        """
        nothing = np.broadcast_to(np.float32(0), self.pixels.shape)
        check_writable(path, Samples(nothing, picture=self.picture))

    def write(self, path: Any, colours: Array) -> None:
        """Write other colours of the pixels, in [0, 1], with all that the photograph has beside.

        Raises:
            DataError: the file cannot be written.
        """
        if self.foreign and self.profile is not None:
            pixels = np.rint(colours.clip(0, 1) * 255).astype(np.uint8)
            colours = _converted(pixels, self.profile, back=True).astype(np.float32) / 255
        write_samples(path, colours, Samples(colours, picture=self.picture))


def names(images: Sequence[Any], taken: str) -> list[str]:
    """A name for each file: that of the file, with a number if it is taken.

    Names differ by more than the case of letters, as those of files must on some systems.

    Arguments:
        images: The files.
        taken: Another name that is taken.

    Raises:
        ConfigError: there is only one.
    """
    if len(images) < 2:
        raise ConfigError(f"At least 2 images are needed; got {len(images)}.")
    stems = [pathlib.Path(image).stem[:_LETTERS] for image in images]
    found: list[str] = []
    for stem in stems:
        name, number = stem, 1
        used = {other.casefold() for other in [*found, taken]}
        while name.casefold() in used:
            number += 1
            name = f"{stem}-{number}"
        found.append(name)
    return found


def examples() -> list[Photograph]:
    """The photographs of scikit-image."""
    from skimage import data

    found = [np.ascontiguousarray(getattr(data, name)()[..., :3]) for name in EXAMPLES]
    return [Photograph(image.reshape(-1, 3), Picture(image.shape[:2])) for image in found]


def read(images: Sequence[Any]) -> list[Photograph]:
    """The photographs of some files, in one colour space.

    Raises:
        DataError: a file cannot be read, is no image, or has too few pixels that can be seen.
    """
    found = [_read(image) for image in images]
    if len({photograph.profile for photograph in found}) < 2:
        return found
    return [
        photograph if photograph.profile is None else _in_srgb(image, photograph)
        for image, photograph in zip(images, found, strict=True)
    ]


def _read(image: Any) -> Photograph:
    samples = read_samples(image)
    if samples.picture is None:
        raise DataError(f"{str(image)!r} is not an image.")
    opacity = samples.weights
    opaque = opacity is None or bool(opacity.min() == 1)
    seen = len(samples.rows) if opacity is None else np.count_nonzero(opacity)
    if seen < LEAST:
        raise DataError(
            f"{str(image)!r} must have at least {LEAST} pixels that are not transparent; "
            f"got {seen}."
        )
    pixels = np.rint(samples.rows * 255).astype(np.uint8)
    return Photograph(pixels, samples.picture, None if opaque else opacity)


def _in_srgb(image: Any, photograph: Photograph) -> Photograph:
    from PIL import ImageCms

    try:
        pixels = _converted(photograph.pixels, photograph.profile, back=False)
    except (ImageCms.PyCMSError, OSError) as error:
        warnings.warn(
            f"{str(image)!r}: its colour profile cannot be used, and its colours are taken as "
            f"sRGB: {error}.",
            DataWarning,
            stacklevel=2,
        )
        return photograph
    return replace(photograph, pixels=pixels, foreign=True)


def _converted(pixels: Array, profile: bytes | None, back: bool) -> Array:
    """Pixels `(n, 3)` from the space of a profile in sRGB, or back."""
    from PIL import Image, ImageCms

    own = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    image = Image.fromarray(pixels[None])
    one, other = (srgb, own) if back else (own, srgb)
    ImageCms.profileToProfile(image, one, other, inPlace=True)
    converted: Array = np.asarray(image)[0]
    return converted
