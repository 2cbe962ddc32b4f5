"""The report of an evaluation: figures of every ordered pair, with floors and a baseline."""

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
from multisi.data.marginals import Marginal, StandardNormal
from multisi.data.prepare import prepare
from multisi.errors import DataError

_FEW = 1000
"""Largest number of rows for slow figures: exact distances and permutation tests."""


@dataclass(frozen=True)
class Pair:
    """The figures of the transport from one marginal to another.

    Arguments:
        source: Name of the source.
        target: Name of the target.
        energy_distance: Energy distance of the moved samples to held-out samples of the target;
            it is unbiased, so it may be slightly negative.
        floor: Energy distance between two halves of the target.
        p_value: p-value of a permutation test of the energy distance, on at most 1000 rows each.
        gaussian: Energy distance to the target after the optimal map between Gaussians with the
            means and covariances of source and target, a baseline.
        w2: Exact 2-Wasserstein distance to held-out samples, on at most 1000 rows each.
        w2_floor: 2-Wasserstein distance between two disjoint parts of the target, of at most as
            many rows.
        sliced_w2: Sliced 2-Wasserstein distance to held-out samples.
        path_energy: Mean over samples of the integral of |velocity|² along the path; NaN with
            noise.
        npe: Normalised path energy: `path_energy` over the squared 2-Wasserstein distance of
            source and target, minus one; 0 is optimal.
        cycle_error: Mean squared error after transport to the target and back, divided by the
            variance of the source.
        seconds: Time of the transport to the target.

    References:
        Tong et al. Improving and generalizing flow-based generative models with minibatch optimal
        transport (2023), arXiv:2302.00482, for the normalised path energy.
    """

    source: str
    target: str
    energy_distance: float
    floor: float
    p_value: float
    gaussian: float
    w2: float
    w2_floor: float
    sliced_w2: float
    path_energy: float
    npe: float
    cycle_error: float
    seconds: float


@dataclass(frozen=True)
class Report:
    """The figures of all ordered pairs of marginals; its text is a set of tables.

    Arguments:
        names: The marginals in order.
        pairs: The figures of each ordered pair.

    Example:
        >>> Report(("a", "b"), ()).to_dict()
        {'names': ['a', 'b'], 'pairs': []}
    """

    names: tuple[str, ...]
    pairs: tuple[Pair, ...]

    def mean(self, figure: str) -> float:
        """The mean of a figure over all pairs.

        Arguments:
            figure: Name of a figure of `Pair`, such as `"w2"`.
        """
        return statistics.fmean(getattr(pair, figure) for pair in self.pairs)

    def to_dict(self) -> dict[str, Any]:
        """The report as dicts, lists, strings and numbers, for JSON."""
        return {"names": list(self.names), "pairs": [asdict(pair) for pair in self.pairs]}

    def __str__(self) -> str:
        tables = [f"{FIGURES[figure]}\n{self.table(figure)}" for figure in _TABLES]
        means = [f"  {text:<62}{self.mean(figure):.2g}" for figure, text in FIGURES.items()]
        return "\n\n".join([*tables, "\n".join(["mean over all pairs", *means])])

    def table(self, figure: str) -> str:
        """One figure of all pairs as a text table: a row per source, a column per target.

        Arguments:
            figure: Name of a figure of `Pair`, such as `"w2"`.
        """
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
    """Move held-out samples between all ordered pairs of marginals and compare the results.

    Arguments:
        transport: The method `transport` of the model.
        held_out: Name to samples `(n, *event)` that were not used in training, for two or more
            data marginals.
        samples: Largest number of rows per marginal, drawn without replacement.
        seed: Seed of the draws and of the transport's noise.
        options: Options of `transport`.

    Raises:
        DataError: there are fewer than two data marginals or four rows, or samples are invalid.
        ConfigError: `samples` is not an integer of at least 4, or another option is invalid.
        ShapeError: the samples have different event shapes.
    """
    checks.integer(samples, "samples", least=4)
    seed = seeds.check(seed)
    data = {
        name: marginal
        for name, marginal in prepare(held_out).items()
        if not isinstance(marginal, StandardNormal)
    }
    if len(data) < 2:
        raise DataError(f"held_out must have at least 2 data marginals; got {', '.join(data)}.")
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
        raise DataError(f"Marginal {name!r} must have at least 4 rows; got {len(marginal)}.")
    return marginal.some(samples, seeds.generator(seed))


def ring(
    transport: Callable[..., Any],
    data: Mapping[str, Marginal],
    *,
    samples: int = 1000,
    seed: int = 0,
    **options: Any,
) -> float:
    """Mean energy distance of the transports from each marginal to the next, in a ring.

    Arguments:
        transport: The method `transport` of the model.
        data: Name to marginal.
        samples: Largest number of rows per marginal, drawn without replacement.
        seed: Seed of the draws and of the transport's noise.
        options: Options of `transport`.

    Raises:
        DataError: a marginal has fewer than four rows.
    """
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
    """Samples at the target, and the energy of their paths; NaN if there is noise or a grid."""
    noise = options.get("noise", 0.0)
    flow = noise is None or (isinstance(noise, int | float) and noise == 0)
    whole = flow and options.get("grid") is None
    if not whole or options.get("return_path"):
        return transport(x, source, target, **options), math.nan
    steps = checks.integer(options.get("steps", 32), "steps")
    grid = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    given = {**options, "grid": grid, "return_path": True}
    states = transport(x, source, target, **given)
    if len(states) != len(grid):  # The grid has gained the kinks of the interpolant.
        return states[-1], math.nan
    moves = rearrange((states[1:] - states[:-1]).double(), "t b ... -> t b (...)")
    return states[-1], (moves.square().sum(2).mean(1).sum() * steps).item()
