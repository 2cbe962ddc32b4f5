"""Draw the figures of the pages: `python docs/make_figures.py [NAME …]`, three minutes for all."""

import io
import pathlib
import re
import sys

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from make_play import datasets
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from PIL import Image

import multisi
from multisi.paths import Bow, Path

ASSETS = pathlib.Path(__file__).parent / "assets"
BLUE, ORANGE, GREEN, GREY = "#3565a8", "#d9772b", "#2f8f66", "#8b9098"
CORNERS = np.array([[0.5, 3**0.5 / 2], [0.0, 0.0], [1.0, 0.0]])


def simplex() -> Figure:
    """The law at fifteen points of the simplex: one ring, moved everywhere."""
    data = datasets(0)
    model = multisi.fit({n: x[:4000] for n, x in data.items()}, steps=4000, seed=0, progress=False)
    ring = datasets(1)["ring"][:700]
    hue = (np.arctan2(ring[:, 1], ring[:, 0]) / np.pi + 1) / 2
    shade = hsv_to_rgb(np.stack([hue, 0.7 + 0 * hue, 0.75 + 0 * hue], 1))
    figure = plt.figure(figsize=(9.6, 8.4))
    for i in range(5):
        for j in range(5 - i):
            alpha = np.array([i, 4 - i - j, j]) / 4
            x, y = alpha @ CORNERS
            axes = figure.add_axes((0.02 + 0.78 * x, 0.02 + 0.87 * y, 0.18, 0.2))
            moved = model.transport(ring, "ring", alpha)
            axes.scatter(*moved.T, s=2.2, c=shade, linewidths=0, clip_on=False)
            axes.set(xlim=(-3.3, 3.3), ylim=(-3.3, 3.3), aspect="equal")
            axes.axis("off")
            if alpha.max() == 1:
                name = list(data)[alpha.argmax()]
                axes.set_title(name, fontsize=13, y=-0.12 if i == 0 else 0.98)
    return figure


def means() -> Figure:
    """A state, and the conditional means in three datasets of which it is the mixture."""
    exact, laws = _three_mixtures()
    rng, x, alpha = np.random.default_rng(0), torch.tensor([[0.15, 0.0]]), [0.45, 0.25, 0.3]
    g = exact.means(x, torch.tensor(alpha))[0]
    figure, axes = plt.subplots(figsize=(6.6, 4.6))
    for colour, (name, (centres, spread)) in zip((BLUE, ORANGE, GREEN), laws.items(), strict=True):
        rows = centres[rng.integers(len(centres), size=500)] + spread * rng.normal(size=(500, 2))
        axes.scatter(*rows.T, s=3, c=colour, alpha=0.35, linewidths=0, label=name)
    axes.fill(*g.T, facecolor="none", edgecolor=GREY, lw=1)
    for colour, point, share, k in zip((BLUE, ORANGE, GREEN), g, alpha, range(3), strict=True):
        axes.plot([x[0, 0], point[0]], [x[0, 1], point[1]], c=GREY, lw=1, ls=":")
        axes.scatter(*point, s=90, c=colour, edgecolors="white", zorder=3)
        axes.annotate(f"$g_{k}$, weight {share}", point, (9, 7), textcoords="offset points")
    axes.scatter(*x.T, s=90, c="black", edgecolors="white", zorder=4)
    axes.annotate(r"$x = \sum_k \alpha_k g_k$", x[0], (8, -16), textcoords="offset points")
    axes.set_aspect("equal")
    axes.axis("off")
    axes.legend(loc="lower left", frameon=False, markerscale=4, bbox_to_anchor=(0, 0.1))
    return figure


def noise() -> Figure:
    """The same law by the flow and by two SDEs, and the path that the SDEs take."""
    exact = _two_gaussians()
    start = torch.full((40, 1), -1.8)
    bow = Bow([torch.tensor([0.0, 1, 0]), torch.tensor([0.0, 0, 1])])
    figure, panels = plt.subplots(1, 4, figsize=(11.5, 3.1), width_ratios=(1, 1, 1, 0.9))
    clouds = torch.cat(
        [torch.randn(4000, 1, generator=torch.Generator().manual_seed(1)) * 0.5 - 1.5]
    )
    for axes, amount in zip(panels, (0.0, 0.5, 2.0), strict=False):
        options = {"noise": amount, "seed": 0} if amount else {"path": bow}
        whole = exact.transport(clouds, "a", "b", steps=60, return_path=True, **options)[..., 0]
        few = exact.transport(start, "a", "b", steps=60, return_path=True, **options)[..., 0]
        times = np.linspace(0, 1, len(whole))
        shares = np.stack(
            [np.histogram(w, 60, (-4, 4), density=True)[0] for w in whole.numpy()], 1
        )
        axes.imshow(
            shares, origin="lower", extent=(0, 1, -4, 4), aspect="auto", cmap="Blues", vmax=0.9
        )
        axes.plot(times, few.numpy()[:, :12], c=ORANGE, lw=0.9)
        axes.set(xlabel="time", title=f"noise {amount:g}" if amount else "flow", ylim=(-4, 4))
        axes.set_yticks([])
    _bow(panels[3])
    figure.tight_layout()
    return figure


