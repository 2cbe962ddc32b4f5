"""Plots of reports and grids of images, as PNG files."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multisi.analysis.report import FIGURES, Report
from multisi.errors import ConfigError


def matrix(report: Report, figure: str = "energy_distance") -> bytes:
    """A heat map of one figure of a report over all pairs.

    Arguments:
        report: The report of `Model.evaluate`.
        figure: Name of a figure of `Pair`, such as `"w2"`.

    Returns:
        The bytes of a PNG file.

    Raises:
        ConfigError: `figure` is not a figure of `Pair`, or matplotlib is not installed.

    Example:
        >>> from multisi.analysis import Report
        >>> matrix(Report(("a", "b"), ()))[1:4]
        b'PNG'
    """
    if figure not in FIGURES:
        raise ConfigError(f"figure must be one of {', '.join(FIGURES)}; got {figure!r}.")
    names = list(report.names)
    values = np.full((len(names), len(names)), np.nan)
    for pair in report.pairs:
        values[names.index(pair.source), names.index(pair.target)] = getattr(pair, figure)
    size = max(4.0, 1.1 * len(names) + 2)
    chart = empty(size, 0.8 * size)
    axis = chart.subplots()
    shown = axis.imshow(values, cmap="viridis")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "black" if shown.norm(value) > 0.5 else "white"
            axis.text(j, i, f"{value:.2g}", ha="center", va="center", color=colour, fontsize=9)
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="target", ylabel="source", title=FIGURES[figure])
    axis.title.set_fontsize(10)
    chart.colorbar(shown)
    return _png(chart)


def image_grid(
    rows: Mapping[str, Sequence["np.ndarray[Any, Any]"]], columns: Sequence[str]
) -> bytes:
    """A grid of images with labelled rows and columns.

    Arguments:
        rows: Name of each row to its images, each of shape `(h, w, 3)` with values in [0, 1].
        columns: Name of each column.

    Returns:
        The bytes of a PNG file.

    Raises:
        ConfigError: matplotlib is not installed.

    Example:
        >>> image_grid({"row": [np.zeros((1, 1, 3))]}, ["column"])[1:4]
        b'PNG'
    """
    tall = [max(len(p) / p.shape[1] for p in pictures) for pictures in rows.values()]
    figure = empty(2 * len(columns), 2.05 * sum(tall) + 0.2)
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
    return _png(figure)


def empty(width: float = 1, height: float = 1) -> Any:
    """An empty figure of the given size in inches.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("Plots need matplotlib. Try: pip install 'multisi[plots]'") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=84)
    return buffer.getvalue()
