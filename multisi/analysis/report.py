"""The report of an evaluation: every ordered pair, beside a floor and a baseline."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from multisi import metrics
from multisi.common import checks, seeds
from multisi.common.shapes import flat
from multisi.data.marginals import Marginal, StandardNormal, prepare
from multisi.errors import DataError

_FEW = 1000
"""Rows at most for the figures that take long: exact distances and permutations."""


@dataclass(frozen=True)
class Pair:
    """What moving samples of one marginal to another gives."""

    source: str
    target: str
    energy_distance: float
    """To held-out samples of the target; unbiased, so that it may be slightly negative."""
    floor: float
    """The same between two halves of the target."""
    p_value: float
    """How often chance alone gives such a distance, by permutations of a thousand rows a side."""
    gaussian: float
    """The energy distance after the optimal map between Gaussians of equal mean and covariance."""
    w2: float
    """Exact 2-Wasserstein distance to held-out samples, between a thousand rows a side."""
    w2_floor: float
    """The same between two disjoint parts of the target, of at most as many rows."""
    sliced_w2: float
    """Sliced 2-Wasserstein distance to held-out samples."""
    path_energy: float
    """Mean of the integral of |velocity|² on the way; NaN if there is noise."""
    npe: float
    """Path energy over the squared distance W2² of source and target, less one; 0 is optimal."""
    cycle_error: float
    """Mean square of (there and back again − start), as a share of the source's variance."""
    seconds: float
    """Time to move the samples there."""