def couplings() -> Figure:
    """The maps that two couplings of the same rows lead to."""
    rng = np.random.default_rng(3)
    a = rng.normal(size=(1500, 2)) * 0.35 + np.array([[-2, 0]])
    a[:, 1] += rng.choice([-1.1, 1.1], 1500)
    b = rng.normal(size=(1500, 2)) * 0.35 + np.array([[2, 0]])
    b[:, 1] += rng.choice([-1.1, 1.1], 1500)
    figure, panels = plt.subplots(1, 3, figsize=(11.5, 3.6))
    for axes, coupling in zip(panels, ("independent", "ot"), strict=False):
        model = multisi.fit(
            {"a": a, "b": b}, coupling=coupling, steps=1500, seed=0, progress=False
        )
        path = model.transport(a[:60], "a", "b", steps=40, return_path=True)
        axes.plot(*path.transpose(2, 0, 1), c=GREY, lw=0.7)
        axes.scatter(*path[0].T, s=9, c=BLUE, zorder=3)
        axes.scatter(*path[-1].T, s=9, c=ORANGE, zorder=3)
        middle = model.transport(a, "a", model.barycenter)
        energy = float((np.diff(path, axis=0) ** 2).sum((0, 2)).mean() * (len(path) - 1))
        axes.set_title(f"coupling {coupling}: path energy {energy:.1f}")
        axes.set_aspect("equal")
        axes.axis("off")
        panels[2].scatter(
            *middle.T,
            s=2,
            label=f"barycentre, {coupling}",
            linewidths=0,
            c=GREEN if coupling == "ot" else GREY,
        )
    panels[2].set_aspect("equal")
    panels[2].axis("off")
    panels[2].legend(frameon=False, markerscale=4, loc="upper center", bbox_to_anchor=(0.5, 0))
    figure.tight_layout()
    return figure


def fairness() -> Figure:
    """Two groups, the barycentre, and what a repair of columns leaves of the labels."""
    rng = np.random.default_rng(0)
    score = {"group a": rng.gamma(5, 0.42, 6000), "group b": 7.5 - rng.gamma(4, 0.65, 6000)}
    middle = np.mean([np.sort(rows) for rows in score.values()], axis=0)
    figure, panels = plt.subplots(1, 3, figsize=(11.5, 3.1))
    bins = np.linspace(0, 8, 60)
    for colour, (name, rows) in zip((BLUE, ORANGE), score.items(), strict=True):
        panels[0].hist(rows, bins, density=True, color=colour, alpha=0.55, label=name)
        panels[1].plot(np.sort(rows)[::40], middle[::40], c=colour, lw=2, label=name)
        repaired = middle[np.argsort(np.argsort(rows))]
        panels[2].hist(repaired, bins, density=True, color=colour, alpha=0.55, label=name)
    panels[0].set(title="before: the score tells the group", xlabel="score", yticks=[])
    panels[1].plot([0, 8], [0, 8], c=GREY, lw=1, ls=":")
    panels[1].set(title="one monotone map a group", xlabel="score", ylabel="repaired score")
    panels[1].set(xlim=(0, 8), ylim=(0, 8))
    panels[2].set(title="after: it does not", xlabel="repaired score", yticks=[])
    for axes in panels:
        axes.legend(frameon=False)
    figure.tight_layout()
    return figure


def paths() -> Figure:
    """The cheapest path from a ring to tiles, on the simplex and for samples."""
    model = _ring_and_tiles()
    learned = model.learn_path("ring", "tiles", progress=False)
    figure, panels = plt.subplots(1, 3, figsize=(11.5, 3.9))
    _triangle(panels[0], learned)
    x = model.conditional_means.sample(4000, torch.Generator().manual_seed(0))[:, 1]
    grid = np.linspace(0, 1, 61)
    for axes, path, colour in zip(panels[1:], ("segment", None), (GREY, ORANGE), strict=True):
        states = model.transport(x, "ring", "tiles", path=path, return_path=True, grid=grid)
        cost = float(model.transport_cost("ring", "tiles", path=path))
        axes.plot(*states[:, :90].permute(2, 0, 1), c=colour, lw=0.6, alpha=0.8)
        axes.scatter(*states[0, :90].T, s=6, c=BLUE, zorder=3)
        axes.scatter(*states[-1, :90].T, s=6, c=GREEN, zorder=3)
        name = "edge" if path else "learned path"
        axes.set(title=f"{name}: cost {cost:.1f}", aspect="equal")
        axes.axis("off")
    figure.tight_layout()
    return figure


