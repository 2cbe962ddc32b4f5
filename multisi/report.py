"""The report of an evaluation: every ordered pair, beside a floor and a baseline."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from multisi import checks, metrics, seeds
from multisi.errors import DataError
from multisi.marginals import Marginal, StandardNormal, prepare


@dataclass(frozen=True)
class Pair:
    """What moving samples of one marginal to another gives."""

    source: str
    target: str
    energy_distance: float
    """To held-out samples of the target; unbiased, so that it may be slightly negative."""
    floor: float
    """The same between two halves of the target."""
    gaussian: float
    """The same after the optimal map between Gaussians of equal mean and covariance."""
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
        tables = [f"{text}\n{self.table(figure)}" for figure, text in _FIGURES.items()]
        means = [f"  {text:<62}{self.mean(figure):.2g}" for figure, text in _FIGURES.items()]
        return "\n\n".join(tables) + "\n\n" + "\n".join(["mean over all pairs", *means])

    def table(self, figure: str) -> str:
        """One figure of all pairs as a table: a row a source, a column a target."""
        cells = {(p.source, p.target): f"{getattr(p, figure):.2g}" for p in self.pairs}
        width = max(8, *(len(name) for name in self.names)) + 2
        lines = ["".join(text.rjust(width) for text in ("", *self.names))]
        for source in self.names:
            row = (cells.get((source, target), "-") for target in self.names)
            lines.append("".join(text.rjust(width) for text in (source, *row)))
        return "\n".join(lines)


_FIGURES = {
    "energy_distance": "energy distance to held-out samples of the target",
    "floor": "floor: energy distance of two samples of the target",
    "gaussian": "baseline: energy distance after the optimal map of Gaussians",
    "cycle_error": "cycle error, as a share of the variance",
    "seconds": "seconds to move the samples",
}


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
        DataError: fewer than four rows, or other bad samples.
    """
    checks.integer(samples, "samples", least=4)
    data = {
        name: marginal
        for name, marginal in prepare(held_out).items()
        if not isinstance(marginal, StandardNormal)
    }
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
    order = torch.randperm(len(marginal), generator=seeds.generator(seed))
    return marginal.samples[order[:samples]]


def _measure(
    transport: Callable[..., Any],
    chosen: dict[str, Tensor],
    source: str,
    target: str,
    options: dict[str, Any],
) -> Pair:
    x, y = chosen[source], chosen[target]
    start = time.perf_counter()
    moved = transport(x, source, target, **options)
    seconds = time.perf_counter() - start
    back = transport(moved, target, source, **options)
    half = len(y) // 2
    flat = y.reshape(len(y), -1)
    return Pair(
        source,
        target,
        metrics.energy_distance(moved, y),
        metrics.energy_distance(y[:half], y[half:]),
        metrics.energy_distance(metrics.gaussian_map(x, y)(x), flat),
        ((back - x).square().mean() / (x.var(0).mean().item() or 1.0)).item(),
        seconds,
    )
