"""What pictures show, whatever its place, size and slant: a space in which they are matched."""

import torch
from torch import Tensor

from multisi.common.arrays import floats
from multisi.errors import ShapeError
from multisi.style.corruptions import blurred

_SPREAD, _BLUR = 0.21, 0.045
"""The spread of what is shown, after it is normalised, and of the blur, in sides of a picture."""


def shapes(pictures: Tensor) -> Tensor:
    r"""Pictures of single things, normalised by their moments: a space in which to match them.

    The ink of a picture, $|p - b|$ with the median $b$ of its border, is a density. It is moved
    by the affine map $x \mapsto m + L x$, where $m$ is its mean and $L L^T$ its covariance with
    $L$ triangular, so that place, size, aspect and slant are lost; it is blurred then, and divided
    by its norm. Letters and digits of several hands are closer to their like in this space than
    pixel by pixel.

    Arguments:
        pictures: Pictures, shape `(n, c, h, w)` or `(n, h, w)`.

    Returns:
        Vectors of norm 1, shape `(n, h * w)`, of the type of the pictures.

    Raises:
        DataError: the pictures are no finite numbers.
        ShapeError: the pictures have other axes, or there are none.

    Examples:
        >>> bar = torch.zeros(2, 1, 16, 16)
        >>> bar[0, 0, 2:12, 3:5], bar[1, 0, 4:14, 9:11] = 1, 1
        >>> a, b = shapes(bar)
        >>> bool((a - b).norm() < 0.01)
        True
    """
    ink = _ink(pictures)
    mean, root = _moments(ink)
    # Axes of `grid_sample` run from -1 to 1: the spread there is twice that in sides.
    maps = torch.cat([root / (2 * _SPREAD), mean[..., None]], 2)
    size = [len(ink), 1, *ink.shape[1:]]
    grid = torch.nn.functional.affine_grid(maps, size, align_corners=False)
    upright = torch.nn.functional.grid_sample(ink[:, None], grid, align_corners=False)
    found = blurred(upright, [_BLUR * side for side in upright.shape[2:]]).flatten(1)
    unit: Tensor = found / found.norm(dim=1, keepdim=True).clamp_min(torch.finfo(found.dtype).tiny)
    return unit


def poses(pictures: Tensor) -> Tensor:
    r"""Place, size and slant of what pictures show: a space in which to match them within labels.

    With the mean $m$ and the covariance of the ink, as for `shapes`, these are $3 m$, the
    logarithms of width and height, and the slant, in sides of a picture from -1 to 1. Pictures of
    one thing that are matched in it keep how they are turned and placed.

    Arguments:
        pictures: Pictures, shape `(n, c, h, w)` or `(n, h, w)`.

    Returns:
        Five numbers for each picture, shape `(n, 5)`, of the type of the pictures.

    Raises:
        DataError: the pictures are no finite numbers.
        ShapeError: the pictures have other axes, or there are none.

    Examples:
        >>> bar = torch.zeros(2, 1, 16, 16)
        >>> bar[0, 0, 2:12, 3:5], bar[1, 0, 4:14, 9:11] = 1, 1
        >>> a, b = poses(bar)
        >>> b - a
        tensor([2.2500, 0.7500, 0.0000, 0.0000, 0.0000])
    """
    mean, root = _moments(_ink(pictures))
    width, height = root[:, 0, 0], root[:, 1, 1]
    slant = root[:, 0, 1] / height
    return torch.cat([3 * mean, torch.stack([width.log(), height.log(), slant], 1)], 1)


def _ink(pictures: Tensor) -> Tensor:
    """How far each pixel is from the border's, shape `(n, h, w)`."""
    pictures = floats(pictures, "pictures")
    if pictures.ndim not in (3, 4) or 0 in pictures.shape:
        raise ShapeError(
            f"Pictures must have the shape (n, c, h, w) or (n, h, w); got {tuple(pictures.shape)}."
        )
    grey = pictures.mean(1) if pictures.ndim == 4 else pictures
    border = torch.cat([grey[:, [0, -1]].flatten(1), grey[:, :, [0, -1]].flatten(1)], 1)
    return (grey - border.median(1).values[:, None, None]).abs()


def _moments(ink: Tensor) -> tuple[Tensor, Tensor]:
    """Means `(n, 2)`, x first, and triangular roots of covariances `(n, 2, 2)`, in [-1, 1]."""
    axes = [(2 * torch.arange(size).to(ink) + 1) / size - 1 for size in ink.shape[:0:-1]]
    x, y = torch.meshgrid(*axes, indexing="xy")
    weights = ink / ink.sum((1, 2), keepdim=True).clamp_min(torch.finfo(ink.dtype).tiny)
    mean = torch.stack([(weights * axis).sum((1, 2)) for axis in (x, y)], 1)
    dx, dy = (axis - m[:, None, None] for axis, m in zip((x, y), mean.T, strict=True))
    # A line has no width, and an even picture no spread at all.
    least = (1 / max(ink.shape[1:])) ** 2
    across, down = ((weights * d * d).sum((1, 2)) + least for d in (dx, dy))
    slant = (weights * dx * dy).sum((1, 2)) / down
    width = (across - slant**2 * down).clamp_min(least).sqrt()
    height = down.sqrt()
    root = torch.stack([width, slant * height, torch.zeros_like(width), height], 1)
    return mean, root.reshape(-1, 2, 2)