def solvers() -> Figure:
    """The error on a learned field against the number of network calls."""
    rows = _table("Solvers on a learned field", 0)
    figure, axes = plt.subplots(figsize=(6.4, 3.8))
    calls = [8, 16, 32, 64]
    for name, *cells in rows:
        errors = [float(cell.split(",")[1]) for cell in cells]
        best = name == "`adams`"
        axes.plot(
            calls,
            errors,
            "o-",
            lw=2.6 if best else 1.2,
            ms=4,
            label=name.strip("`"),
            c="black" if best else None,
            zorder=3 if best else 2,
        )
    axes.set(xscale="log", yscale="log", xlabel="network calls", ylabel="error of the flow")
    axes.set_xticks(calls, calls)
    axes.minorticks_off()
    axes.legend(frameon=False, ncols=2)
    axes.grid(alpha=0.25)
    return figure


def pairs() -> Figure:
    """One model of five sets beside ten pairwise models of torchcfm."""
    rows = [row for row in _table("One model and all its pairs", 0) if row[2].count(",") == 2]
    rows = [row for row in rows if "law" not in row[0] and "noise" not in row[0]]
    figure, axes = plt.subplots(figsize=(7.2, 2.5))
    names = [row[0].replace("`", "") for row in rows][::-1]
    seeds = [[float(f.replace("−", "-")) for f in row[2].split(",")] for row in rows][::-1]
    colours = [GREY if "torchcfm" in name else BLUE for name in names]
    axes.barh(names, [np.mean(s) for s in seeds], color=colours)
    for i, s in enumerate(seeds):
        axes.plot(s, [i] * len(s), "o", c="black", ms=3)
    axes.axvline(0.0007, c=ORANGE, lw=1.2)
    axes.annotate("two samples of one law", (0.0007, 2.5), (0.0012, 2.42), color=ORANGE)
    axes.set(xlabel="energy distance, mean over all 20 directions; points are seeds")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _table(section: str, number: int) -> list[list[str]]:
    """The cells of a table of the benchmarks, without its head."""
    text = (ASSETS.parent / "benchmarks.md").read_text()
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]
    table = re.findall(r"(?:^\|.*\n)+", text, re.M)[number].splitlines()[2:]
    return [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in table]


def _three_mixtures() -> tuple[multisi.Model, dict]:
    """The exact field of three mixtures, and their centres and spreads."""
    laws = {
        "$x_0$": (np.array([[-3.0, 1.2], [-2.4, -1.6]]), 0.35),
        "$x_1$": (np.array([[3.2, 1.6], [2.2, -0.6]]), 0.35),
        "$x_2$": (np.array([[0.2, 3.0], [1.2, -3.0]]), 0.35),
    }
    eye = torch.eye(2)[None].repeat(2, 1, 1)
    field = multisi.GaussianMixtureMeans(
        weights=[torch.full((2,), 0.5)] * 3,
        means=[torch.as_tensor(centres, dtype=torch.float32) for centres, _ in laws.values()],
        covariances=[spread**2 * eye for _, spread in laws.values()],
    )
    return multisi.Model(field, ["a", "b", "c"]), laws


def _two_gaussians() -> multisi.Model:
    """Noise, and two laws of the line, exactly."""
    one = torch.ones(1)
    field = multisi.GaussianMixtureMeans(
        weights=[one, one, torch.tensor([0.6, 0.4])],
        means=[torch.zeros(1, 1), torch.tensor([[-1.5]]), torch.tensor([[2.0], [-0.6]])],
        covariances=[one[:, None, None], 0.25 * one[:, None, None], 0.09 * torch.ones(2, 1, 1)],
    )
    return multisi.Model(field, ["noise", "a", "b"], noise="noise")


def _ring_and_tiles() -> multisi.Model:
    """Noise, eight modes on a ring and eight on a checkerboard, exactly."""
    angle = torch.arange(8, dtype=torch.float64) * torch.pi / 4
    ring = 4 * torch.stack([angle.cos(), angle.sin()], 1)
    odd = range(-3, 5, 2)
    tiles = torch.tensor([[i, j] for i in odd for j in odd if (i + j) % 4]).double()
    eye, even = torch.eye(2, dtype=torch.float64), torch.full((8,), 0.125, dtype=torch.float64)
    field = multisi.GaussianMixtureMeans(
        [torch.ones(1).double(), even, even],
        [torch.zeros(1, 2).double(), ring, tiles],
        [eye[None], 0.09 * eye.repeat(8, 1, 1), 0.16 * eye.repeat(8, 1, 1)],
    )
    return multisi.Model(field, ["noise", "ring", "tiles"], "noise")


