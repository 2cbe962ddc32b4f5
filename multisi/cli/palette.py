"""`multisi palette`: photographs in the palettes of each other."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from multisi.cli import outputs
from multisi.common import checks, devices, seeds
from multisi.common.printable import printable
from multisi.style import photographs
from multisi.style.palettes import TRAINING, palette, share
from multisi.style.photographs import Photograph

MIXED = "barycentre"


def run(
    images: Sequence[Any],
    out: Any,
    *,
    strength: float = 1.0,
    grain: bool = False,
    steps: int = TRAINING,
    seed: int = 0,
    device: Any = "auto",
    progress: bool = True,
) -> None:
    """Write every photograph in the palettes of all others, and of their barycentre.

    Arguments:
        images: Two or more image files.
        out: Folder for the pictures; created if necessary.
        strength: How far colours are moved, from 0 to 1.
        grain: Whether grain may grow with the colours.
        steps: Training steps.
        seed: Random seed.
        device: Device to compute on.
        progress: Whether to show a progress bar, if standard error is a terminal.

    Raises:
        ConfigError: an option has an invalid value, or there is only one image.
        DataError: an image cannot be read, or the folder cannot be created.
    """
    share(strength)
    checks.integer(steps, "steps")
    seed, device = seeds.check(seed), devices.choose(device)
    folder, names = checks.path(out, "out"), photographs.names(images, MIXED)
    pairs = [*itertools.permutations(names, 2), *((name, MIXED) for name in names)]
    files = {(a, b): folder / f"{a}-as-{b}.png" for a, b in pairs}
    written = {f"{a!r} as {b!r}": path for (a, b), path in files.items()}
    outputs.check_distinct({f"image {i + 1}": image for i, image in enumerate(images)}, written)
    pictures = dict(zip(names, photographs.read(images), strict=True))
    outputs.make_folder(folder)
    for (name, _), path in files.items():
        outputs.check_place(path, pictures[name].pixels.nbytes)
        pictures[name].check(path)
    found = palette(
        {name: _array(picture) for name, picture in pictures.items()},
        strength,
        grain=grain,
        training=steps,
        seed=seed,
        device=device,
        progress=progress,
    )
    for (name, target), path in files.items():
        point = found.model.barycenter if target == MIXED else target
        colours = found.picture(name, point)[..., :3].reshape(-1, 3)
        pictures[name].write(path, colours.astype(np.float32) / 255)
    print(f"{len(files)} pictures: {printable(str(folder), 4000)}")


def _array(picture: Photograph) -> Any:
    """The colours of a photograph, and its opacity if it has one."""
    if picture.opacity is None:
        return picture.colours
    opacity = np.rint(255 * picture.opacity).astype(np.uint8).reshape(*picture.picture.size, 1)
    return np.concatenate([picture.colours, opacity], 2)