@dataclass(frozen=True)
class Report:
    """Figures for all ordered pairs of some marginals; prints as tables."""

    names: tuple[str, ...]
    pairs: tuple[Pair, ...]

    def mean(self, figure: str) -> float:
        """Mean of one figure over all pairs, by its name."""
        return statistics.fmean(getattr(pair, figure) for pair in self.pairs)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, strings and lists."""
        return {"names": list(self.names), "pairs": [asdict(pair) for pair in self.pairs]}

    def __str__(self) -> str:
        tables = [f"{FIGURES[figure]}\n{self.table(figure)}" for figure in _TABLES]
        means = [f"  {text:<62}{self.mean(figure):.2g}" for figure, text in FIGURES.items()]
        return "\n\n".join([*tables, "\n".join(["mean over all pairs", *means])])

    def table(self, figure: str) -> str:
        """One figure of all pairs as a table: a row a source, a column a target."""
        cells = {(p.source, p.target): f"{getattr(p, figure):.2g}" for p in self.pairs}
        width = max(8, *(len(name) for name in self.names)) + 2
        lines = ["".join(text.rjust(width) for text in ("", *self.names))]
        for source in self.names:
            row = (cells.get((source, target), "-") for target in self.names)
            lines.append("".join(text.rjust(width) for text in (source, *row)))
        return "\n".join(lines)


FIGURES = {
    "energy_distance": "energy distance to held-out samples of the target",
    "floor": "floor: energy distance of two samples of the target",
    "gaussian": "baseline: energy distance after the optimal map of Gaussians",
    "p_value": "p-value of the energy distance",
    "w2": "2-Wasserstein distance to held-out samples of the target",
    "w2_floor": "floor: 2-Wasserstein distance of two samples of the target",
    "sliced_w2": "sliced 2-Wasserstein distance",
    "path_energy": "path energy",
    "npe": "excess of the path energy over the squared distance",
    "cycle_error": "cycle error, as a share of the variance",
    "seconds": "seconds to move the samples",
}
_TABLES = ("energy_distance", "p_value", "npe", "cycle_error")


def evaluate(
    transport: Callable[..., Any],
    held_out: Mapping[str, Any],
    *,
    samples: int = 4000,
    seed: int = 0,
    **options: Any,
) -> Report:
    """Move held-out samples between all ordered pairs of marginals, and measure.

    Arguments:
        transport: The method of the model.
        held_out: Name to samples that were not trained on, for two or more data marginals.
        samples: How many rows a marginal to use at most, drawn without replacement.
        seed: Seed of the draw, and of the transport's noise.
        options: Options of `transport`.

    Raises:
        DataError: fewer than two data marginals or than four rows, or other bad samples.
    """
    checks.integer(samples, "samples", least=4)
    seed = seeds.check(seed)
    data = {
        name: marginal
        for name, marginal in prepare(held_out).items()
        if not isinstance(marginal, StandardNormal)
    }
    if len(data) < 2:
        raise DataError(f"At least 2 data marginals are needed; got {', '.join(data)}.")
    chosen = {name: _draw(name, m, samples, seed) for name, m in data.items()}
    pairs = [
        _measure(transport, chosen, source, target, {"seed": seed, **options})
        for source in chosen
        for target in chosen
        if source != target
    ]
    return Report(tuple(chosen), tuple(pairs))


def _draw(name: str, marginal: Marginal, samples: int, seed: int) -> Tensor:
    if len(marginal) < 4:
        raise DataError(f"Marginal {name!r}: at least 4 rows are needed; got {len(marginal)}.")
    return marginal.some(samples, seeds.generator(seed))


def ring(
    transport: Callable[..., Any],
    data: Mapping[str, Marginal],
    *,
    samples: int = 1000,
    seed: int = 0,
    **options: Any,
) -> float:
    """Mean energy distance after moving from each marginal to the next, and from the last."""
    seed = seeds.check(seed)
    chosen = [(name, _draw(name, marginal, samples, seed)) for name, marginal in data.items()]
    following = [*chosen[1:], chosen[0]]
    return statistics.fmean(
        metrics.energy_distance(transport(x, source, target, seed=seed, **options), y)
        for (source, x), (target, y) in zip(chosen, following, strict=True)
    )


def _measure(
    transport: Callable[..., Any],
    chosen: dict[str, Tensor],
    source: str,
    target: str,
    options: dict[str, Any],
) -> Pair:
    x, y = chosen[source], chosen[target]
    start = time.perf_counter()
    moved, energy = _moved(transport, x, source, target, options)
    seconds = time.perf_counter() - start
    back = transport(moved, target, source, **options)
    half = len(y) // 2
    few = min(_FEW, len(moved), half)
    distance = metrics.wasserstein(x[:_FEW], y[:_FEW])
    squared = distance * distance
    return Pair(
        source,
        target,
        metrics.energy_distance(moved, y),
        metrics.energy_distance(y[:half], y[half:]),
        metrics.permutation_test(moved[:_FEW], y[-_FEW:]).p_value,
        metrics.energy_distance(metrics.gaussian_map(x, y)(x), flat(y)),
        metrics.wasserstein(moved[:_FEW], y[-_FEW:]),
        metrics.wasserstein(y[:few], y[-few:]),
        metrics.sliced_wasserstein(moved, y),
        energy,
        energy / squared - 1 if squared > 0 else math.nan,
        ((back - x).square().mean() / (x.var(0).mean().item() or 1.0)).item(),
        seconds,
    )


def _moved(
    transport: Callable[..., Any], x: Tensor, source: str, target: str, options: dict[str, Any]
) -> tuple[Tensor, float]:
    """Samples at the target, and the energy of their paths if these are smooth."""
    noise = options.get("noise", 0.0)
    flow = noise is None or (isinstance(noise, int | float) and noise == 0)
    whole = flow and options.get("grid") is None
    if not whole or options.get("return_path"):
        return transport(x, source, target, **options), math.nan
    steps = checks.integer(options.get("steps", 32), "steps")
    grid = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    given = {**options, "grid": grid, "return_path": True}
    states = transport(x, source, target, **given)
    if len(states) != len(grid):  # The interpolant has kinks, which the grid now has as well.
        return states[-1], math.nan
    moves = rearrange((states[1:] - states[:-1]).double(), "t b ... -> t b (...)")
    return states[-1], (moves.square().sum(2).mean(1).sum() * steps).item()
