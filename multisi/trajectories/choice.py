"""How far curves bend, and how much their middle is spread: chosen by times that are left out."""

import itertools
import statistics

import torch
from torch import Tensor

from multisi.common.seeds import generator
from multisi.data.marginals import Marginal
from multisi.metrics import energy_distance
from multisi.trajectories.chain import Chain
from multisi.trajectories.coupling import Curved
from multisi.trajectories.curves import Curve, control_weights, spread_at
from multisi.trajectories.snapshots import Snapshots

BENDS, SPREADS = (0.0, 0.25, 0.5, 0.75, 1.0), (0.0, 0.5, 1.0)
_UNKNOWN = 0.5, 1.0
"""What is taken where no time can be left out."""
_ROWS, _DRAWS = 1500, 4000


def choose(snapshots: Snapshots, seed: int = 0) -> tuple[float, float]:
    """The bend and the spread whose curves pass the snapshots that are left out most closely.

    Each snapshot between the first and the last is left out in turn. The energy distance of the
    states at its time is compared with that of straight lines without spread. With three times
    nothing can bend when one is left out.

    Arguments:
        snapshots: The snapshots.
        seed: Seed of the rows that are compared.
    """
    inner = range(1, len(snapshots.times) - 1)
    if not inner:
        return _UNKNOWN
    few = Snapshots(
        snapshots.times, tuple(_few(m, seed + i) for i, m in enumerate(snapshots.marginals))
    )
    bends = BENDS if len(snapshots.times) > 3 else _UNKNOWN[:1]
    found: dict[tuple[float, float], list[float]] = {}
    for place in inner:
        chain = Chain.of(few.without(place), seed)
        target = few.marginals[place]
        goal = target.take(torch.arange(len(target)))
        scores = {}
        for bend, spread in itertools.product(bends, SPREADS):
            x = states(chain, few.times[place], bend, spread, len(goal), seed)
            scores[bend, spread] = energy_distance(x, goal)
        usual = max(statistics.median(scores.values()), 1e-12)
        for key, value in scores.items():
            found.setdefault(key, []).append(value / usual)
    return min(found, key=lambda key: statistics.fmean(found[key]))


def states(chain: Chain, time: float, bend: float, spread: float, n: int, seed: int) -> Tensor:
    """Draws of the curves at one time, without a model, shape `(n, d)`.

    Arguments:
        chain: The chain of snapshots.
        time: The time.
        bend: How far curves bend.
        spread: How much their middle is spread.
        n: Number of draws.
        seed: Their seed.
    """
    times, weights = chain.snapshots.times, control_weights(chain.snapshots.times, bend)
    curved = Curved(chain, weights, spreads(chain, weights, spread), noise=False)
    drawn = curved.curves(n, generator(seed, 10)).double()
    place = torch.tensor((time - times[0]) / (times[-1] - times[0]), dtype=torch.float64)
    return torch.einsum("k,nkd->nd", Curve(times, times[0], times[-1])(place), drawn)


def spreads(chain: Chain, weights: Tensor, spread: float) -> Tensor:
    r"""Factors of the covariances of the noise in control points, shape `(k - 1, d, d)`.

    Rows that are matched have noise of their own, so that halfway between them the covariance is
    too small. What it lacks to that of the optimal map between the Gaussians with the moments of
    both snapshots is made up for by noise.

    Arguments:
        chain: The chain of snapshots.
        weights: The weights of the rows in each control point.
        spread: The share that is made up for.
    """
    times, d = chain.snapshots.times, chain.snapshots.marginals[0].event_shape[0]
    none = torch.zeros(len(times) - 1, d, d, dtype=torch.float64)
    if not spread:
        return none
    x = chain.draw(max(_DRAWS, 4 * d), generator(0, 12)).double()
    controls = torch.einsum("ck,nkd->ncd", weights, x)
    middle = torch.tensor([1, 3, 3, 1], dtype=torch.float64) / 8
    factors = []
    for k in range(len(times) - 1):
        four = torch.stack([x[:, k], controls[:, 2 * k], controls[:, 2 * k + 1], x[:, k + 1]])
        now = torch.einsum("c,cnd->nd", middle, four).T.cov().reshape(d, d)
        ends = [
            m.take(torch.arange(len(m))).double() for m in chain.snapshots.marginals[k : k + 2]
        ]
        lack = _between(*(end.T.cov().reshape(d, d) for end in ends)) - now
        factors.append(_root(spread * lack / spread_at(torch.tensor(0.5))))
    return torch.stack(factors)


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


def _few(marginal: Marginal, seed: int) -> Marginal:
    """At most some rows of a snapshot, drawn by their weights."""
    if len(marginal) <= _ROWS:
        return marginal
    return Marginal(marginal.take(marginal.draw(_ROWS, generator(seed, 13))))
