"""Pictures: the colours of the pixels are the samples; what a picture has beside them is kept."""

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from multisi.errors import ConfigError, DataError, DataWarning
from multisi.files.numpy_file import check_size
from multisi.files.regular import open_regular
from multisi.files.samples import Array, Picture, Reading, Samples

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")
_PLAIN = Reading()
_OPAQUE = ("BMP", "JPEG")
"""Formats without an alpha band."""
_HELD = {
    "icc_profile": ("PNG", "JPEG", "TIFF", "WEBP"),
    "exif": ("PNG", "JPEG", "TIFF", "WEBP"),
    "dpi": ("PNG", "JPEG", "TIFF", "BMP"),
}
"""What is kept, and the formats that can hold it."""
SAID = {"icc_profile": "its colour profile", "exif": "its EXIF data", "dpi": "its resolution"}
_TECHNICAL = {
    *("adobe", "adobe_transform", "aspect", "background", "bbox", "compression", "default_image"),
    *("duration", "interlace", "jfif", "jfif_density", "jfif_unit", "jfif_version", "loop"),
    *("mp", "mpoffset", "progression", "progressive", "resolution", "srgb", "timestamp"),
    *("transparency", *_HELD),
}
"""Entries of a picture that are used, or say only how it was stored."""
_DESCRIBING = (270, 271, 272, 305, 306, 315, 33432, 34665, 34853)
"""Tags of a TIFF file that say what it shows, not how it is stored: the camera, the author, …"""
_STRUCTURAL = {*range(254, 270), 273, 274, *range(277, 285), 292, 293, 296, 297, 317, 320} | {
    *range(322, 326), 330, 338, 339, 347, *range(529, 533), 34675, 700, 34377, 33723
}  # fmt: skip


def read(path: Any, how: Reading) -> Samples:
    """The pixels of a picture in [0, 1], with its alpha as weights.

    Raises:
        DataError: the file is damaged or too large, has several pages, or has no 8-bit colours.
        ImportError: Pillow is not installed.
    """
    pixels, kept, lost = _pixels(path, how)
    colours = pixels[..., :3].reshape(-1, 3).astype(np.float32)
    colours /= 255
    alpha = pixels[..., 3].copy() if pixels.shape[2] == 4 else None
    weights = None if alpha is None else alpha.reshape(-1) / np.float32(255)
    return Samples(colours, weights=weights, picture=Picture(pixels.shape[:2], alpha, kept, lost))


def _pixels(path: Any, how: Reading) -> tuple[Array, dict[str, Any], tuple[str, ...]]:
    """The pixels, shape `(height, width, 3 or 4)`, what is kept, and the names of what is lost."""
    from PIL import Image, ImageOps

    with alone(Image), opened(path, how) as image:
        image.load()
        lost = _lost(image)
        ImageOps.exif_transpose(image, in_place=True)  # Cameras may store a rotation as a tag.
        mode = "RGBA" if image.has_transparency_data else "RGB"
        plain = image if image.mode == mode else image.convert(mode)
        return np.asarray(plain), _kept(image), lost


@contextlib.contextmanager
def opened(path: Any, how: Reading = _PLAIN) -> Iterator[Any]:
    """A picture of Pillow that is not decoded yet, once it is known to be one that can be used.

    Arguments:
        path: The file.
        how: The bound of what it may expand to.

    Raises:
        DataError: the file is damaged or too large, has several pages, or has no 8-bit colours.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        with _opened(path, file) as image:
            bands = len(image.getbands()) if image.mode in _MODES else 4
            check_size(path, 4 * max(bands, 3) * image.width * image.height, size, how)
            _check(path, image, file)
            yield image


def _opened(path: Any, opened: Any) -> Any:
    from PIL import Image, UnidentifiedImageError

    kinds = sorted(set(FORMATS.values()))
    try:
        return Image.open(opened, formats=kinds)
    except UnidentifiedImageError:
        raise DataError(
            f"{str(path)!r} cannot be read: it is damaged, or none of {', '.join(kinds)}."
        ) from None


@contextlib.contextmanager
def alone(image: Any) -> Iterator[None]:
    """Without the bound of Pillow, which is one for all files, and what its decoders print."""
    log = logging.getLogger("PIL.TiffImagePlugin")
    bound, image.MAX_IMAGE_PIXELS = image.MAX_IMAGE_PIXELS, None
    disabled, log.disabled = log.disabled, True
    try:
        with _unheard():
            yield
    finally:
        image.MAX_IMAGE_PIXELS, log.disabled = bound, disabled


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Without the standard error of C, where libtiff prints what Pillow raises as an error."""
    try:
        heard = os.dup(2)
    except OSError:  # The process started with it closed.
        yield
        return
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)
        os.close(nothing)
        yield
    finally:
        os.dup2(heard, 2)
        os.close(heard)


