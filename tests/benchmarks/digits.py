"""Digits of three hands at 16 x 16, and those of MNIST that are corrupted: the data of `style`."""

import functools
import os
import pathlib
from typing import NamedTuple

import numpy as np
import torch

SIDE = 16
SIZES = {"mnist": (3000, 800), "usps": (3000, 800), "optdigits": (1000, 797)}


class Digits(NamedTuple):
    """Pictures in [0, 1], shape `(n, 1, 16, 16)`, and their labels: for training, for a test."""

    x: torch.Tensor
    y: torch.Tensor
    test: torch.Tensor
    test_y: torch.Tensor


@functools.cache
def hands():
    """Name of a set to digits, drawn at random from all of it."""
    rng = np.random.default_rng(0)
    return {name: _drawn(_READ[name](), *SIZES[name], rng) for name in SIZES}


@functools.cache
def mnist():
    """Digits of MNIST, 5,000 for training and 1,000 for a test."""
    return _drawn(_mnist(), 5000, 1000, np.random.default_rng(0))


def missing():
    """What is missing, as text."""
    try:
        import sklearn  # noqa: F401
    except ImportError:
        return "scikit-learn is not installed."
    files = [name for name in ("mnist_28x28.npz", "usps_16x16.npz") if not _file(name).exists()]
    return files and f"no {', '.join(files)}; give --data DIR with DIR/images/NAME."


def _drawn(parts, train, test, rng):
    (x, y), (z, w) = parts
    chosen = rng.permutation(len(x))[:train], rng.permutation(len(z))[:test]
    found = [_small(x[chosen[0]]), y[chosen[0]], _small(z[chosen[1]]), w[chosen[1]]]
    found[::2] = [torch.as_tensor(part[:, None] / 255).float() for part in found[::2]]
    return Digits(found[0], torch.as_tensor(found[1]), found[2], torch.as_tensor(found[3]))


def _mnist():
    with np.load(_file("mnist_28x28.npz")) as file:
        return _pairs(file)


def _usps():
    with np.load(_file("usps_16x16.npz")) as file:
        return _pairs(file)


def _pairs(file):
    return [(file[f"{part}_x"], file[f"{part}_y"].astype(np.int64)) for part in ("train", "test")]


def _optdigits():
    """8 x 8 pixels; the first thousand in random order are for training."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = np.rint(x.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
    order = np.random.default_rng(1).permutation(len(x))
    x, y = x[order], y[order].astype(np.int64)
    return [(x[:1000], y[:1000]), (x[1000:], y[1000:])]


def _small(pictures):
    """Pictures of 16 x 16 pixels: means of larger ones, and smaller ones interpolated."""
    from PIL import Image

    way = Image.Resampling.BOX if pictures.shape[1] > SIDE else Image.Resampling.BICUBIC
    if pictures.shape[1] == SIDE:
        return pictures
    return np.stack([np.asarray(Image.fromarray(p).resize((SIDE, SIDE), way)) for p in pictures])


def _file(name):
    return pathlib.Path(os.environ.get("DATA", ""), "images", name)


def _centres():
    """The middle 20 x 20 pixels of MNIST, with the digit: other sets have no margin."""
    return [(x[:, 4:-4, 4:-4], y) for x, y in _mnist()]


_READ = {"mnist": _centres, "usps": _usps, "optdigits": _optdigits}
