"""Folders of pictures: each picture is a sample, and those of a subfolder have a label."""

import io
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from multisi.common import checks
from multisi.errors import DataError, DataWarning
from multisi.files import picture_file
from multisi.files.atomic import write_whole
from multisi.files.numpy_file import check_size
from multisi.files.place import check_place
from multisi.files.samples import Array, Reading, Samples

_SHOWN = 3
"""Names of files that a message shows."""
_MODES = {1: ("1", "L", "LA"), 3: ("P", "PA", "RGB", "RGBA")}
"""What files of grey and of coloured pictures are called."""


def read(path: Any, how: Reading) -> Samples:
    """The pictures of a folder in [0, 1], shape `(n, c, h, w)`, in the order of their names.

    Pictures in subfolders have the name of the subfolder as label. Transparent pixels are those of
    a white page. With `how.size` pictures are scaled and cut to one size; several are decoded at
    a time.

    Raises:
        DataError: the folder has no pictures, or both pictures and folders of pictures; one cannot
            be read, unless it is skipped; or they differ in size or channels, and nothing says
            what they should have.
        ImportError: Pillow is not installed.
    """
    from PIL import Image

    names = _names(pathlib.Path(path))
    with picture_file.alone(Image):
        told = _told(path, names, how)
        names = [name for name in names if name in told]
        channels = how.channels or _channels(path, told)
        size = how.size or _size(path, told)
        total = len(names) * channels * size[0] * size[1]
        check_size(path, 4 * total, sum((path / name).stat().st_size for name in names), how)
        rows = np.empty((len(names), channels, *size), np.float32)

        def fill(i: int) -> None:
            rows[i] = _decoded(path / names[i], channels, size)

        failed = _each(range(len(names)), fill, [path / name for name in names])
    kept = _without(path, failed, len(names), how)
    labels = [str(pathlib.PurePath(name).parent) for name in names]
    return Samples(
        rows if len(kept) == len(names) else rows[kept],
        labels=None if labels[0] == "." else np.array(labels)[kept],
        files=tuple(names[i] for i in kept),
    )


def _names(path: pathlib.Path) -> list[str]:
    """Paths of all pictures below a folder, in order."""
    found = sorted(
        str(file.relative_to(path))
        for file in (*path.glob("*"), *path.glob("*/*"))
        if file.suffix.lower() in picture_file.FORMATS and not file.name.startswith(".")
    )
    nested = [name for name in found if pathlib.PurePath(name).parent != pathlib.PurePath()]
    if not found:
        raise DataError(
            f"{str(path)!r} has no pictures. Known endings: {', '.join(picture_file.FORMATS)}."
        )
    if nested and len(nested) < len(found):
        direct = next(name for name in found if name not in nested)
        raise DataError(
            f"{str(path)!r} has pictures, such as {direct!r}, and folders of pictures, such as "
            f"{nested[0]!r}. Folders are labels: move the pictures to one, or the folders away."
        )
    return found


def _told(path: Any, names: Sequence[str], how: Reading) -> dict[str, tuple[int, Any]]:
    """Name to channels and size of each picture that can be opened."""
    found: dict[str, tuple[int, Any]] = {}

    def look(i: int) -> None:
        with picture_file.opened(path / names[i]) as image:
            found[names[i]] = 1 if image.mode in _MODES[1] else 3, (image.height, image.width)

    failed = _each(range(len(names)), look, [path / name for name in names])
    _without(path, failed, len(names), how)
    return {name: found[name] for name in names if name in found}


def _channels(path: Any, told: dict[str, tuple[int, Any]]) -> int:
    of = {n: [name for name, (channels, _) in told.items() if channels == n] for n in (1, 3)}
    if of[1] and of[3]:
        raise DataError(
            f"{str(path)!r} has grey pictures ({_some(of[1])}) and coloured ones "
            f"({_some(of[3])}). Ask for channels=3 or channels=1 (--channels)."
        )
    return 1 if of[1] else 3


