"""The demo: colour transfer between photographs by one model."""

import pathlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from multisi.analysis import plots
from multisi.analysis.report import Report
from multisi.cli import outputs
from multisi.common import checks, devices, seeds
from multisi.common.printable import printable
from multisi.data.marginals import StandardNormal
from multisi.errors import ConfigError, DataError
from multisi.files.atomic import write_whole
from multisi.files.formats import read_samples
from multisi.model.model import Model
from multisi.training.fitting import fit

PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket")
SIDE = 200
"""Pixels on the longer side of an image in the grid."""
NOISE = "noise"


def run(
    images: Sequence[Any] = (),
    out: Any = "demo",
    *,
    steps: int = 10_000,
    seed: int = 0,
    device: Any = "auto",
    progress: bool = True,
) -> Report:
    """Fit one model to the pixels of all photographs; write the model and a grid of images.

    Arguments:
        images: Two or more image files; by default four photographs of scikit-image.
        out: Folder for `palettes.png` and `model.safetensors`; created if necessary.
        steps: Training steps.
        seed: Random seed.
        device: Device to compute on.
        progress: Whether to show progress bars, if standard error is a terminal.

    Returns:
        The report on held-out pixels.

    Raises:
        ConfigError: there is only one image, names are repeated, or a package is missing.
        DataError: an image cannot be read, or the folder cannot be created.
    """
    plots.empty()  # Fails now, not after the training, if matplotlib is missing.
    checks.integer(steps, "steps")
    seed, device = seeds.check(seed), devices.choose(device)
    folder = checks.path(out, "out")
    written = {"the model": folder / "model.safetensors", "the picture": folder / "palettes.png"}
    outputs.check_distinct({f"image {i + 1}": image for i, image in enumerate(images)}, written)
    pictures = _files(images) if images else _photographs()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"The folder {str(folder)!r} could not be created: {error}.") from None
    for place in written.values():
        outputs.check_place(place)
    shuffle = np.random.default_rng(seed).permutation
    pixels = {name: shuffle(picture.reshape(-1, 3)) for name, picture in pictures.items()}
    train = {name: rows[: len(rows) // 2] for name, rows in pixels.items()}
    held_out = {name: rows[len(rows) // 2 :] for name, rows in pixels.items()}
    start = time.perf_counter()
    model = fit(
        {NOISE: StandardNormal(), **train},
        steps=steps,
        batch_size=512,
        learning_rate=2e-3,
        seed=seed,
        device=device,
        progress=progress,
        rescue=folder / "interrupted.safetensors",
    )
    print(f"Fitted {len(pictures)} photographs in {time.perf_counter() - start:.0f} seconds.")
    outputs.save(model, written["the model"])
    write_whole(written["the picture"], _grid(model, pictures))
    report = model.evaluate(held_out, units="data", steps=64)
    shown = {what: printable(str(place), 4000) for what, place in written.items()}
    print(f"{report}\n\nPicture: {shown['the picture']}\nModel: {shown['the model']}")
    return report


def _grid(model: Model, pictures: dict[str, "np.ndarray[Any, Any]"]) -> bytes:
    """Every photograph unchanged, in the palettes of all others, and in the barycentre's."""
    rows = {}
    for name, picture in pictures.items():
        small = _scaled(picture)
        flat = small.reshape(-1, 3)
        moved = [
            small if target == name else model.transport(flat, name, target).reshape(small.shape)
            for target in pictures
        ]
        mixed = model.transport(flat, name, model.barycenter).reshape(small.shape)
        rows[name] = [*moved, mixed]
    return plots.image_grid(rows, [*(f"as {name}" for name in pictures), "as the barycentre"])


def _photographs() -> dict[str, "np.ndarray[Any, Any]"]:
    try:
        from skimage import data
    except ImportError:
        raise ConfigError(
            "The photographs of the demo need scikit-image. Try: pip install 'multisi[demo]'"
        ) from None
    return {name: getattr(data, name)()[..., :3].astype(np.float32) / 255 for name in PHOTOGRAPHS}


def _files(images: Sequence[Any]) -> dict[str, "np.ndarray[Any, Any]"]:
    names = [pathlib.Path(image).stem for image in images]
    if len(names) < 2:
        raise ConfigError(f"At least 2 images are needed; got {len(names)}.")
    if repeated := {name for name in names if names.count(name) > 1} | ({NOISE} & set(names)):
        raise ConfigError(
            "The file names of the images must differ, and must not be "
            f"{NOISE!r}; rename {', '.join(sorted(repeated))}."
        )
    pictures = {}
    for name, image in zip(names, images, strict=True):
        samples = read_samples(image)
        if samples.picture is None:
            raise DataError(f"{str(image)!r} is not an image.")
        if samples.weights is not None and samples.weights.min() < 1:
            raise DataError(
                f"{str(image)!r} has transparent pixels, which the demo cannot show. Put it on a "
                "background, or use multisi fit and multisi transport, which keep them."
            )
        pictures[name] = samples.rows.reshape(*samples.picture.size, 3)
    return pictures


def _scaled(picture: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """The picture, with at most `SIDE` pixels per side."""
    from PIL import Image

    image = Image.fromarray(np.rint(picture * 255).astype(np.uint8))
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.float32) / 255
