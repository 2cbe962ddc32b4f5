"""The evaluation of a model: held-out samples are moved, and compared with their targets."""

import itertools
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from multisi import metrics
from multisi.analysis.correspondence import FEW, correspondence
from multisi.analysis.held_out import HeldOut
from multisi.analysis.marginal_tests import names_of, wrong_features
from multisi.analysis.report import Pair, Report
from multisi.common import arrays, checks
from multisi.common.torch_state import own_state
from multisi.data.marginals import Marginal
from multisi.data.prepare import prepare
from multisi.field.field import Field
from multisi.field.named_points import index_of

_OF_ROWS = {"condition", "rows"}
"""Options that have an entry for each row."""
_FEW = 1000
"""Largest number of rows for slow figures: exact distances and permutation tests."""
_NUMBERS = 2**24
"""Most numbers in the states of a path that are held at once."""


@own_state
def evaluate(
    transport: Callable[..., Any],
    held_out: Mapping[str, Any],
    *,
    samples: int = 4000,
    seed: int = 0,
    units: str = "standardised",
    field: Field | None = None,
    **options: Any,
) -> Report:
    """Move held-out samples between all ordered pairs of marginals and compare the results.

    Arguments:
        transport: The method `transport` of the model.
        held_out: Name to samples `(n, *event)` that were not used in training, for two or more
            data marginals, with their weights, labels and conditions if they have any.
        samples: Largest number of rows per marginal, which are chosen by their weights.
        seed: Seed of the draws and of the transport's noise.
        units: Units of all distances and tests: `"standardised"` or `"data"`.
        field: The model, which knows the names of marginals and features.
        options: Options of `transport`. Without a `condition` those of the rows are used; where
            the source has none, each row gets one drawn from the marginal that has them.

    Raises:
        DataError: there are fewer than two data marginals or four rows, or samples are invalid.
        ConfigError: `samples` is not an integer of at least 4, or another option is invalid.
        ShapeError: the samples have different event shapes.
    """
    if field is not None:
        for name in checks.options(held_out, "held_out"):
            index_of(name, field.marginals, "evaluate")
    data = {n: m for n, m in prepare(held_out).items() if isinstance(m, Marginal)}
    conditions = None if field is None else field.conditions
    held = HeldOut(
        data,
        samples=samples,
        seed=seed,
        units=units,
        features=None if field is None else field.features,
        condition_features=None if conditions is None else conditions.features,
    )
    ends: dict[tuple[str, str], Tensor] = {}
    pairs = [
        _measure(transport, held, source, target, options, ends)
        for source, target in itertools.permutations(data, 2)
    ]
    if len(data) > 2 and not set(options) & _OF_ROWS and _is_flow(options):
        found = _correspondence(transport, held, options, ends)
        pairs = [
            replace(pair, composition=defect, holonomy=turn)
            for pair, (defect, turn) in zip(pairs, found.values(), strict=True)
        ]
    return Report(tuple(data), tuple(pairs), units)


@own_state
def ring(transport: Callable[..., Any], held: HeldOut, **options: Any) -> float:
    """Mean energy distance of the transports from each marginal to the next, in a ring.

    Arguments:
        transport: The method `transport` of the model.
        held: The held-out rows.
        options: Options of `transport`.
    """
    names = list(held.rows)

    def distance(source: str, target: str) -> float:
        x, condition = held.rows[source].samples, held.condition(source)
        moved = held.move(transport, x, source, target, condition, options)
        return metrics.energy_distance(
            held.measured(moved), held.measured(held.rows[target].samples)
        )

    return statistics.fmean(map(distance, names, [*names[1:], names[0]]))


def _correspondence(
    transport: Callable[..., Any],
    held: HeldOut,
    options: Mapping[str, Any],
    ends: Mapping[tuple[str, str], Tensor],
) -> dict[tuple[str, str], tuple[float, float]]:
    """The composition defect and the holonomy of all pairs, from rows that were moved before."""

    def move(x: Tensor, source: str, target: str, owner: str) -> Tensor:
        condition = held.condition(owner)
        condition = None if condition is None else condition[: len(x)]
        return held.move(transport, x, source, target, condition, options)

    starts = {name: rows.samples[:FEW] for name, rows in held.rows.items()}
    return correspondence(move, starts, ends, held.measured)


