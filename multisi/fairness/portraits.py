"""Pictures of rows: distances and densities of groups, and where single rows go."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from multisi.common import checks
from multisi.errors import DataError
from multisi.fairness import canvas
from multisi.fairness.metrics import ks_distance
from multisi.fairness.reading import Array, as_frame, coded, read

_LEVELS, _POINTS, _CROWDED = 30, 300, 12
"""Most values of a column of which each has a dot; points of a curve; groups with numbers."""


def plot_distances(
    X: Any,
    Z: Any,
    *,
    sensitive_features: Any,
    metric: Callable[..., float] = ks_distance,
    ax: Any = None,
) -> Any:
    """Distances of all pairs of groups before and after, as two heat maps with the same colours.

    Arguments:
        X: The table before, of shape `(n, d)`.
        Z: The table after, with the same rows.
        sensitive_features: The group of every row; several columns are crossed.
        metric: A metric such as `ks_distance`, of the rows of two groups.
        ax: Two Axes; new ones if it is `None`.

    Returns:
        An array of the two Axes of matplotlib.

    Raises:
        DataError: the tables do not go together, or there are fewer than two groups.
        ConfigError: `ax` is not two Axes, or matplotlib is not installed.

    References:
        Barocas, Hardt and Narayanan, "Fairness and Machine Learning" (2023), fairmlbook.org.
    """
    tables = read(X, Z)
    names, codes = coded(sensitive_features, len(tables[0]))
    found = [_matrix(rows, codes, len(names), metric) for rows in tables]
    top, size = max(float(np.nanmax(values)) for values in found) or 1.0, len(names)
    shown, long = [canvas.short(name) for name in names], max(map(len, map(canvas.short, names)))
    axes = canvas.axes(ax, 2, (1.1 + 0.6 * size + 0.05 * long, 0.7 + 0.58 * size + 0.05 * long))
    for one, values, title in zip(axes, found, ("before", "after"), strict=True):
        image = one.imshow(values, cmap="Blues", vmin=0, vmax=1.15 * top)
        one.set_facecolor("#F3F3F3")
        one.set_xticks(range(size), shown, rotation=35, ha="right", parse_math=False)
        one.set_yticks(range(size), shown if one is axes[0] else [""] * size, parse_math=False)
        one.tick_params(length=0, labelcolor=canvas.INK)
        one.spines[:].set_visible(False)
        one.set_title(title, fontsize=11, color=canvas.INK)
        for (i, j), value in np.ndenumerate(values if size <= _CROWDED else values[:0]):
            if np.isfinite(value):
                colour = "white" if value > 0.6 * top else canvas.INK
                text = f"{value:.2f}".replace("-0.00", "0.00")
                one.text(j, i, text, ha="center", va="center", color=colour, fontsize=9)
    label = metric.__name__.replace("_", " ").replace("ks", "KS")
    bar = axes[1].figure.colorbar(image, ax=list(axes), label=label, shrink=0.9)
    bar.outline.set_visible(False)
    return axes


def _matrix(rows: Array, codes: Array, size: int, metric: Callable[..., float]) -> Array:
    values = np.full((size, size), np.nan)
    for i in range(size):
        for j in range(i):
            part = (codes == i) | (codes == j)
            found = metric(rows[part], sensitive_features=codes[part])
            values[i, j] = values[j, i] = found
    return values


def plot_densities(
    X: Any, Z: Any, *, sensitive_features: Any, column: Any = 0, ax: Any = None
) -> Any:
    """The laws of one column in all groups, before and after.

    A smooth density by a Gaussian kernel, or the share of every value where there are few.

    Arguments:
        X: The table before, of shape `(n, d)`.
        Z: The table after, with the same rows.
        sensitive_features: The group of every row; several columns are crossed.
        column: Name or position of the column.
        ax: Two Axes; new ones if it is `None`.

    Returns:
        An array of the two Axes of matplotlib.

    Raises:
        DataError: the tables do not go together, or have no such column.
        ConfigError: `ax` is not two Axes, or matplotlib is not installed.

    References:
        Silverman, "Density Estimation for Statistics and Data Analysis" (1986).
    """
    places, tables = list(as_frame(X).columns), read(X, Z)
    i = places.index(column) if column in places else column
    if not isinstance(i, int | np.integer) or not -len(places) <= i < len(places):
        raise DataError(f"X has no column {column!r}; it has {', '.join(map(str, places))}.")
    names, codes = coded(sensitive_features, len(tables[0]))
    both = [rows[:, i] for rows in tables]
    ends = min(map(np.min, both)), max(map(np.max, both))
    axes = canvas.axes(ax, 2, (4.4, 3.4))
    for one, values, title in zip(axes, both, ("before", "after"), strict=True):
        levels = np.unique(values)
        few = len(levels) <= _LEVELS
        for k, name in enumerate(names):
            look = {**canvas.style(k), "linewidth": 2, "label": canvas.short(name)}
            part = values[codes == k]
            if few:
                one.plot(levels, (part[:, None] == levels).mean(0), markersize=5, **look)
            else:
                one.plot(*_density(part, ends), **{**look, "marker": ""})
        canvas.tidy(one, ylabel="share of rows" if few else "density", title=title)
        one.set_xlabel(str(places[i]), parse_math=False)
        margin = 0.03 * (ends[1] - ends[0] or 1)
        one.set(xlim=(ends[0] - margin, ends[1] + margin), ylim=(0, None))
    canvas.key(axes[1])
    return axes


def _density(values: Array, ends: tuple[float, float]) -> tuple[Array, Array]:
    """A density on a grid; for a column that is constant in a group, a narrow peak."""
    grid = np.linspace(ends[0], ends[1], _POINTS)
    deviation = values.std(ddof=1) if len(values) > 1 else 0.0
    spread = min(deviation, np.subtract(*np.quantile(values, [0.75, 0.25])) / 1.34) or deviation
    width = max(0.9 * spread * len(values) ** -0.2, grid[1] - grid[0])
    found = np.zeros(_POINTS)
    for part in np.array_split(values, -(-len(values) // 4096)):
        found += np.exp(-(((grid[:, None] - part) / width) ** 2) / 2).sum(1)
    return grid, found / (len(values) * width * np.sqrt(2 * np.pi))


def plot_counterfactuals(
    path: Any,
    *,
    columns: tuple[Any, Any] = (0, 1),
    names: Sequence[Any] = ("given", "counterfactual"),
    most: int = 60,
    ax: Any = None,
) -> Any:
    """Arrows from rows to their counterfactuals, in two columns.

    What a row would have been in another group is not identified by the data: these are the rows
    that one map gives.

    Arguments:
        path: A pair of tables, or an array of shape `(m, n, d)` with `m` states of every row.
        columns: Names or positions of the columns of the two axes.
        names: Names of the first and the last state.
        most: Number of rows that are shown, evenly from all.
        ax: The Axes; new ones if it is `None`.

    Returns:
        The Axes of matplotlib.

    Raises:
        DataError: the states do not go together, or have no such columns.
        ConfigError: `most` is not a positive integer, or matplotlib is not installed.

    References:
        De Lara et al., "Transport-based Counterfactual Models" (2021), arXiv:2108.13025.
    """
    most, states = checks.integer(most, "most"), list(path)
    if len(states) < 2:
        raise DataError(f"A path must have two states or more; got {len(states)}.")
    places = list(as_frame(states[0]).columns)
    if any(column not in places for column in columns) or len(columns) != 2:
        raise DataError(f"columns must be two of {places}; got {columns!r}.")
    rows = read(*states)
    if len({len(part) for part in rows}) > 1:
        raise DataError(f"All states must have the same rows; got {[len(part) for part in rows]}.")
    shown = np.unique(np.linspace(0, len(rows[0]) - 1, most, dtype=int))
    both = [places.index(column) for column in columns]
    ways = np.stack([part[shown][:, both] for part in rows], 1)
    ax = canvas.axes(ax)
    _arrows(ax, ways)
    for i, (name, side) in enumerate(zip(names, (0, -1), strict=True)):
        look = {"color": canvas.style(i)["color"], "marker": "os"[i], "linestyle": "none"}
        ax.plot(
            *ways[:, side].T,
            **look,
            markersize=5,
            markeredgecolor="white",
            label=canvas.short(name),
        )
    canvas.tidy(ax)
    ax.set_xlabel(str(columns[0]), parse_math=False)
    ax.set_ylabel(str(columns[1]), parse_math=False)
    canvas.key(ax)
    return ax


def _arrows(ax: Any, ways: Array) -> None:
    """A line through all states of every row, with a head before the last."""
    from matplotlib.patches import FancyArrowPatch

    look: Any = {"color": canvas.PALE, "linewidth": 0.9, "alpha": 0.8}
    for way in ways:
        ax.plot(*way[:-1].T, **look, zorder=1)
        head = FancyArrowPatch(
            *way[-2:], arrowstyle="-|>", mutation_scale=8, shrinkA=0, shrinkB=3, **look
        )
        if (way[-1] != way[-2]).any():
            ax.add_patch(head)
