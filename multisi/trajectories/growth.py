r"""Growth: the rate at which masses of cells change, from what transport alone cannot explain.

Between two snapshots each row of mass $a$ grows to $a\,e^{\Delta g/2}$ halfway, and each row of
the later one shrinks back to $b\,e^{-\Delta g/2}$. Both halves are matched by optimal transport.
The rate $g$ is a smooth function for which this costs least, as in unbalanced transport.
"""

import itertools
import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from scipy.optimize import minimize, minimize_scalar
from torch import Tensor, nn

from multisi.common.seeds import generator
from multisi.data.marginals import Marginal
from multisi.errors import DataError
from multisi.trajectories.chain import Chain, pot
from multisi.trajectories.slopes import slopes
from multisi.trajectories.snapshots import LEAST, Snapshots

_CELLS, _LANDMARKS, _ROUNDS, _ITERATIONS = 800, 100, 6, 15
"""Clusters of each snapshot, centres of the kernel, rounds, and steps of a search."""
_PENALTY, _WIDTH, _SLOW = 0.1, 1.0, 0.3
"""Weight of the squared norm, width of the kernel, and distance of the first and the last time."""
_LARGEST, _ACCURACY = 30.0, 0.03
"""The largest factor of the amplitude, and how accurately it is found."""
_ENOUGH = 0.99
"""Rounds end where the cost is not below this share of the last."""


class Growth(nn.Module):
    r"""The rate of growth: $g(x, t) = b(t) + \sum_i c_i k(z, z_i)$, with a Gaussian kernel.

    $z$ is the state without the mean of its time, divided by the deviation of its time, and the
    time. The base rate $b$ is constant between two snapshots, so that masses are met.

    Arguments:
        times: The times of the snapshots, shape `(k,)`.
        means: The mean of each, shape `(k, d)`.
        deviations: The root of the total variance of each, shape `(k,)`.
        centres: Centres of the kernel, shape `(m, d + 1)`.
        coefficients: Their coefficients, shape `(m,)`.
        base: The base rate of each interval, shape `(k - 1,)`.
        masses: The mass of each snapshot, shape `(k,)`.
    """

    times: Tensor
    means: Tensor
    deviations: Tensor
    centres: Tensor
    coefficients: Tensor
    base: Tensor
    masses: Tensor

    def __init__(self, **parts: Tensor) -> None:
        super().__init__()
        for name in self.__annotations__:
            self.register_buffer(name, parts[name].double())

    def forward(self, x: Tensor, time: float) -> Tensor:
        """The rate at a time, per unit of time, shape `(b,)`."""
        return self.shape(x, time) + self.at(time)

    def at(self, time: float) -> float:
        """The base rate; at a snapshot the mean of both sides."""
        sides = [self._interval(time, right) for right in (False, True)]
        return float(self.base[sides].mean())

    def between(self, start: float, end: float) -> float:
        """The integral of the base rate."""
        low, high = min(start, end), max(start, end)
        widths = self.times.clamp(low, high).diff()
        total = float((self.base * widths).sum())
        return total if end >= start else -total

    def _interval(self, time: float, right: bool) -> int:
        k = int(torch.searchsorted(self.times, torch.tensor(time).to(self.times), right=right)) - 1
        return min(max(k, 0), len(self.base) - 1)

    def shape(self, x: Tensor, time: float) -> Tensor:
        """The rate without the base, shape `(b,)`."""
        k = self._interval(time, True)
        share = (time - float(self.times[k])) / float(self.times[k + 1] - self.times[k])
        mean = torch.lerp(self.means[k], self.means[k + 1], share)
        deviation = torch.lerp(self.deviations[k], self.deviations[k + 1], share)
        place = (time - float(self.times[0])) / float(self.times[-1] - self.times[0])
        z = _placed((x.to(mean) - mean) / deviation, place)
        found: Tensor = _kernel(z, self.centres) @ self.coefficients
        return found


def _placed(z: Tensor, place: float) -> Tensor:
    return torch.cat([z, torch.full((len(z), 1), _SLOW * place).to(z)], 1)


def _kernel(z: Tensor, centres: Tensor) -> Tensor:
    return torch.exp(-torch.cdist(z, centres).square() / (2 * _WIDTH**2))


