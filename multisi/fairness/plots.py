"""Pictures of tables of figures: frontiers, leakage, and maps over the simplex."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from multisi.errors import DataError
from multisi.fairness import canvas
from multisi.fairness.reading import Array, read

_NAMES = {
    "ks": "KS distance between groups",
    "leakage": "leakage: balanced accuracy of a probe",
    "demographic_parity_difference": "demographic parity difference",
}


def plot_pareto(
    table: Any, baselines: Any = None, *, unfairness: str = "ks", ax: Any = None
) -> Any:
    """Utility against unfairness, a point for every amount, with other methods beside.

    Points are medians over splits, and bars reach from the first to the third quartile.

    Arguments:
        table: A table as `pareto_frontier` returns it.
        baselines: Names of other methods to `(unfairness, utility)`, or to a table of theirs.
        unfairness: The column of the horizontal axis.
        ax: The Axes; new ones if it is `None`.

    Returns:
        The Axes of matplotlib.

    Raises:
        DataError: the table has no such column.
        ConfigError: matplotlib is not installed.

    References:
        Chzhen and Schreuder, "A minimax framework for quantifying risk-fairness trade-off in
        regression" (2020), arXiv:2007.14265.
    """
    amounts, low, middle, high = _quartiles(table, [unfairness, "utility"])
    ax = canvas.axes(ax)
    colour = canvas.style(0)["color"]
    ax.errorbar(
        *middle.T,
        xerr=[middle[:, 0] - low[:, 0], high[:, 0] - middle[:, 0]],
        yerr=[middle[:, 1] - low[:, 1], high[:, 1] - middle[:, 1]],
        fmt="none",
        ecolor=colour,
        alpha=0.3,
        linewidth=1.5,
    )
    ax.plot(
        *middle.T, color=colour, marker="o", markersize=6, linewidth=2, label="repair, by amount"
    )
    for amount, place in zip(amounts, middle, strict=True):
        canvas.note(ax, f"{amount:g}", place, xytext=(7, -11))
    for i, (name, found) in enumerate(dict(baselines or {}).items(), 1):
        if hasattr(found, "columns"):
            found = _quartiles(found, [unfairness, "utility"])[2].T
        look = {**canvas.style(i), "linestyle": "none"}
        ax.plot(*found, **look, markersize=8, markeredgecolor="white", label=canvas.short(name))
    shown = f"{_NAMES.get(unfairness, unfairness)}  (← fairer)"
    canvas.tidy(ax, xlabel=shown, ylabel=table.attrs.get("utility", "utility"))
    ax.margins(0.12)
    if baselines:
        canvas.key(ax, loc="lower right")
    return ax


def plot_leakage(table: Any, chance: float | None = None, *, ax: Any = None) -> Any:
    """Leakage against the amount of repair, with the line of chance.

    The line joins the medians over splits; the band reaches from the first to the third quartile.

    Arguments:
        table: A table as `pareto_frontier` returns it.
        chance: Balanced accuracy of guessing, 1 / number of groups; that of the table if `None`.
        ax: The Axes; new ones if it is `None`.

    Returns:
        The Axes of matplotlib.

    Raises:
        DataError: the table has no such columns.
        ConfigError: matplotlib is not installed.

    References:
        Balunović et al., "Fair Normalizing Flows" (2021), arXiv:2106.05937.
    """
    amounts, low, middle, high = (part.T for part in _quartiles(table, ["leakage"]))
    ax = canvas.axes(ax)
    colour = canvas.style(0)["color"]
    ax.fill_between(amounts, low[0], high[0], color=colour, alpha=0.18, linewidth=0)
    ax.plot(amounts, middle[0], color=colour, marker="o", markersize=6, linewidth=2)
    canvas.tidy(ax, xlabel="amount of repair", ylabel=_NAMES["leakage"])
    ax.set_xticks(amounts, [f"{amount:g}" for amount in amounts])
    chance = table.attrs.get("chance") if chance is None else chance
    if chance is not None:
        ax.axhline(chance, color=canvas.INK, linestyle="--", linewidth=1.2)
        canvas.note(ax, f"chance {chance:.3g}", (amounts[0], chance), xytext=(0, 4))
        room = 0.15 * max(high.max() - chance, 0.01)
        ax.set_ylim(min(low.min(), chance) - room, max(high.max(), chance) + room)
    return ax


def plot_ternary(
    alphas: Any,
    values: Any,
    *,
    names: Sequence[Any] = ("1", "2", "3"),
    label: str = "",
    ax: Any = None,
) -> Any:
    """A figure over the simplex of three groups, by its values at some points.

    Between the points it is interpolated on triangles.

    Arguments:
        alphas: Points of the simplex, of shape `(n, 3)`.
        values: The figure at every point, of shape `(n,)`.
        names: Names of the groups.
        label: Name of the figure.
        ax: The Axes; new ones if it is `None`.

    Returns:
        The Axes of matplotlib.

    Raises:
        DataError: the points are not on the simplex, are all on one line, or values are missing.
        ConfigError: matplotlib is not installed.

    Examples:
        >>> plot_ternary([[1, 0, 0], [0, 1, 0]], [1, 2])
        Traceback (most recent call last):
        multisi.errors.DataError: alphas must have three points that are not on one line.
    """
    points, found = _on_simplex(alphas, values)
    ax = canvas.axes(ax, size=(5.4, 4.4))
    from matplotlib.tri import Triangulation

    mesh = Triangulation(*points.T)
    shown = ax.tripcolor(mesh, found, shading="gouraud", cmap="cividis")
    if np.ptp(found) > 0:
        ax.tricontour(mesh, found, levels=6, colors="white", linewidths=0.8, alpha=0.8)
    ax.plot(*points.T, ".", color="white", markersize=3.5, alpha=0.9)
    ax.plot(*_CORNERS[[0, 1, 2, 0]].T, color=canvas.INK, linewidth=1.2)
    sides = [("right", "top"), ("left", "top"), ("center", "bottom")]
    for name, corner, (across, along) in zip(names, _CORNERS, sides, strict=True):
        shift = 0.03 * np.sign(corner - _CORNERS.mean(0))
        options = {"ha": across, "va": along, "color": canvas.INK, "parse_math": False}
        ax.text(*(corner + shift * [0, 1]), canvas.short(name), **options)
    ax.set_aspect("equal")
    ax.set_axis_off()
    bar = ax.figure.colorbar(shown, ax=ax, label=label, shrink=0.75, pad=0.06)
    bar.outline.set_visible(False)
    return ax


_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])


def _on_simplex(alphas: Any, values: Any) -> tuple[Array, Array]:
    (weights,), (found,) = read(alphas), read(values)
    if weights.shape != (len(found), 3) or found.shape[1] != 1:
        raise DataError(
            f"A point has three weights and one value; got shapes {weights.shape} and "
            f"{found.shape}."
        )
    if weights.min() < -1e-6 or np.abs(weights.sum(1) - 1).max() > 1e-6:
        raise DataError("alphas must be on the simplex: no weight below 0, and a sum of 1.")
    points = weights @ _CORNERS
    if np.linalg.matrix_rank(points - points[0], tol=1e-9) < 2:
        raise DataError("alphas must have three points that are not on one line.")
    return points, found[:, 0]


def _quartiles(table: Any, columns: list[str]) -> tuple[Array, Array, Array, Array]:
    """The amounts, and the quartiles of columns over splits, of shape `(amounts, columns)`."""
    missing = [name for name in ["amount", *columns] if name not in table.columns]
    if missing:
        raise DataError(f"The table has no column {missing[0]!r}; it has {list(table.columns)}.")
    by_amount = table.groupby("amount")[columns]
    low, middle, high = (by_amount.quantile(q) for q in (0.25, 0.5, 0.75))
    return middle.index.to_numpy(), low.to_numpy(), middle.to_numpy(), high.to_numpy()