def _is_flow(options: Mapping[str, Any]) -> bool:
    noise = options.get("noise", 0.0)
    return noise is None or (isinstance(noise, int | float) and noise == 0)


def _measure(
    transport: Callable[..., Any],
    held: HeldOut,
    source: str,
    target: str,
    options: Mapping[str, Any],
    ends: dict[tuple[str, str], Tensor],
) -> Pair:
    rows, goal = held.rows[source], held.rows[target]
    condition = held.condition(source)
    start = time.perf_counter()
    end, energy = moved_with_energy(transport, held, source, target, condition, options)
    seconds = time.perf_counter() - start
    ends[source, target] = end[:FEW]
    back = held.move(transport, end, target, source, condition, options)
    x, y, moved, back = map(held.measured, (rows.samples, goal.samples, end, back))
    half = len(y) // 2
    few = min(_FEW, len(moved), half)
    distance = metrics.wasserstein(x[:_FEW], y[:_FEW])
    squared = distance * distance
    wrong = wrong_features(
        moved,
        y,
        names_of(held.features, held.event_shape),
        rounding=held.rounding,
        tests=y.shape[1] * len(held.rows) * (len(held.rows) - 1),
    )
    return Pair(
        source,
        target,
        metrics.energy_distance(moved, y),
        metrics.energy_distance(y[:half], y[half:]),
        metrics.permutation_test(moved[:_FEW], y[-_FEW:]).p_value,
        metrics.energy_distance(metrics.gaussian_map(x, y)(x), y),
        metrics.wasserstein(moved[:_FEW], y[-_FEW:]),
        metrics.wasserstein(y[:few], y[-few:]),
        metrics.sliced_wasserstein(moved, y),
        energy,
        energy / squared - 1 if squared > 0 else math.nan,
        ((back - x).square().mean() / (x.var(0).mean().item() or 1.0)).item(),
        seconds,
        _within_labels(moved, rows.labels, y, goal.labels),
        wrong.count,
        wrong.names,
        wrong.shifts,
        wrong.spreads,
    )


def _within_labels(x: Tensor, of_x: Tensor | None, y: Tensor, of_y: Tensor | None) -> float:
    """Mean energy distance of rows of one label, by the shares of the labels in `y`."""
    if of_x is None or of_y is None:
        return math.nan
    total, share = 0.0, 0
    for label in sorted(set(of_y.tolist())):
        mine, others = x[of_x == label], y[of_y == label]
        if min(len(mine), len(others)) >= 2:
            total += metrics.energy_distance(mine, others) * len(others)
            share += len(others)
    return total / share if share else math.nan


def moved_with_energy(
    transport: Callable[..., Any],
    held: HeldOut,
    source: str,
    target: str,
    condition: Tensor | None,
    options: Mapping[str, Any],
) -> tuple[Tensor, float]:
    """Samples at the target, and the energy of their paths; NaN if there is noise or a grid."""
    x = held.rows[source].samples
    if not _is_flow(options) or options.get("grid") is not None or options.get("return_path"):
        return held.move(transport, x, source, target, condition, options), math.nan
    steps = checks.integer(options.get("steps", 32), "steps")
    grid = torch.linspace(0, 1, steps + 1, dtype=torch.float64, device="cpu")
    given = {**options, "grid": grid, "return_path": True}
    ends, energies = [], []
    for part in _parts(x, steps, options):
        told = arrays.rows_of(condition, part)
        states = held.move(transport, x[part], source, target, told, given)
        ends.append(states[-1])
        if len(states) == len(grid):  # Otherwise it has gained the kinks of the interpolant.
            moves = ((b - a).cpu().double() / held.unit for a, b in itertools.pairwise(states))
            energies.append(sum(move.square().sum() for move in moves) * steps)
    whole = len(energies) == len(ends)
    return torch.cat(ends), float(sum(energies)) / len(x) if whole else math.nan


def _parts(x: Tensor, steps: int, options: Mapping[str, Any]) -> list[slice]:
    """Slices of the rows whose paths are held together; all rows if an option has rows, too."""
    size = max(1, _NUMBERS // ((steps + 1) * x[0].numel()))
    rows = any(options.get(name) is not None for name in ("condition", "rows"))
    if rows or not isinstance(options.get("path"), str | None):
        size = len(x)
    return [slice(start, start + size) for start in range(0, len(x), size)]
