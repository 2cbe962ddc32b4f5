"""How good few network calls are: what straight paths gain."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multisi import metrics
from multisi.analysis.evaluation import moved_with_energy
from multisi.analysis.held_out import HeldOut
from multisi.common import checks
from multisi.common.torch_state import own_state
from multisi.data.marginals import Marginal
from multisi.data.prepare import prepare
from multisi.errors import ConfigError
from multisi.field.field import Field

_FEW = 1000
"""Most rows between which distances are exact."""


@dataclass(frozen=True)
class FewCalls:
    """Figures of a flow by the number of network calls, means over all ordered pairs.

    Arguments:
        energy_distances: Number of calls to the energy distance of the moved samples to held-out
            samples of the target.
        npe: Normalised path energy: the energy of the paths over the squared 2-Wasserstein
            distance of source and target, minus one; 0 for straight paths of an optimal map.

    Examples:
        >>> print(FewCalls({1: 0.01, 64: 0.0005}, npe=0.1))
        calls 1: 0.0100, 64: 0.0005; npe 0.100
    """

    energy_distances: dict[int, float]
    npe: float

    def __str__(self) -> str:
        each = (f"{calls}: {value:.4f}" for calls, value in self.energy_distances.items())
        return f"calls {', '.join(each)}; npe {self.npe:.3f}"


@own_state
def few_calls(
    model: Any,
    held_out: Mapping[str, Any],
    calls: Sequence[int] = (1, 2, 4, 8, 64),
    *,
    samples: int = 2000,
    seed: int = 0,
    **options: Any,
) -> FewCalls:
    """Move held-out samples between all ordered pairs of marginals with few network calls.

    One call is a step of Euler's method; an even number of calls are steps of the midpoint rule,
    and an odd one steps of `adams`.

    Arguments:
        model: A model.
        held_out: Name to samples `(n, *event)` that were not used in training, for two or more
            data marginals.
        calls: Numbers of network calls.
        samples: Largest number of rows per marginal.
        seed: Seed of the choice of rows.
        options: Options of `transport`.

    Raises:
        ConfigError: `model` is not a model, or a number is not an integer or too small.
        DataError: there are fewer than two data marginals or four rows, or samples are invalid.
        ShapeError: the samples have different event shapes.

    Examples:
        >>> import multisi, torch
        >>> one, var = torch.ones(1), torch.ones(1, 1, 1)
        >>> means = multisi.GaussianMixtureMeans(
        ...     [one, one], [torch.zeros(1, 1), 3 * torch.ones(1, 1)], [var, var])
        >>> x = torch.randn(999, 1, generator=torch.Generator().manual_seed(0))
        >>> found = few_calls(multisi.Model(means, ["a", "b"]), {"a": x, "b": x + 3}, [1, 2])
        >>> list(found.energy_distances)
        [1, 2]
    """
    field = checks.instance(model, Field, "model")
    each = [checks.integer(n, "calls") for n in checks.several(calls, "calls")]
    if not each:
        raise ConfigError("calls must be a list of at least one number; got an empty one.")
    data = {n: m for n, m in prepare(held_out).items() if isinstance(m, Marginal)}
    told = None if field.conditions is None else field.conditions.features
    held = HeldOut(
        data, samples=samples, seed=seed, features=field.features, condition_features=told
    )
    pairs = list(itertools.permutations(data, 2))

    def distance(source: str, target: str, n: int) -> float:
        x, condition = held.rows[source].samples, held.condition(source)
        given = {**_of_calls(n), **options}
        moved = held.move(model.transport, x, source, target, condition, given)
        goal = held.rows[target].samples
        return metrics.energy_distance(held.measured(moved), held.measured(goal))

    return FewCalls(
        {n: statistics.fmean(distance(*pair, n) for pair in pairs) for n in each},
        statistics.fmean(_excess(model, held, *pair, options) for pair in pairs),
    )


def _of_calls(calls: int) -> dict[str, Any]:
    """The solver and the steps that make so many calls."""
    if calls == 1:
        return {"solver": "euler", "steps": 1}
    if calls % 2:
        return {"solver": "adams", "steps": calls}
    return {"solver": "midpoint", "steps": calls // 2}


def _excess(
    model: Any, held: HeldOut, source: str, target: str, options: Mapping[str, Any]
) -> float:
    """The normalised path energy of one pair."""
    condition = held.condition(source)
    energy = moved_with_energy(model.transport, held, source, target, condition, options)[1]
    x, y = (held.measured(held.rows[name].samples) for name in (source, target))
    squared = metrics.wasserstein(x[:_FEW], y[:_FEW]) ** 2
    return energy / squared - 1 if squared > 0 else math.nan
