"""The cheapest paths of all pairs."""

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from multisi.analysis.plots import heat_map
from multisi.common import checks
from multisi.common.progress import bar
from multisi.errors import ConfigError, DataError
from multisi.field import named_points
from multisi.field.field import Field
from multisi.geometry.cost import transport_cost
from multisi.geometry.learning import learn_path
from multisi.paths import Learned

_COUNT = 2000
"""Number of states for the costs that are reported."""


@dataclass(frozen=True)
class Costs:
    """The transport costs of all pairs, in squared data units, which are the same both ways.

    Arguments:
        names: Names of the marginals.
        straight: Pair to the cost of the segment, at its own speed and scale.
        learned: Pair to the cost of the learned path.
        paths: Pair to the learned path, in both directions.
        seconds: Time of learning.

    Examples:
        >>> print(Costs(("a", "b"), {("a", "b"): 4.0}, {("a", "b"): 3.0}, {}, 0.1).table())
                             a          b
                  a          -          3
                  b          3          -
    """

    names: tuple[str, ...]
    straight: Mapping[tuple[str, str], float]
    learned: Mapping[tuple[str, str], float]
    paths: Mapping[tuple[str, str], Learned]
    seconds: float

    def table(self, figure: str = "learned") -> str:
        """One figure of all pairs as text.

        Arguments:
            figure: `"learned"` or `"straight"`.

        Raises:
            ConfigError: `figure` is neither.
        """
        values = self._values(figure)
        width = max(10, *map(len, self.names))
        lines = [" " * width + "".join(f"{name:>{width + 1}}" for name in self.names)]
        for name, row in zip(self.names, values, strict=True):
            cells = ("-" if np.isnan(v) else f"{v:.3g}" for v in row)
            lines.append(f"{name:>{width}}" + "".join(f"{cell:>{width + 1}}" for cell in cells))
        return "\n".join(lines)

    def __str__(self) -> str:
        parts = {"straight": "transport cost of the segment", "learned": "of the learned path"}
        return "\n\n".join(f"{title}\n{self.table(kind)}" for kind, title in parts.items())

    def picture(self, figure: str = "learned", format: str = "png") -> bytes:
        """One figure of all pairs as a heat map, as the bytes of a file.

        Arguments:
            figure: `"learned"` or `"straight"`.
            format: `"png"`, `"pdf"`, `"svg"` or `"jpg"`.

        Raises:
            ConfigError: an argument is unknown, or matplotlib is not installed.
        """
        title = f"transport cost, {figure} path"
        return heat_map(self.names, self._values(figure), title, format)

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain numbers, pair by pair."""
        return {
            "seconds": self.seconds,
            "pairs": [
                {"source": a, "target": b, "straight": cost, "learned": self.learned[a, b]}
                for (a, b), cost in self.straight.items()
            ],
        }

    def _values(self, figure: str) -> "np.ndarray[Any, Any]":
        if figure not in ("learned", "straight"):
            raise ConfigError(f"figure must be 'learned' or 'straight'; got {figure!r}.")
        values = np.full((len(self.names),) * 2, np.nan)
        for (a, b), cost in getattr(self, figure).items():
            i, j = self.names.index(a), self.names.index(b)
            values[i, j] = values[j, i] = cost
        return values


def all_pairs(
    field: Field,
    names: Any = None,
    *,
    samples: Mapping[str, Any] | None = None,
    count: int = 300,
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> Costs:
    """The cheapest path of every pair, each from a small table of moments.

    Arguments:
        field: The field.
        names: Names of the marginals, by default those of all datasets.
        samples: Name to samples, as for `transport_cost`.
        count: Number of states at a point.
        seed: Seed of the states.
        progress: Whether to show a progress bar if standard error is a terminal.
        options: Further options of `learn_path`.

    Raises:
        ConfigError: a name is unknown or repeated, or an option has an invalid value.
        DataError: there are fewer than two names, or nothing to draw states from.
    """
    data = [name for name in field.marginals if name != field.noise]
    chosen = data if names is None else checks.several(names, "names")
    for name in chosen:
        named_points.index_of(name, field.marginals, "names")
    if len(set(chosen)) < len(chosen):
        raise ConfigError(f"names must differ; got {list(chosen)}.")
    if len(chosen) < 2:
        raise DataError(f"Pairs need two marginals or more; got {list(chosen)}.")
    straight, learned, paths, since = {}, {}, {}, 0.0
    options, path = {"grid": 8, "most": 60, **options}, None
    every = list(itertools.combinations(chosen, 2))
    with bar(len(every), "learn paths", "pair", progress) as shown:
        for a, b in every:
            ends = [named_points.resolve(name, field.marginals, None, "names") for name in (a, b)]
            common: dict[str, Any] = {"samples": samples, "count": count, "seed": seed}
            start = time.perf_counter()
            path = learn_path(field, ends, start=path, progress=False, **common, **options)
            since += time.perf_counter() - start
            common["count"] = _COUNT
            straight[a, b] = float(transport_cost(field, ends, path="segment", **common))
            learned[a, b] = float(transport_cost(field, ends, path=path, **common))
            paths[a, b], paths[b, a] = path, path.reverse()
            shown.update(1)
    return Costs(tuple(chosen), straight, learned, paths, since)