def learn(snapshots: Snapshots, masses: Sequence[float], seed: int = 0) -> Growth:
    """The growth for which transport between the snapshots costs least.

    Rows are moved halfway to their neighbours in time by the slopes of curves before they are
    matched, so that a smooth motion of all cells costs nothing and growth does not replace it.
    The slopes need plans, and plans the growth; both are found in turn until the cost stays.

    Arguments:
        snapshots: The snapshots.
        masses: Their masses.
        seed: Seed of the rows that are used.

    Raises:
        ConfigError: POT is not installed.

    References:
        Chizat et al. Scaling algorithms for unbalanced transport problems (2016),
        arXiv:1607.05816.
    """
    few = _summary(snapshots, seed)
    growth = _start(snapshots, few, masses, seed)
    least = math.inf
    for _ in range(_ROUNDS):
        chain = Chain.of(few, seed, gains(growth, few))
        growth.coefficients, cost = _Problem(few, slopes(chain, seed), growth).solved()
        growth.base = base_rates(growth, few)
        if cost > _ENOUGH * least:
            break
        least = cost
    growth.base = base_rates(growth, snapshots)
    return growth


def _summary(snapshots: Snapshots, seed: int) -> Snapshots:
    """The means of clusters with their shares, so that all rows count and few are matched."""
    found, few = [], snapshots.few(_CELLS, seed)
    for i, (marginal, x) in enumerate(zip(snapshots.marginals, snapshots.samples, strict=True)):
        if len(marginal) > _CELLS:
            source = np.random.default_rng([seed, i])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Equal rows leave clusters empty.
                kinds = kmeans2(x.numpy(), _CELLS, iter=5, minit="points", rng=source)[1]
            place, shares = torch.from_numpy(kinds).long(), marginal.shares
            total = torch.zeros(_CELLS, dtype=torch.float64).index_add_(0, place, shares)
            sums = torch.zeros(_CELLS, x.shape[1], dtype=torch.float64)
            sums.index_add_(0, place, shares[:, None] * x)
            some = total > 0
            if some.sum() >= LEAST:
                marginal = Marginal(sums[some] / total[some, None], weights=total[some])
            else:  # Nearly all rows are equal.
                marginal = few.marginals[i]
        found.append(marginal)
    return replace(snapshots, marginals=tuple(found))


def _start(snapshots: Snapshots, few: Snapshots, masses: Sequence[float], seed: int) -> Growth:
    """No growth yet: the means and deviations, and the centres of the kernel."""
    whole, x = snapshots.samples, few.samples
    shares = [marginal.shares for marginal in snapshots.marginals]
    means = torch.stack([p @ part for p, part in zip(shares, whole, strict=True)])
    squares = [
        (p @ (part - m).square()).sum() for p, part, m in zip(shares, whole, means, strict=True)
    ]
    deviations = torch.stack(squares).sqrt().clamp_min(1e-12)
    z = [
        _placed((part - mean) / deviation, float(place))
        for part, mean, deviation, place in zip(x, means, deviations, few.places, strict=True)
    ]
    every = torch.cat(z)
    chosen = torch.randperm(len(every), generator=generator(seed, 20))[:_LANDMARKS]
    times = torch.tensor(few.times, dtype=torch.float64)
    total = torch.tensor(masses, dtype=torch.float64)
    return Growth(
        times=times,
        means=means,
        deviations=deviations,
        centres=every[chosen],
        coefficients=torch.zeros(len(chosen)),
        base=total.log().diff() / times.diff(),
        masses=total,
    )


def gains(growth: Growth, snapshots: Snapshots) -> list[tuple[Tensor, Tensor]]:
    """For each interval what rows gain up to its middle, and back to it; logarithms, no base."""
    rates = [growth.shape(x, t) for x, t in zip(snapshots.samples, snapshots.times, strict=True)]
    widths = np.diff(snapshots.times).tolist()
    return [
        (a * width / 2, -b * width / 2)
        for (a, b), width in zip(itertools.pairwise(rates), widths, strict=True)
    ]


