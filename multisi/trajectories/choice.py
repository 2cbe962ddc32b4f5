"""How far curves bend, and how much their middle is spread: chosen by times that are left out."""

import itertools
import statistics

import torch
from torch import Tensor

from multisi.common.seeds import generator
from multisi.metrics import energy_distance
from multisi.trajectories.chain import Chain
from multisi.trajectories.coupling import Curved
from multisi.trajectories.curves import Curve, spread_at
from multisi.trajectories.slopes import slopes
from multisi.trajectories.snapshots import Snapshots

BENDS, SPREADS = (0.0, 0.5, 1.0), (0.0, 1.0)
_UNKNOWN = 0.5, 1.0
"""What is taken where no time can be left out."""
_PRIOR = 0.15
"""How much more straight lines count: with a time left out an interval is twice as long as it will
be, and a curve errs more over it."""
_ROWS, _DRAWS = 1500, 4000


def choose(snapshots: Snapshots, seed: int = 0) -> tuple[float, float]:
    """The bend and the spread whose curves pass the snapshots that are left out most closely.

    Each snapshot between the first and the last is left out in turn. The energy distance of the
    states at its time is compared among all bends and spreads, and curves are preferred unless
    straight lines are clearly better. With three times nothing can bend when one is left out.

    Arguments:
        snapshots: The snapshots.
        seed: Seed of the rows that are compared.
    """
    inner = range(1, len(snapshots.times) - 1)
    if not inner:
        return _UNKNOWN
    few = snapshots.few(_ROWS, seed)
    bends = BENDS if len(snapshots.times) > 3 else _UNKNOWN[:1]
    found: dict[tuple[float, float], list[float]] = {}
    for place in inner:
        chain = Chain.of(few.without(place), seed)
        curved = Curved(chain, slopes(chain, seed), 0.0)
        target = few.marginals[place]
        goal = target.take(torch.arange(len(target)))
        scores = {}
        for bend, spread in itertools.product(bends, SPREADS):
            x = states(with_spread(curved, bend, spread), few.times[place], len(goal), seed)
            scores[bend, spread] = energy_distance(x, goal)
        usual = max(statistics.median(scores.values()), 1e-12)
        for key, value in scores.items():
            found.setdefault(key, []).append(value / usual)
    return min(found, key=lambda key: statistics.fmean(found[key]) * (1 + _PRIOR * (1 - key[0])))


def states(curved: Curved, time: float, n: int, seed: int) -> Tensor:
    """Draws of curves at one time, without a model, float64, shape `(n, d)`.

    Arguments:
        curved: The coupling that draws the curves.
        time: The time.
        n: Number of draws.
        seed: Their seed.
    """
    times = curved.chain.snapshots.times
    place = torch.tensor((time - times[0]) / (times[-1] - times[0]), dtype=torch.float64)
    drawn = curved.curves(n, generator(seed, 10)).double()
    return torch.einsum("k,nkd->nd", Curve(times, times[0], times[-1])(place), drawn)


def with_spread(curved: Curved, bend: float, spread: float) -> Curved:
    r"""The same coupling with another bend, and with noise in its control points.

    Rows that are matched have noise of their own, so that halfway between them the covariance is
    too small. What it lacks to that of the optimal map between the Gaussians with the moments of
    both snapshots is made up for by noise.

    Arguments:
        curved: The coupling.
        bend: How far curves bend.
        spread: The share that is made up for.
    """
    chain, bare = curved.chain, curved.bent(bend)
    if not spread:
        return bare
    x, d = chain.snapshots.samples, chain.snapshots.marginals[0].event_shape[0]
    drawn = bare.curves(max(_DRAWS, 4 * d), generator(0, 12)).double()
    middle = torch.tensor([1, 3, 3, 1], dtype=torch.float64) / 8
    factors, size = [], len(x)
    for k, ends in enumerate(itertools.pairwise(x)):
        four = drawn[:, [k, size + 2 * k, size + 2 * k + 1, k + 1]]
        now = torch.einsum("c,ncd->nd", middle, four).T.cov().reshape(d, d)
        lack = _between(*(end.T.cov().reshape(d, d) for end in ends)) - now
        factors.append(_root(spread * lack / spread_at(torch.tensor(0.5))))
    return curved.bent(bend, torch.stack(factors))


def _between(a: Tensor, b: Tensor) -> Tensor:
    """The covariance halfway along the optimal map between two centred Gaussians."""
    root = _root(a)
    step = torch.linalg.pinv(root, hermitian=True)
    half = (torch.eye(len(a), dtype=a.dtype) + step @ _root(root @ b @ root) @ step) / 2
    found: Tensor = half @ a @ half.T
    return found


def _root(a: Tensor) -> Tensor:
    """The root of the positive part of a symmetric matrix."""
    values, vectors = torch.linalg.eigh((a + a.T) / 2)
    found: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return found
