"""Pictures of trajectories: cells coloured by time, their ways, streamlines and laws between."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi.analysis.plots import check_kind, drawn, picture
from multisi.common import checks, seeds
from multisi.common.printable import printable
from multisi.common.seeds import generator
from multisi.common.torch_state import own_state
from multisi.errors import ConfigError
from multisi.trajectories.conditions import named
from multisi.trajectories.groups import Group, groups, only
from multisi.trajectories.trajectory import Trajectory

_WAYS, _CELLS, _LAW, _GRID, _MOMENTS, _ROWS = 120, 600, 1000, 24, 17, 8
"""Ways and cells of each snapshot that are shown, samples of a law, places of streamlines in each
direction, times whose velocities are averaged, and conditions that are shown."""


@own_state
def ways(found: Trajectory, *, condition: Any = None, seed: int = 0, format: str = "png") -> bytes:
    """Snapshots and the ways of cells over the first two features, and laws at times between.

    The left panel has the cells of all snapshots and the ways of some from the first to the last
    time, coloured by time; the middle one streamlines of the velocity, averaged over all times;
    the third one the laws halfway between snapshots. With growth a fourth one has its rate. Each
    condition has a row of panels.

    Arguments:
        found: A trajectory with its snapshots.
        condition: One of its conditions; `None` for all, at most eight.
        seed: Seed of the cells that are shown.
        format: `"png"`, `"pdf"`, `"svg"` or `"jpg"`.

    Returns:
        The bytes of a file of this format.

    Raises:
        ConfigError: there are no snapshots or fewer than two features, the format is unknown, or
            matplotlib is not installed.

    Examples:
        >>> from multisi import trajectories
        >>> x = torch.randn(2, 99, 2, generator=torch.Generator().manual_seed(0))
        >>> ways(trajectories.fit({0: x[0], 1: x[1] + 3}, steps=2, progress=False))[1:4]
        b'PNG'
    """
    check_kind(format)
    seed = seeds.check(seed)
    known = checks.instance(found, Trajectory, "found").snapshots
    if known is None:
        raise ConfigError("A picture needs the snapshots: load the trajectory with them.")
    if known.marginals[0].event_shape[0] < 2:
        raise ConfigError("A picture needs a trajectory with snapshots of two features or more.")
    wanted = groups(known)[:_ROWS] if condition is None else [only(known, condition)]
    panels = 3 + bool(found.growth)
    with drawn(4.3 * panels, 4.2 * len(wanted)) as figure:
        rows = figure.subplots(len(wanted), panels, sharex=True, sharey=True, squeeze=False)
        maps = [_row(figure, *row, found, seed) for row in zip(rows, wanted, strict=True)]
        largest = max([float(np.abs(m.get_array()).max()) for m in maps if m], default=0)
        for shown in filter(None, maps):  # One colour means one rate in all rows.
            shown.set_clim(-largest or -1.0, largest or 1.0)
        return picture(figure, format, 100)


def _row(figure: Any, axes: Any, group: Group, found: Trajectory, seed: int) -> Any:
    """The panels of one condition; returns the map of growth, if there is one."""
    known, random = group.snapshots, generator(seed, 18)
    told: dict[str, Any] = {} if group.condition is None else {"condition": group.condition}
    shown = [m.take(m.draw(min(_CELLS, len(m)), random)) for m in known.marginals]
    times = np.linspace(known.times[0], known.times[-1], 8 * len(known.times))
    lines = torch.as_tensor(found.sample(shown[0][:_WAYS], known.times[0], times, **told))
    middles = [(a + b) / 2 for a, b in zip(known.times, known.times[1:], strict=False)]
    laws = [found.law(t, _LAW, seed=seed, **told) for t in middles]
    _cells(figure, axes[0], known.times, shown, lines[..., :2].cpu().numpy(), times)
    if group.condition is not None:
        name = printable(named(group.condition, known.conditions), 40)
        axes[0].set_title(f"condition {name}", parse_math=False)
    _streams(axes[1], found, told)
    for law, colour, t in zip(laws, _colours(known.times, middles), middles, strict=True):
        axes[2].scatter(*law[:, :2].cpu().T, s=3, color=colour, label=f"{t:.3g}", linewidths=0)
    axes[2].legend(title="time", markerscale=4, fontsize=7)
    axes[2].set_title("laws between snapshots")
    if not found.growth:
        return None
    rates = [found.log_growth(x, t, **told) for x, t in zip(laws, middles, strict=True)]
    return _rates(figure, axes[3], torch.cat(rates).numpy(), torch.cat(laws))


def _rates(figure: Any, axis: Any, rate: "np.ndarray[Any, Any]", states: Tensor) -> Any:
    """The rate of growth of cells at times between snapshots; red grows, blue dies."""
    x, y = states[:, :2].cpu().double().numpy().T
    shown = axis.scatter(x, y, s=3, c=rate, cmap="coolwarm", linewidths=0)
    figure.colorbar(shown, ax=axis, label="rate of growth", shrink=0.8)
    axis.set_title("growth")
    return shown


def _cells(
    figure: Any, axis: Any, known: Any, shown: Any, lines: "np.ndarray[Any, Any]", times: Any
) -> None:
    """Cells and ways, coloured by time."""
    from matplotlib.collections import LineCollection

    pieces = np.stack([lines[:-1], lines[1:]], 2).reshape(-1, 2, 2)
    ways = LineCollection(list(pieces), cmap="viridis", lw=0.5, alpha=0.6)
    ways.set_array(np.repeat((times[1:] + times[:-1]) / 2, lines.shape[1]))
    ways.set_clim(known[0], known[-1])
    axis.add_collection(ways)
    for x, colour in zip(shown, _colours(known, known), strict=True):
        axis.scatter(*x[:, :2].cpu().T, s=4, color=colour, linewidths=0)
    figure.colorbar(ways, ax=axis, label="time", shrink=0.8)
    axis.set(title="snapshots and ways", xlabel="feature 1", ylabel="feature 2")


def _streams(axis: Any, found: Trajectory, told: Any) -> None:
    """Streamlines of the mean velocity over the first two features, where there are cells."""
    first, last = found.times[0], found.times[-1]
    at, velocity = [], []
    for t in np.linspace(first, last, _MOMENTS).tolist():
        x = found.law(t, _LAW, **told)
        at.append(x[:, :2])
        velocity.append(torch.as_tensor(found.velocity(x, t, **told))[:, :2])
    x, y = torch.cat(at).cpu().double().numpy().T
    edges: Any = [np.linspace(z.min(), z.max(), _GRID + 1) for z in (x, y)]
    count = np.histogram2d(x, y, bins=edges)[0]
    sums = [
        np.histogram2d(x, y, bins=edges, weights=w)[0]
        for w in torch.cat(velocity).cpu().double().numpy().T
    ]
    u, v = (np.where(count > 1, total / np.maximum(count, 1), np.nan).T for total in sums)
    axis.scatter(x, y, s=2, color="#c9ccd2", linewidths=0)
    centres = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    axis.streamplot(*centres, u, v, color="#1f3b73", linewidth=0.8, density=1.4)
    axis.set_title("mean velocity over all times")


def _colours(known: Any, times: Any) -> Any:
    """The colour of each time."""
    from matplotlib import colormaps

    return colormaps["viridis"]([(t - known[0]) / (known[-1] - known[0]) for t in times])