def _size(path: Any, told: dict[str, tuple[int, Any]]) -> tuple[int, int]:
    sizes = {size: name for name, (_, size) in reversed(told.items())}
    if len(sizes) > 1:
        shown = ", ".join(f"{name} {w} x {h}" for (h, w), name in list(sizes.items())[-_SHOWN:])
        raise DataError(
            f"{str(path)!r} has pictures of {len(sizes)} sizes, such as {shown}. Ask for a size "
            "(size=64, --size 64) that all are scaled and cut to."
        )
    found: tuple[int, int] = next(iter(sizes))
    return found


def _decoded(file: pathlib.Path, channels: int, size: tuple[int, int]) -> Array:
    """A picture in [0, 1], shape `(channels, h, w)`."""
    from PIL import Image, ImageOps

    with picture_file.opened(file) as image:
        image.load()
        upright = ImageOps.exif_transpose(image) or image
        if upright.has_transparency_data:
            page = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(page, upright.convert("RGBA"))
        plain = upright.convert("L" if channels == 1 else "RGB")
        if plain.size != size[::-1]:
            plain = ImageOps.fit(plain, size[::-1], Image.Resampling.LANCZOS)
        pixels = np.asarray(plain, np.float32).reshape(*size, channels)
        return np.moveaxis(pixels, -1, 0) / np.float32(255)


def _each(
    places: Sequence[int], work: Callable[[int], None], files: Sequence[pathlib.Path]
) -> dict[int, str]:
    """Do some work for each place, several at a time: Pillow decodes without Python's lock."""
    failed: dict[int, str] = {}

    def tried(i: int) -> None:
        try:
            work(i)
        except MemoryError:
            raise
        except DataError as error:
            failed[i] = str(error)
        except Exception as error:
            failed[i] = f"{str(files[i])!r} cannot be read: {error}."

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(tried, places))
    return dict(sorted(failed.items()))


def _without(path: Any, failed: dict[int, str], count: int, how: Reading) -> list[int]:
    """The places of what could be read.

    Raises:
        DataError: something could not, and is not to be skipped; or nothing could.
    """
    if failed:
        first = next(iter(failed.values()))
        if how.unreadable == "refuse":
            raise DataError(
                f"{first} {len(failed)} of {count} pictures cannot be read; "
                "unreadable='skip' (--unreadable skip) leaves them out."
            )
        if len(failed) == count:
            raise DataError(f"{str(path)!r}: no picture can be read. {first}")
        warnings.warn(
            f"{str(path)!r}: {len(failed)} of {count} pictures are left out. {first}",
            DataWarning,
            stacklevel=2,
        )
    return [i for i in range(count) if i not in failed]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def check(path: Any, like: Samples) -> None:
    """Check, before any work, that pictures can be written to a folder, which is not made yet.

    Raises:
        DataError: the folder cannot be made or written.
    """
    place = checks.path(path, "A folder")
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise DataError(f"{str(path)!r}: {str(place)!r} is not a folder. Choose another path.")
    check_place(place / "picture.png", like.rows.nbytes // 4)


def write(path: Any, rows: Array, like: Samples) -> None:
    """Write pictures `(n, c, h, w)` as PNG, each by the name of its file.

    Raises:
        DataError: a file cannot be written.
    """
    from PIL import Image

    path, taken = checks.path(path, "A folder"), set()
    for name, picture in zip(like.files or (), rows, strict=True):
        target = pathlib.PurePath(name).with_suffix(".png")
        if str(target).casefold() in taken:
            target = pathlib.PurePath(f"{name}.png")
        taken.add(str(target).casefold())
        pixels = np.rint(np.moveaxis(picture, 0, -1).clip(0, 1) * 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
        try:
            (path / target).parent.mkdir(parents=True, exist_ok=True)
            write_whole(path / target, buffer.getvalue())
        except OSError as error:
            raise DataError(f"{str(path / target)!r} could not be written: {error}.") from None
