"""The demo: colour transfer between photographs by one model."""

import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multisi.analysis import plots
from multisi.analysis.report import Report
from multisi.cli import outputs, photographs
from multisi.cli.palettes import Array, Lattice, Look, similarity
from multisi.cli.photographs import Photograph
from multisi.common import checks, devices, seeds
from multisi.common.printable import printable
from multisi.errors import DataError
from multisi.files.atomic import write_whole
from multisi.model.model import Model
from multisi.training.fitting import fit

MIXED = "barycentre"
STEPS = 16
"""Steps of a transport."""
_TRIED = 500
"""Colours of a picture at which the error of the table is measured."""


def run(
    images: Sequence[Any] = (),
    out: Any = "demo",
    *,
    steps: int = 10_000,
    seed: int = 0,
    device: Any = "auto",
    progress: bool = True,
) -> Report:
    """Fit one model to the pixels of all photographs; write each in the palettes of all others.

    Arguments:
        images: Two or more image files; by default four photographs of scikit-image.
        out: Folder for the pictures, such as `coffee-as-rocket.png` and
            `coffee-as-barycentre.png`, for `palettes.png`, a grid of them, and for
            `model.safetensors`; created if necessary.
        steps: Training steps.
        seed: Random seed.
        device: Device to compute on.
        progress: Whether to show progress bars, if standard error is a terminal.

    Returns:
        The report on held-out pixels.

    Raises:
        ConfigError: there is only one image, or a package is missing.
        DataError: an image cannot be read, or the folder cannot be created.
    """
    plots.empty()  # These fail now, not after the training, if a package is missing.
    similarity()
    checks.integer(steps, "steps")
    seed, device = seeds.check(seed), devices.choose(device)
    folder = checks.path(out, "out")
    names = photographs.names(images, MIXED) if images else photographs.EXAMPLES
    files = {(a, b): folder / f"{a}-as-{b}.png" for a in names for b in [*names, MIXED] if a != b}
    model_file, grid_file = folder / "model.safetensors", folder / "palettes.png"
    written = {"the model": model_file, "the grid": grid_file}
    written |= {f"{a!r} as {b!r}": path for (a, b), path in files.items()}
    outputs.check_distinct({f"image {i + 1}": image for i, image in enumerate(images)}, written)
    found = photographs.read(images) if images else photographs.examples()
    pictures = dict(zip(names, found, strict=True))
    _check_folder(folder, written, files, pictures)
    model, held_out = _fitted(pictures, folder, steps, seed, device, progress)
    outputs.save(model, model_file)
    grid, text = _write(model, pictures, files)
    write_whole(grid_file, grid)
    report = model.evaluate(held_out, units="data", steps=STEPS)
    shown = [printable(str(path), 4000) for path in (folder, grid_file, model_file)]
    print(f"{report}\n\n{text}\n\nPictures: {shown[0]}\nGrid: {shown[1]}\nModel: {shown[2]}")
    return report


def _check_folder(
    folder: pathlib.Path,
    written: Mapping[str, pathlib.Path],
    files: Mapping[tuple[str, str], pathlib.Path],
    pictures: Mapping[str, Photograph],
) -> None:
    """Make the folder of the outputs, and try every one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"The folder {str(folder)!r} could not be created: {error}.") from None
    room = len(pictures) * sum(picture.pixels.nbytes for picture in pictures.values())
    for place in written.values():
        outputs.check_place(place, room)
    for name, picture in pictures.items():
        picture.check(next(path for (source, _), path in files.items() if source == name))


def _fitted(
    pictures: Mapping[str, Photograph],
    folder: pathlib.Path,
    steps: int,
    seed: int,
    device: Any,
    progress: bool,
) -> tuple[Model, dict[str, Any]]:
    """The model of all photographs, and pixels that it has not learned from."""
    source = np.random.default_rng(seed)
    halves = {name: picture.halves(source) for name, picture in pictures.items()}
    start = time.perf_counter()
    model = fit(
        {name: train for name, (train, _) in halves.items()},
        coupling="ot",
        steps=steps,
        batch_size=512,
        learning_rate=2e-3,
        seed=seed,
        device=device,
        progress=progress,
        rescue=folder / "interrupted.safetensors",
    )
    print(f"Fitted {len(pictures)} photographs in {time.perf_counter() - start:.0f} seconds.")
    return model, {name: held_out for name, (_, held_out) in halves.items()}


def _write(
    model: Model,
    pictures: Mapping[str, Photograph],
    files: Mapping[tuple[str, str], pathlib.Path],
) -> tuple[bytes, str]:
    """Write every photograph in all other palettes; a grid of them all, and their figures."""
    rows, looks, errors = {}, [], []
    for name, picture in pictures.items():
        small = picture.small()
        flat = small.reshape(-1, 3)
        lattice = Lattice(picture.pixels, flat)
        tried = flat[:: -(-len(flat) // _TRIED)]
        rows[name] = [small] * (len(pictures) + 1)
        for place, target in enumerate([*pictures, MIXED]):
            if target == name:
                continue
            to = model.barycenter if target == MIXED else target
            colours = np.concatenate([lattice.corners, tried])
            values, exact = np.split(
                model.transport(colours, name, to, steps=STEPS), [len(lattice.corners)]
            )
            picture.write(files[name, target], lattice.between(values, picture.pixels))
            rows[name][place] = lattice.between(values, flat).reshape(small.shape)
            looks.append(Look.of(small, rows[name][place]))
            errors.append(np.abs(lattice.between(values, tried) - exact).max(1))
    headings = [*(f"as {name}" for name in pictures), f"as the {MIXED}"]
    return plots.image_grid(rows, headings), _figures(looks, np.concatenate(errors) * 255)


def _figures(looks: Sequence[Look], errors: Array) -> str:
    mean = Look.mean(looks)
    lines = {
        "structural similarity to the source": f"{mean.structure:.2f}",
        "gradients, as a multiple of those of the source": f"{mean.gradient:.2f}",
        "distinct colours, as a share of those of the source": f"{mean.colours:.2f}",
        "values outside the gamut, which are clipped": f"{mean.outside:.1%}",
        "error of the tables of colours, in levels of 255": f"{errors.mean():.2f}",
    }
    return "\n".join(["mean over all pictures", *(f"  {k:<62}{v}" for k, v in lines.items())])
