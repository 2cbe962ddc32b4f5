"""Letters moved between four fonts: what they are read as, and how far from the fonts they are.

`SECONDS`, `SEEDS`, `ARMS` in the environment change what is run; `CACHE` names a file for the
pictures, which are drawn once. `--data DIR` names a folder with `fonts/DancingScript-Bold.ttf`.
"""

import functools
import itertools
import os
import pathlib
import statistics
from typing import NamedTuple

import numpy as np
import torch

import multisi
from multisi.metrics import energy_distance
from tests.benchmarks.measure import arms, one_thread, spread, train

SECONDS = float(os.environ.get("SECONDS", 180))
SEEDS = [int(seed) for seed in os.environ.get("SEEDS", "0").split(",")]
ARMS = {
    "vectors": {},
    "pictures": {"pictures": True},
    "unet": {"pictures": True, "network": "unet", "batch_size": 128},
    "transformer": {"pictures": True, "network": "transformer", "batch_size": 128},
}
FONTS = ("DejaVuSans", "DejaVuSerif-Bold", "cmtt10", "DancingScript-Bold")
LETTERS, SIDE, TRAIN, TEST = 26, 16, 3000, 780
STEPS = 24


class Pictures(NamedTuple):
    """Pictures of letters in [0, 1], name of a font to `(n, 256)`, and their letters."""

    train: dict[str, torch.Tensor]
    labels: dict[str, torch.Tensor]
    test: dict[str, torch.Tensor]
    letters: torch.Tensor


def run():
    """Means over the twelve ordered pairs, for every seed."""
    if missing := _missing():
        print(f"\nfonts is left out: {missing}")
        return
    print(f"\nFour fonts, {SECONDS:g} s of training on one thread, {STEPS} steps of transport")
    with one_thread():
        for name, options in arms(ARMS).items():
            found = {}
            for seed in SEEDS:
                model = fit(**{"max_seconds": SECONDS, "seed": seed, **options})
                found.setdefault("steps", []).append(model.card["training"]["steps"])
                for figure, value in judge(model).items():
                    found.setdefault(figure, []).append(value)
            for figure, values in found.items():
                print(f"{name:12} {figure:24} {spread(values)}", flush=True)
    floor = statistics.fmean(
        energy_distance(data().train[n][:TEST], data().test[n], biased=True) for n in FONTS
    )
    print(f"{'floor':12} {'energy distance':24} {floor:.4f}")


def fit(pictures=False, **options):
    """A model of the training pictures as vectors, or as pictures of one channel."""
    shape = (1, SIDE, SIDE) if pictures else (-1,)
    marginals = {
        name: multisi.Marginal(x.reshape(len(x), *shape), labels=data().labels[name])
        for name, x in data().train.items()
    }
    return train(marginals, **({"coupling": "class-aware"} | options))


def judge(model, steps=STEPS, **options):
    """Name of a figure to its mean over the twelve ordered pairs.

    The accuracy is that of the classifier of the target's font on the letter of the source. The
    energy distance is a V-statistic. The cycle error is in units of the variance of the source,
    the paired one, to the same letter with the same jitter, of that of the target.
    """
    pictures, found = data(), {}
    for source, target in itertools.permutations(FONTS, 2):
        x, y = pictures.test[source], pictures.test[target]
        states = x.reshape(len(x), *model.event_shape)
        moved = model.transport(states, source, target, steps=steps, **options)
        back = model.transport(moved, target, source, steps=steps, **options)
        moved, back = moved.flatten(1), back.flatten(1)
        right = _classifier(target).predict(moved.numpy()) == pictures.letters.numpy()
        figures = {
            "accuracy": float(right.mean()),
            "energy distance": energy_distance(moved, y, biased=True),
            "cycle error": ((back - x).square().mean() / _variance(x)).item(),
            "paired error": ((moved - y).square().mean() / _variance(y)).item(),
        }
        for name, value in figures.items():
            found.setdefault(name, []).append(value)
    means = {name: statistics.fmean(values) for name, values in found.items()}
    return means | {"least accuracy": min(found["accuracy"])}


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
    if cache:
        np.savez_compressed(cache, **arrays)
    return _tensors(arrays)


def _tensors(arrays):
    def each(kind):
        return {name: torch.as_tensor(arrays[f"{kind} {name}"]) for name in FONTS}

    train, test = ({n: x.float() / 255 for n, x in each(k).items()} for k in ("train", "test"))
    return Pictures(train, each("labels"), test, torch.as_tensor(arrays["letters"]))


def _files(folder):
    import matplotlib

    bundled = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")
    places = (bundled, pathlib.Path(folder, "fonts"))
    found = {n: [p / f"{n}.ttf" for p in places if (p / f"{n}.ttf").exists()] for n in FONTS}
    return {name: files[0] for name, files in found.items() if files}


def _missing():
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


@functools.cache
def _classifier(font):
    from sklearn.svm import SVC

    return SVC(C=5).fit(data().train[font].numpy(), data().labels[font].numpy())


def _variance(x):
    """The mean variance of a pixel."""
    return x.var(0, correction=0).mean()
