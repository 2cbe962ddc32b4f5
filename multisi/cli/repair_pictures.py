"""The pictures of the page of a repair, as bytes of PNG files."""

import io

import numpy as np

from multisi.analysis import plots
from multisi.cli.repair_figures import Figures
from multisi.files.samples import Array

_COLUMNS, _DPI, _CENTRAL, _MOST = 3, 130, 0.005, 12
"""Columns whose densities are drawn, the resolution, the share of rows at each end that is not
drawn, and the most groups in one picture of densities."""


def check() -> None:
    """Check that pictures can be drawn.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    plots.empty()


def drawn(figures: Figures) -> dict[str, bytes]:
    """Distances of the groups, and the densities of the columns that moved most.

    Arguments:
        figures: The figures of a table.
    """
    found = {"KS distances of the groups, before and after": _distances(figures)}
    for name in figures.moved[:_COLUMNS] if len(figures.groups) <= _MOST else ():
        found[f"Densities of {name}, before and after"] = _densities(figures, name)
    return found


def _distances(figures: Figures) -> bytes:
    from multisi.fairness import plot_distances

    size = min(12.0, 1.4 + 0.62 * len(figures.groups))
    with plots.drawn(2 * size + 0.8, size + 0.4) as figure:
        groups = np.array(figures.groups, dtype=object)[figures.codes]
        plot_distances(
            figures.before, figures.after, sensitive_features=groups, ax=figure.subplots(1, 2)
        )
        return _small(plots.picture(figure, "png", _DPI))


def _densities(figures: Figures, column: str) -> bytes:
    from multisi.fairness import canvas, plot_densities

    one, other = (table[column].to_numpy() for table in (figures.spread, figures.after))
    rows = _central(one) & _central(other)
    if len(np.unique(figures.codes[rows])) < len(figures.groups):
        rows = np.ones(len(one), bool)
    with plots.drawn(8.2, 2.9) as figure:
        axes = plot_densities(
            figures.spread[[column]][rows],
            figures.after[[column]][rows],
            sensitive_features=np.array(figures.groups, dtype=object)[figures.codes[rows]],
            column=column,
            ax=figure.subplots(1, 2),
        )
        axes[1].get_legend().remove()  # Beside the curves it hides none, however many there are.
        lines, names = axes[1].get_legend_handles_labels()
        canvas.key(figure, handles=lines, labels=names, loc="outside right upper")
        return _small(plots.picture(figure, "png", _DPI))


def _small(picture: bytes) -> bytes:
    """A picture in 256 colours, which takes less than half of the bytes."""
    from PIL import Image  # It comes with matplotlib.

    buffer = io.BytesIO()
    colours = (
        Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    )
    colours.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _central(values: Array) -> Array:
    """The rows whose values are not at an end, of numbers that vary."""
    if values.dtype.kind not in "iuf":
        return np.ones(len(values), bool)
    low, high = np.quantile(values, [_CENTRAL, 1 - _CENTRAL])
    if low == high:
        return np.ones(len(values), bool)
    inside: Array = (values >= low) & (values <= high)
    return inside
