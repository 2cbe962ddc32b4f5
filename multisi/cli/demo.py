"""The demo: colour transfer between photographs by one model."""

import functools
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multisi.analysis import plots
from multisi.analysis.held_out import HeldOut
from multisi.analysis.report import Report
from multisi.cli import outputs
from multisi.common import checks, devices, seeds
from multisi.common.printable import printable
from multisi.files.atomic import write_whole
from multisi.model.model import Model
from multisi.style import photographs
from multisi.style.colours import Array, Lattice, Look, calmed, similarity
from multisi.style.palettes import STEPS, TRAINING
from multisi.style.photographs import Photograph
from multisi.training.fitting import fit

MIXED = "barycentre"
_CALM = 3 / 8, 1e-3
"""How the change of colours is smoothed: less than by `multisi palette`, for closer laws."""
_TRIED = 500
"""Colours of a picture at which the error of the table is measured."""


def run(
    images: Sequence[Any] = (),
    out: Any = "demo",
    *,
    steps: int = TRAINING,
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
    source = np.random.default_rng(seed)
    halves = {name: picture.halves(source) for name, picture in pictures.items()}
    held_out = {name: pictures[name].marginal(rest) for name, (_, rest) in halves.items()}
    HeldOut(held_out, samples=4)  # Fails now if too little can be seen.
    _check_folder(folder, written, files, pictures)
    start = time.perf_counter()
    model = fitted(
        pictures,
        {name: train for name, (train, _) in halves.items()},
        steps=steps,
        seed=seed,
        device=device,
        progress=progress,
        rescue=folder / "interrupted.safetensors",
    )
    print(f"Fitted {len(pictures)} photographs in {time.perf_counter() - start:.0f} seconds.")
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
    outputs.make_folder(folder)
    room = len(pictures) * sum(picture.pixels.nbytes for picture in pictures.values())
    for place in written.values():
        outputs.check_place(place, room)
    for name, picture in pictures.items():
        picture.check(next(path for (source, _), path in files.items() if source == name))


def fitted(
    pictures: Mapping[str, Photograph],
    train: Mapping[str, Array],
    *,
    steps: int = TRAINING,
    **options: Any,
) -> Model:
    """One model of the colours of all photographs.

    Arguments:
        pictures: Name to photograph.
        train: Name to the places of the pixels to learn from.
        steps: Training steps.
        options: Other options of `multisi.fit`.
    """
    marginals = {name: picture.marginal(train[name]) for name, picture in pictures.items()}
    return fit(
        marginals, coupling="ot", steps=steps, batch_size=512, learning_rate=2e-3, **options
    )


class Palette:
    """The colours of one photograph in the palettes of all others.

    Arguments:
        model: The model of the colours.
        picture: The photograph.
        name: Its name.
    """

    def __init__(self, model: Model, picture: Photograph, name: str) -> None:
        self._move = functools.partial(model.transport, source=name, steps=STEPS)
        self._points = {target: target for target in model.marginals} | {MIXED: model.barycenter}
        self.small = picture.small()
        self._full = picture.colours
        self._rows = picture.pixels, self.small.reshape(-1, 3)
        self._tried = self._rows[1][:: -(-len(self._rows[1]) // _TRIED)]
        self._lattice = Lattice(*self._rows)

    def of(self, target: str) -> tuple[Array, Array, Array]:
        """The photograph in a palette, the small one, and the error of some colours.

        Arguments:
            target: Name of a photograph, or `MIXED`.
        """
        corners = self._lattice.corners
        colours = np.concatenate([corners, self._tried])
        moved = self._move(colours, target=self._points[target])
        values, exact = np.split(moved, [len(corners)])
        *found, tried = self._lattice.between(values, *self._rows, self._tried)
        full, small = (
            calmed(picture, rows.reshape(picture.shape), _CALM)
            for picture, rows in zip((self._full, self.small), found, strict=True)
        )
        return full, small, np.abs(tried - exact).mean(1)


def _write(
    model: Model,
    pictures: Mapping[str, Photograph],
    files: Mapping[tuple[str, str], pathlib.Path],
) -> tuple[bytes, str]:
    """Write every photograph in all other palettes; a grid of them all, and their figures."""
    rows: dict[str, list[Array]] = {}
    looks, errors = [], []
    for name, picture in pictures.items():
        palette = Palette(model, picture, name)
        rows[name] = []
        for target in [*pictures, MIXED]:
            if target == name:
                rows[name].append(palette.small)
                continue
            full, small, error = palette.of(target)
            picture.write(files[name, target], full.reshape(-1, 3))
            rows[name].append(small)
            looks.append(Look.of(palette.small, small))
            errors.append(error.mean())
    headings = [*(f"as {name}" for name in pictures), f"as the {MIXED}"]
    return plots.image_grid(rows, headings), _figures(Look.mean(looks), 255 * np.mean(errors))


def _figures(look: Look, error: float) -> str:
    lines = {
        "structural similarity to the source": f"{look.structure:.2f}",
        "gradients, as a multiple of those of the source": f"{look.gradient:.2f}",
        "distinct colours, as a share of those of the source": f"{look.colours:.2f}",
        "values outside the gamut, which are clipped": f"{look.outside:.1%}",
        "error of the tables of colours, in levels of 255": f"{error:.2f}",
    }
    return "\n".join(["mean over all pictures", *(f"  {k:<62}{v}" for k, v in lines.items())])
