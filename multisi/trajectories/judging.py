"""How well times that were not seen are met: each is left out in turn."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multisi import metrics
from multisi.common import seeds
from multisi.common.seeds import generator
from multisi.errors import DataError
from multisi.trajectories.chain import Chain, pot
from multisi.trajectories.choice import states
from multisi.trajectories.coupling import Curved
from multisi.trajectories.fitting import fit
from multisi.trajectories.groups import Group, groups, masses_within
from multisi.trajectories.snapshots import COLUMNS, Snapshots, read
from multisi.trajectories.times import listed, real

FIGURES = ("w1", "w2", "energy_distance", "mmd")
"""The figures of each time, in the order of the table."""


@dataclass(frozen=True)
class HeldOutTimes:
    """Figures at times that were left out, of the trajectory and of baselines.

    Arguments:
        figures: Time to method to figure: exact 1- and 2-Wasserstein distances, the energy
            distance and the maximum mean discrepancy, both unbiased, in data units.

    Examples:
        >>> print(HeldOutTimes({1.0: {"trajectory": dict.fromkeys(FIGURES, 0.5)}}))
        time method                     w1       w2   energy      mmd
        1    trajectory             0.5000   0.5000   0.5000   0.5000
    """

    figures: dict[float, dict[str, dict[str, float]]]

    def __str__(self) -> str:
        lines = [f"time {'method':20} {'w1':>8} {'w2':>8} {'energy':>8} {'mmd':>8}"]
        for time, methods in self.figures.items():
            for name, values in methods.items():
                shown = " ".join(f"{values[figure]:8.4f}" for figure in FIGURES)
                lines.append(f"{time:<4g} {name:20} {shown}")
        return "\n".join(lines)

    def mean(self, method: str = "trajectory", figure: str = "w1") -> float:
        """The mean of a figure of one method over the times.

        Arguments:
            method: Name of the method.
            figure: Name of the figure.
        """
        found = [methods[method][figure] for methods in self.figures.values()]
        return sum(found) / len(found)


def leave_one_out(
    snapshots: Any, times: Sequence[float] | None = None, *, seed: int = 0, **options: Any
) -> HeldOutTimes:
    """Leave out each time in turn, and compare its snapshot with the law that others give.

    Nothing is chosen by the snapshot that is left out. As many samples are drawn as it has rows.
    Baselines are the snapshot before, midpoints of an exact plan between the neighbours and of
    independent rows, and, as a floor, two halves of the snapshot itself. With conditions all are
    compared within each condition, and the figures are means by how many rows have it.

    Arguments:
        snapshots: As for `fit`.
        times: The times to leave out; by default all but the first and the last.
        seed: The seed of all random numbers.
        options: Options of `fit`.

    Raises:
        DataError: there are fewer than three times, or times to leave out are not between others.
        MultisiError: as for `fit`.

    Examples:
        >>> x = torch.randn(3, 99, 2, generator=torch.Generator().manual_seed(0))
        >>> found = leave_one_out(
        ...     {0: x[0], 1: x[1] + 1, 2: x[2] + 2}, steps=2, progress=False)
        >>> list(found.figures[1.0])
        ['trajectory', 'plan midpoint', 'independent midpoint', 'before', 'halves']
    """
    columns = {name: options.pop(name, None) for name in COLUMNS}
    known = read(snapshots, **columns)
    inner = known.times[1:-1]
    wanted = list(inner) if times is None else [real(t, known.origin) for t in listed(times)]
    if not wanted or not set(wanted) <= set(inner):
        raise DataError(
            f"Times that are left out must lie between others: one of {list(inner)}; got {wanted}."
        )
    seed = seeds.check(seed)
    return HeldOutTimes({t: _judged(known, t, seed, options) for t in wanted})


def _judged(
    known: Snapshots, time: float, seed: int, options: dict[str, Any]
) -> dict[str, dict[str, float]]:
    """The figures of all methods at a time that is left out."""
    place = known.times.index(time)
    rest, kinds, found = known.without(place), groups(known), []
    if options.get("masses") is not None:
        masses = masses_within(options["masses"], kinds)
        kept = {
            kind.key: {t: m for t, m in zip(known.times, mass, strict=True) if t != time}
            for kind, mass in zip(kinds, masses, strict=True)
        }
        options = {**options, "masses": _masses_of(kept, kinds, groups(rest))}
    fitted = fit(rest, seed=seed, **options)
    conditional = groups(rest)[0].condition is not None
    for kind in kinds:
        law = functools.partial(
            fitted.law, time, condition=kind.condition if conditional else None
        )
        found.append(_methods(kind.snapshots, place, law, seed))
    return {
        name: {
            f: sum(k.share * of[name][f] for k, of in zip(kinds, found, strict=True))
            for f in FIGURES
        }
        for name in found[0]
    }


def _masses_of(kept: Any, kinds: Sequence[Group], others: Sequence[Group]) -> Any:
    """Masses for a fit: of each condition if some are left, or else the mean over conditions."""
    if others[0].condition is not None:
        return kept
    times = kept[kinds[0].key]
    return {t: sum(kind.share * kept[kind.key][t] for kind in kinds) for t in times}


def _methods(
    known: Snapshots, place: int, law: Callable[..., Tensor], seed: int
) -> dict[str, dict[str, float]]:
    """The figures of the law of a trajectory and of the baselines."""
    goal, time = known.samples[place], known.times[place]
    n, random = len(goal), generator(seed, 16)
    neighbours = known.at([place - 1, place + 1])
    before, after = (m.take(m.draw(n, random)).double() for m in neighbours.marginals)
    share = (time - neighbours.times[0]) / (neighbours.times[1] - neighbours.times[0])
    shuffled = goal[torch.randperm(n, generator=random)]
    half = n // 2
    methods: dict[str, Callable[[], Tensor]] = {
        "trajectory": lambda: law(n, seed=seed).double(),
        "plan midpoint": lambda: states(_straight(neighbours, seed), time, n, seed),
        "independent midpoint": lambda: (1 - share) * before + share * after,
        "before": lambda: before,
    }
    found = {name: figures(make(), goal) for name, make in methods.items()}
    return found | {"halves": figures(shuffled[:half], shuffled[half:])}


def _straight(neighbours: Snapshots, seed: int) -> Curved:
    chain = Chain.of(neighbours, seed)
    return Curved(chain, [torch.zeros_like(x) for x in neighbours.samples], 0.0)


def figures(x: Tensor, y: Tensor) -> dict[str, float]:
    """Distances between two sets of samples, in their units.

    Arguments:
        x: Samples, shape `(n, d)`.
        y: Samples, shape `(m, d)`.
    """
    ot, cost = pot(), torch.cdist(x, y)
    first = float(ot.emd2([], [], cost.numpy(), numItermax=10**7))
    second = float(ot.emd2([], [], cost.square().numpy(), numItermax=10**7)) ** 0.5
    values = (first, second, metrics.energy_distance(x, y), _mmd(x, y))
    return dict(zip(FIGURES, values, strict=True))


def _mmd(x: Tensor, y: Tensor) -> float:
    """The squared maximum mean discrepancy, unbiased, with the median distance as its width."""
    within = [torch.cdist(z, z).square() for z in (x, y)]
    between = torch.cdist(x, y).square()
    width = between.median().clamp_min(1e-12)
    kernels = [torch.exp(-part / width) for part in (*within, between)]
    means = [(k.sum() - len(k)) / (len(k) * (len(k) - 1)) for k in kernels[:2]]
    return float(sum(means) - 2 * kernels[2].mean())
