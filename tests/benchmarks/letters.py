"""Letters of four fonts, turned and moved at random: the data of `style`."""

import functools
import os
import pathlib
from typing import NamedTuple

import numpy as np
import torch

FONTS = ("DejaVuSans", "DejaVuSerif-Bold", "cmtt10", "DancingScript-Bold")
LETTERS, SIDE, TRAIN, TEST = 26, 16, 3000, 780


class Pictures(NamedTuple):
    """Pictures of letters in [0, 1], name of a font to `(n, 256)`, and their letters.

    The pictures of `paired` have the same letters, and the same jitter, in every font, as have
    those of `test`; the pictures of `train` have not.
    """

    train: dict[str, torch.Tensor]
    labels: dict[str, torch.Tensor]
    paired: dict[str, torch.Tensor]
    test: dict[str, torch.Tensor]
    letters: torch.Tensor


@functools.cache
def data(folder=None, cache=None):
    """The pictures, from the folder of the data (`DATA`) or a file that keeps them (`CACHE`)."""
    cache = cache or os.environ.get("CACHE")
    if cache and os.path.exists(cache):
        with np.load(cache) as file:
            return _tensors({name: file[name] for name in file.files})
    fonts = _files(folder or os.environ.get("DATA", ""))
    arrays, rng = {}, np.random.default_rng(0)
    letters, jitter = np.arange(TEST) % LETTERS, _jitter(rng, TEST)
    arrays["letters"] = letters
    for name, file in fonts.items():
        drawn = _drawn(file)
        labels = rng.integers(0, LETTERS, TRAIN)
        arrays[f"labels {name}"] = labels
        arrays[f"train {name}"] = _moved(drawn, labels, _jitter(rng, TRAIN))
        arrays[f"test {name}"] = _moved(drawn, letters, jitter)
    letters, jitter = rng.integers(0, LETTERS, TRAIN), _jitter(rng, TRAIN)
    arrays |= {f"paired {name}": _moved(_drawn(f), letters, jitter) for name, f in fonts.items()}
    if cache:
        np.savez_compressed(cache, **arrays)
    return _tensors(arrays)


def _tensors(arrays):
    def each(kind):
        return {name: torch.as_tensor(arrays[f"{kind} {name}"]) for name in FONTS}

    train, paired, test = (
        {n: x.float() / 255 for n, x in each(k).items()} for k in ("train", "paired", "test")
    )
    return Pictures(train, each("labels"), paired, test, torch.as_tensor(arrays["letters"]))


def _files(folder):
    import matplotlib

    bundled = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")
    places = (bundled, pathlib.Path(folder, "fonts"))
    found = {n: [p / f"{n}.ttf" for p in places if (p / f"{n}.ttf").exists()] for n in FONTS}
    return {name: files[0] for name, files in found.items() if files}


def missing():
    """What is missing, as text."""
    try:
        import sklearn  # noqa: F401
    except ImportError:
        return "scikit-learn is not installed."
    if os.path.exists(os.environ.get("CACHE", "")):
        return ""
    fonts = set(FONTS) - set(_files(os.environ.get("DATA", "")))
    return fonts and f"no {', '.join(sorted(fonts))}; give --data DIR with DIR/fonts/NAME.ttf."


def _drawn(file):
    """The letters, white on black, 64 pixels wide."""
    from PIL import Image, ImageDraw, ImageFont

    font, pictures = ImageFont.truetype(str(file), 40), []
    for i in range(LETTERS):
        picture = Image.new("L", (4 * SIDE, 4 * SIDE))
        draw = ImageDraw.Draw(picture)
        left, top, right, bottom = draw.textbbox((0, 0), chr(ord("A") + i), font=font)
        corner = (2 * SIDE - (left + right) / 2, 2 * SIDE - (top + bottom) / 2)
        draw.text(corner, chr(ord("A") + i), fill=255, font=font)
        pictures.append(picture)
    return pictures


def _jitter(rng, n):
    """Angle, logarithm of the scale, shear, and the shift in pixels, `(n, 5)`."""
    return rng.normal(size=(n, 5)) * (0.08, 0.08, 0.08, 1.2, 1.2)


def _moved(drawn, letters, jitter):
    """Pictures after an affine map about their centre, resized by means of 4 x 4, as bytes."""
    from PIL import Image

    pictures, centre = [], np.full(2, 2 * SIDE)
    for letter, (angle, log_scale, shear, *shift) in zip(letters, jitter, strict=True):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = np.exp(log_scale) * turn @ [[1, shear], [0, 1]]
        offset = centre - matrix @ (centre + shift)
        map_ = (*matrix[0], offset[0], *matrix[1], offset[1])
        size = drawn[letter].size
        picture = drawn[letter].transform(size, Image.Transform.AFFINE, map_, Image.BILINEAR)
        pictures.append(np.asarray(picture.resize((SIDE, SIDE), Image.BOX)).ravel())
    return np.stack(pictures)