def _triangle(axes: Axes, path: Path) -> None:
    """The simplex with a path, coloured by its speed on it."""
    t = torch.linspace(0, 1, 400, dtype=torch.float64)
    at = path(t).numpy() @ CORNERS
    speed = np.linalg.norm(np.diff(at, axis=0), axis=1) * 399
    axes.fill(*CORNERS.T, facecolor="none", edgecolor=GREY, lw=1.2)
    axes.plot(*CORNERS[1:].T, c=GREY, lw=2.4)
    shown = axes.scatter(*((at[1:] + at[:-1]) / 2).T, c=speed, s=9, cmap="plasma")
    axes.figure.colorbar(shown, ax=axes, shrink=0.6, label="speed on the simplex")
    for name, corner, way in zip(("noise", "ring", "tiles"), CORNERS, (6, -14, -14), strict=True):
        axes.annotate(name, corner, (0, way), textcoords="offset points", ha="center")
    axes.set_aspect("equal")
    axes.axis("off")


def _bow(axes: Axes) -> None:
    """The triangle of noise and two datasets, with the edge and the bow."""
    u = torch.linspace(0, 1, 100)
    lift = 0.5 * torch.sin(torch.pi * u).square()
    bow = torch.stack([lift, (1 - lift) * (1 - u), (1 - lift) * u], -1).numpy() @ CORNERS
    axes.fill(*CORNERS.T, facecolor="none", edgecolor=GREY, lw=1.2)
    axes.plot(*CORNERS[1:].T, c=BLUE, lw=2.4)
    axes.plot(*bow.T, c=ORANGE, lw=2.4)
    axes.annotate("noise", CORNERS[0], (0, 5), textcoords="offset points", ha="center")
    axes.annotate("a", CORNERS[1], (-10, -8), textcoords="offset points")
    axes.annotate("b", CORNERS[2], (4, -8), textcoords="offset points")
    axes.annotate("SDE", bow[50], (0, 5), textcoords="offset points", ha="center", color=ORANGE)
    axes.annotate("flow", (0.5, 0), (0, -13), textcoords="offset points", ha="center", color=BLUE)
    axes.set_aspect("equal")
    axes.axis("off")


def _simplex_paths() -> bytes:
    """Two paths on the simplex, and the law along the first."""
    model = _ring_and_tiles()
    for source in ("ring", "noise"):
        model.learn_path(source, "tiles", progress=False)
    x = model.conditional_means.sample(20_000, torch.Generator().manual_seed(0))[:, 1]
    pairs = [("ring", "tiles"), ("noise", "tiles")]
    return multisi.geometry.simplex_picture(model, pairs, samples=x)


def _trajectories() -> bytes:
    """A branching process that turns: snapshots, ways, velocity and laws between."""
    rng = np.random.default_rng(0)
    data = {}
    for t in (0, 0.25, 0.5, 0.75, 1):
        branch = np.where(rng.uniform(size=1000) < 0.7, 1.0, -0.7)
        radius = 3 + 1.5 * branch * max(0.0, t - 0.2)
        ring = radius[:, None] * [np.sin(1.2 * np.pi * t), -np.cos(1.2 * np.pi * t)]
        data[t] = ring + 0.25 * rng.normal(size=(1000, 2))
    found = multisi.trajectories.fit(data, steps=3000, progress=False)
    return multisi.trajectories.ways(found)


FIGURES = [simplex, means, noise, couplings, fairness, paths, solvers, pairs]


def main() -> None:
    """Write the figures that are named, or all."""
    others = {"simplex-paths": _simplex_paths, "trajectories": _trajectories}
    chosen = sys.argv[1:] or [*(make.__name__ for make in FIGURES), *others]
    for make in FIGURES:
        if make.__name__ in chosen:
            figure, page = make(), io.BytesIO()
            figure.savefig(page, dpi=120, bbox_inches="tight")
            plt.close(figure)
            _save(make.__name__, page)
    for name, draw in others.items():
        if name in chosen:
            _save(name, io.BytesIO(draw()))


def _save(name: str, page: io.BytesIO) -> None:
    """Write a picture with few colours."""
    few = Image.open(page).convert("RGB").quantize(160, dither=Image.Dither.NONE)
    few.save(ASSETS / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
