"""Pictures of paths on the simplex, and of the laws that they pass."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi.analysis.plots import check_kind, drawn, picture
from multisi.common import arrays, checks
from multisi.common.shapes import flat
from multisi.common.torch_state import own_state
from multisi.errors import ConfigError
from multisi.field import named_points
from multisi.field.field import Field
from multisi.geometry.cost import support_of
from multisi.geometry.moments import profile
from multisi.geometry.states import states
from multisi.paths import Path, Segment

_GREY = "#8a8f98"
_BINS = 60
"""Cells of a picture of a law in each direction."""
_INSIDE = (0.005, 0.995)
"""Quantiles of all states between which laws are shown."""


@own_state
def simplex_picture(
    model: Any,
    pairs: Sequence[tuple[str, str]],
    *,
    samples: Any = None,
    times: int = 5,
    count: int = 1000,
    format: str = "png",
) -> bytes:
    r"""The simplex with the paths of some transports, coloured by the speed of the samples.

    The colour is $\sqrt{E|\dot x|^2}$ in data units. Three marginals are the corners of a
    triangle; with more the simplex is projected on a polygon.

    Arguments:
        model: A model.
        pairs: Names of source and target of each path, which is the one that `transport` takes.
        samples: Samples of the first source, shape `(b, d)`; then the law of their first two
            features at even times of the first path is shown beside it.
        times: Number of these times.
        count: Number of states for the speed at each time.
        format: `"png"`, `"pdf"`, `"svg"` or `"jpg"`.

    Returns:
        The bytes of a file of this format.

    Raises:
        ConfigError: there are no pairs, a name or the format is unknown, samples have fewer than
            two features, or matplotlib is not installed.
        DataError: there is nothing to draw states from.

    Examples:
        >>> import multisi
        >>> one, var = torch.ones(1).double(), torch.ones(1, 1, 1).double()
        >>> means = multisi.GaussianMixtureMeans(
        ...     [one] * 3, [torch.full((1, 1), k).double() for k in (0.0, 3.0, 5.0)], [var] * 3)
        >>> model = multisi.Model(means, ["a", "b", "c"])
        >>> simplex_picture(model, [("a", "b")], count=20)[1:4]
        b'PNG'
    """
    check_kind(format)
    checks.instance(model, Field, "model")
    pairs = checks.several(pairs, "pairs")
    if not pairs or not all(isinstance(p, tuple | list) and len(p) == 2 for p in pairs):
        raise ConfigError(
            f"A picture of paths needs at least one pair (source, target) of names; got {pairs!r}."
        )
    curves = [_curve(model, *pair) for pair in pairs]
    speeds = [_speed(model, curve, count) for curve in curves]
    clouds: Any = [] if samples is None else _clouds(model, pairs[0], samples, times)
    shown = len(clouds)
    with drawn(4.6 + 2.3 * shown, 3.9 if not shown else 3.2) as figure:
        widths = [1.9] + [1.0] * shown
        axes = np.atleast_1d(figure.subplots(1, 1 + shown, width_ratios=widths))
        _draw(figure, axes[0], model.marginals, curves, speeds)
        for number, axis in enumerate(axes[1:]):
            _law(axis, clouds, number)
        return picture(figure, format, 110)


def _curve(model: Any, source: str, target: str) -> Path:
    """The path that the flow between two marginals takes."""
    ends = [
        named_points.resolve(name, model.marginals, None, what)
        for name, what in ((source, "source"), (target, "target"))
    ]
    found: Path | None = model.path_of(None, source, target, None)
    return Segment(ends) if found is None else found


def _speed(model: Any, curve: Path, count: int) -> tuple[Tensor, Tensor]:
    """Times, and the root mean square of the speed at them."""
    source = states(model, support_of(curve), None, checks.integer(count, "count"), 0)
    found = profile(model, source, curve, count=64).over()
    return found.times, found.rate().clamp_min(0).sqrt()


def _clouds(model: Any, pair: tuple[str, str], samples: Any, times: int) -> Any:
    """States at even times, in their first two features, shape `(n, b, 2)`."""
    grid = np.linspace(0, 1, 8 * (checks.integer(times, "times", least=2) - 1) + 1)
    x = arrays.floats(samples, "samples")
    moved = model.transport(x, *pair, grid=grid, return_path=True)[::8]
    planar = [flat(x)[:, :2] for x in moved.detach().cpu()]
    if planar[0].shape[1] < 2:
        raise ConfigError("Laws are shown over two features; samples have one.")
    return torch.stack(planar).numpy()


def _draw(
    figure: Any,
    axis: Any,
    names: Sequence[str],
    curves: list[Path],
    speeds: list[tuple[Tensor, Tensor]],
) -> None:
    """The simplex as a polygon, with the curves as coloured lines."""
    from matplotlib.collections import LineCollection

    turn = 2 * math.pi * torch.arange(len(names), dtype=torch.float64) / len(names)
    corners = torch.stack([turn.sin(), turn.cos()], 1)
    axis.fill(*corners.T, facecolor="none", edgecolor=_GREY, lw=1.2)
    for name, corner in zip(names, corners, strict=True):
        axis.annotate(
            name, 1.12 * corner, ha="center", va="center", annotation_clip=False, parse_math=False
        )
    t = torch.linspace(0, 1, 301, dtype=torch.float64)
    values = [np.interp((t[1:] + t[:-1]) / 2, *speed) for speed in speeds]
    for curve, value in zip(curves, values, strict=True):
        at = (curve(t).double() @ corners).numpy()
        pieces = LineCollection(
            list(np.stack([at[:-1], at[1:]], 1)), cmap="plasma", lw=3, capstyle="round"
        )
        pieces.set_array(value)
        pieces.set_clim(min(map(np.min, values)), max(map(np.max, values)))
        shown = axis.add_collection(pieces)
    figure.colorbar(shown, ax=axis, shrink=0.7, label="speed, data units")
    axis.set(aspect="equal", xlim=(-1.3, 1.3), ylim=(-1.3, 1.3))
    axis.axis("off")


def _law(axis: Any, clouds: "np.ndarray[Any, Any]", number: int) -> None:
    """The law of the states at one time."""
    low, high = np.quantile(clouds.reshape(-1, 2), _INSIDE, axis=0)
    room = np.maximum(0.08 * (high - low), 1e-9)
    ranges = list(zip(low - room, high + room, strict=True))
    axis.hist2d(*clouds[number].T, bins=_BINS, range=ranges, cmap="magma_r", density=True)
    axis.set(xticks=[], yticks=[], title=f"t = {number / (len(clouds) - 1):.2g}")
    axis.set_box_aspect(1)