def _check(path: Any, image: Any, opened: Any) -> None:
    pages = getattr(image, "n_frames", 1)
    if pages > 1 and image.format == "MPO":
        warnings.warn(
            f"{str(path)!r}: only the main one of its {pages} pictures is used.",
            DataWarning,
            stacklevel=2,
        )
    elif pages > 1:
        raise DataError(
            f"{str(path)!r} has {pages} pages or frames; a picture has one. Save each in a file."
        )
    depth = _depth(image, opened)
    if image.mode not in _MODES or depth > 8:
        found = f"mode {image.mode}" + (f" of {depth} bits per channel" if depth > 8 else "")
        raise DataError(
            f"{str(path)!r}: pictures must be RGB, grey or of a palette, with 8 bits per channel; "
            f"got {found}. Convert it, or save its numbers as .npy."
        )


def _depth(image: Any, opened: Any) -> int:
    """Bits per channel in the file; Pillow cuts 16 bits to 8 without a word."""
    if image.format == "PNG":
        place = opened.tell()
        opened.seek(24)
        depth: int = opened.read(1)[0]
        opened.seek(place)
        return depth
    if image.format == "TIFF":
        return int(np.max(image.tag_v2.get(258, 8)))
    return 8


def _kept(image: Any) -> dict[str, Any]:
    """What is written again, by the names of Pillow."""
    from PIL import Image

    exif = image.getexif()
    if image.format == "TIFF":
        describing = Image.Exif()
        for tag in _DESCRIBING:
            if tag in exif:
                nested = tag in (34665, 34853)
                describing[tag] = dict(exif.get_ifd(tag)) if nested else exif[tag]
        exif = describing
    kept = {name: image.info[name] for name in ("icc_profile", "dpi") if image.info.get(name)}
    if _of_other_colours(image):
        del kept["icc_profile"]
    return kept | ({"exif": exif.tobytes()} if len(exif) else {})


def _of_other_colours(image: Any) -> bool:
    """Whether the colour profile is none of RGB, and so wrong for the colours that are written."""
    profile: bytes = image.info.get("icc_profile") or b""
    return profile[16:20] in (b"GRAY", b"CMYK", b"Lab ")


def _lost(image: Any) -> tuple[str, ...]:
    """The names of what a picture holds and nobody writes again."""
    names = {name for name in image.info if isinstance(name, str)} - _TECHNICAL
    names |= {"the profile of other colours"} if _of_other_colours(image) else set()
    if image.format == "TIFF":
        tags = set(image.tag_v2) - _STRUCTURAL - {*_DESCRIBING}
        names |= {f"tag {tag}" for tag in tags}
    return tuple(sorted(names))


def check(path: Any, like: Samples, suffix: str) -> None:
    """Check, before any work, that pixels like these can be written, and warn of what is lost.

    Raises:
        ConfigError: the samples are no picture, or the format cannot hold its alpha band.
    """
    if like.picture is None:
        raise ConfigError(
            f"{str(path)!r}: only samples from an image can be written as an image. Write .npy."
        )
    kind, alpha = FORMATS[suffix], like.picture.alpha
    opaque = alpha is not None and bool((alpha == 255).all())
    if alpha is not None and kind in _OPAQUE and not opaque:
        raise ConfigError(
            f"{str(path)!r}: {suffix} cannot hold the transparency of the picture. Write .png."
        )
    lost = [SAID[name] for name in like.picture.kept if kind not in _HELD[name]]
    lost += ["its alpha band, which is opaque"] if opaque and kind in (*_OPAQUE, "WEBP") else []
    lost += [repr(name) for name in like.picture.lost]
    if lost:
        warnings.warn(
            f"{str(path)!r}: what the picture holds beside its pixels is not kept: "
            f"{', '.join(lost)}.",
            DataWarning,
            stacklevel=2,
        )


def write(rows: Array, like: Samples, suffix: str) -> bytes:
    """Pixels as the bytes of a picture."""
    from PIL import Image

    picture = like.picture or Picture((0, 0))
    pixels = np.rint(rows.reshape(*picture.size, 3).clip(0, 1) * 255).astype(np.uint8)
    if picture.alpha is not None and FORMATS[suffix] not in _OPAQUE:
        pixels = np.concatenate([pixels, picture.alpha[..., None]], 2)
    kind = FORMATS[suffix]
    kept = {name: value for name, value in picture.kept.items() if kind in _HELD[name]}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=kind, quality=95, **kept)
    return buffer.getvalue()