def base_rates(growth: Growth, snapshots: Snapshots) -> Tensor:
    """The base rates for which the masses of both halves are the same, shape `(k - 1,)`."""
    found = []
    shares = [marginal.shares.log() for marginal in snapshots.marginals]
    totals = growth.masses.log().tolist()
    for k, (ahead, back) in enumerate(gains(growth, snapshots)):
        a, b = totals[k : k + 2]
        gap = torch.logsumexp(shares[k + 1] + back, 0) - torch.logsumexp(shares[k] + ahead, 0)
        found.append((b - a + float(gap)) / (snapshots.times[k + 1] - snapshots.times[k]))
    return torch.tensor(found, dtype=torch.float64)


class _Problem:
    """The cost of transport between both halves of all intervals, as a function of growth."""

    def __init__(self, few: Snapshots, slope: Sequence[Tensor], growth: Growth) -> None:
        x, widths = few.samples, few.places.diff()
        self.widths, self.span = widths.tolist(), few.times[-1] - few.times[0]
        self.shares = [marginal.shares for marginal in few.marginals]
        self.costs, self.scales = [], []
        for k, width in enumerate(widths):
            ahead = x[k] + width * slope[k].double() / 2
            back = x[k + 1] - width * slope[k + 1].double() / 2
            self.costs.append(torch.cdist(ahead, back).square().numpy())
            self.scales.append(float(growth.deviations[k : k + 2].square().sum()))
        z = [
            _placed((part - mean) / deviation, float(place))
            for part, mean, deviation, place in zip(
                x, growth.means, growth.deviations, few.places, strict=True
            )
        ]
        values, vectors = torch.linalg.eigh(_kernel(growth.centres, growth.centres))
        known = values > 1e-6 * values.max()
        self.basis = vectors[:, known] / values[known].sqrt()
        self.features = [_kernel(part, growth.centres) @ self.basis for part in z]

    def solved(self) -> tuple[Tensor, float]:
        """Coefficients of the kernel, a shape of small norm and its amplitude, and their cost."""
        start = np.zeros(self.basis.shape[1])
        options = {"maxiter": _ITERATIONS}
        found = minimize(self._penalised, start, jac=True, method="L-BFGS-B", options=options).x
        best = minimize_scalar(
            lambda c: self(c * found)[0],
            bounds=(0.0, _LARGEST),
            method="bounded",
            options={"xatol": _ACCURACY},
        )
        return self.basis @ torch.from_numpy(best.x * found) / self.span, float(best.fun)

    def _penalised(self, theta: "np.ndarray[Any, Any]") -> tuple[float, "np.ndarray[Any, Any]"]:
        cost, slope = self(theta)
        return cost + _PENALTY * float(theta @ theta), slope + 2 * _PENALTY * theta

    def __call__(self, theta: "np.ndarray[Any, Any]") -> tuple[float, "np.ndarray[Any, Any]"]:
        """The cost, relative to the variance, and its gradient."""
        total, gradient = 0.0, torch.zeros(len(theta), dtype=torch.float64)
        for k, width in enumerate(self.widths):
            ends = self.features[k] * width / 2, -self.features[k + 1] * width / 2
            weights = [
                torch.softmax(share.log() + end @ torch.from_numpy(theta), 0)
                for share, end in zip(self.shares[k : k + 2], ends, strict=True)
            ]
            cost, log = pot().emd2(
                *(w.numpy() for w in weights), self.costs[k], numItermax=10**7, log=True
            )
            total += float(cost) / self.scales[k]
            for w, end, potential in zip(weights, ends, (log["u"], log["v"]), strict=True):
                u = torch.as_tensor(potential, dtype=torch.float64)
                gradient += end.T @ (w * (u - w @ u)) / self.scales[k]
        return total, gradient.numpy()


def masses_of(given: Any, snapshots: Snapshots) -> list[float]:
    """The mass of each snapshot, positive.

    Arguments:
        given: A mapping of time to mass, or `"counts"`, the numbers of rows.
        snapshots: The snapshots.

    Raises:
        DataError: a mass is missing or not positive, or a time is unknown.
    """
    if isinstance(given, str) and given == "counts":
        return [float(len(marginal)) for marginal in snapshots.marginals]
    found = snapshots.by_time(given, "masses")
    real = all(isinstance(m, int | float | np.number) and m is not True for m in found)
    if not real or not all(0 < m < math.inf for m in found):
        raise DataError(f"masses must be positive numbers; got {found}.")
    return [float(m) for m in found]
