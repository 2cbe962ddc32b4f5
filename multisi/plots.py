"""Pictures of what models do."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multisi.errors import ConfigError


def image_grid(
    rows: Mapping[str, Sequence["np.ndarray[Any, Any]"]], columns: Sequence[str]
) -> bytes:
    """A grid of pictures with names on two sides, as the bytes of a PNG file.

    Arguments:
        rows: Name of each row to its pictures, each of shape `(h, w, 3)` in [0, 1].
        columns: Name of each column.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("Pictures need matplotlib. Try: pip install 'multisi[plots]'") from None
    tall = [max(len(p) / p.shape[1] for p in pictures) for pictures in rows.values()]
    figure = Figure(figsize=(2 * len(columns), 2.05 * sum(tall) + 0.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(rows), len(columns), squeeze=False, gridspec_kw={"height_ratios": tall}
    )
    for line, (name, pictures) in zip(axes, rows.items(), strict=True):
        for axis, picture in zip(line, pictures, strict=True):
            axis.imshow(picture.clip(0, 1), interpolation="none")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        line[0].set_ylabel(name, fontsize=8)
    for axis, name in zip(axes[0], columns, strict=True):
        axis.set_title(name, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=84)
    return buffer.getvalue()
