"""The trajectory: states and laws at all times between the first snapshot and the last."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi import noise as noises
from multisi.common import arrays, checks, seeds
from multisi.common.seeds import generator
from multisi.errors import ConfigError, ScoreError
from multisi.model import Model
from multisi.trajectories.chain import pot
from multisi.trajectories.curves import Curve
from multisi.trajectories.snapshots import Snapshots, checked_time, checked_times, read

BOW, NOISE = 0.5, "noise"
"""The largest weight of the noise on the paths of SDEs, and the name of its marginal."""
_OWN = ("path", "grid", "return_path", "via")
"""Options of transports that a trajectory sets itself."""
_STEPS = 16
"""Solver steps between two snapshots."""
_ROUNDING = 1e-6
"""What a number of steps may be above an integer by rounding."""


@dataclass(frozen=True)
class Trajectory:
    """Trajectories through snapshots: what `multisi.trajectories.fit` learns.

    Arguments:
        model: The field, whose corners are the snapshots and the control points of curves.
        snapshots: The snapshots; `None` for a model from a file, whose laws then need samples.

    Examples:
        >>> from multisi import trajectories
        >>> x = torch.randn(3, 99, 2, generator=torch.Generator().manual_seed(0))
        >>> found = trajectories.fit(
        ...     {0: x[0], 1: x[1] + 2, 3: x[2] + 3}, steps=2, progress=False)
        >>> found.sample(x[0], 0, [0.5, 1, 2]).shape
        torch.Size([3, 99, 2])
    """

    model: Model
    snapshots: Snapshots | None = None

    @property
    def times(self) -> tuple[float, ...]:
        """The times of the snapshots."""
        return tuple(self.model.card["trajectory"]["times"])

    def sample(
        self,
        x: Any,
        start: float,
        times: Any,
        *,
        noise: Any = 0.0,
        seed: int | None = None,
        steps: int = _STEPS,
        **options: Any,
    ) -> Any:
        """Move samples from one time to others, forward or backward.

        Arguments:
            x: Samples at `start`, shape `(b, d)`, in data units.
            start: Their time.
            times: Times, in any order, shape `(n,)`.
            noise: 0 for the flow, or the noise of an SDE with the same laws, as for
                `Model.transport`; it needs `fit(score=True)`.
            seed: Seed of the noise.
            steps: Solver steps between two snapshots.
            options: Further options of `Model.transport`.

        Returns:
            The states, the kind of array that `x` is, shape `(n, b, d)`.

        Raises:
            ConfigError: a time is outside the range of the snapshots, or an option is invalid.
            ScoreError: there is noise, and the score was not learned.
            MultisiError: as for `Model.transport`.
        """
        checks.not_set(options, _OWN, "a trajectory")
        begin, wanted = checked_time(start, self.times), checked_times(times, self.times)
        given = self.model.given(x)
        states = torch.empty(len(wanted), *given.rows.shape, dtype=given.rows.dtype)
        states = states.to(given.rows.device)
        for sign in (1, -1):
            later = sorted({t for t in wanted if sign * (t - begin) > 0}, key=lambda t: sign * t)
            if not later:
                continue
            moved = self._moved(given.rows, begin, later, noise, seed, steps, options)
            for i, t in enumerate(wanted):
                if t in later:
                    states[i] = moved[later.index(t)]
        for i, t in enumerate(wanted):
            if t == begin:
                states[i] = given.rows
        return given.back(states)

    def _moved(
        self,
        x: Tensor,
        start: float,
        times: list[float],
        noise: Any,
        seed: int | None,
        steps: int,
        options: Mapping[str, Any],
    ) -> Tensor:
        """States at times on one side of the start."""
        end = times[-1]
        noisy = not noises.is_zero(noise)
        if noisy and self.model.noise is None:
            raise ScoreError("noise > 0 needs the score: fit the trajectory with score=True.")
        curve = self._curve(start, end, noisy)
        places = [(t - start) / (end - start) for t in times]
        inside = sorted({*places, *curve.knots})
        count = checks.integer(steps, "steps")
        usual = np.diff(self.times).min() / abs(end - start)
        counts = [
            count * min(1.0, (b - a) / usual) - _ROUNDING for a, b in itertools.pairwise(inside)
        ]
        parts = [
            torch.linspace(a, b, 1 + max(2, math.ceil(n)), dtype=torch.float64)[:-1]
            for a, b, n in zip(inside, inside[1:], counts, strict=False)
        ]
        grid = torch.cat([*parts, torch.ones(1, dtype=torch.float64)])
        points = curve(torch.tensor([0.0, 1.0], dtype=torch.float64))
        moved: Tensor = self.model.transport(
            x,
            *points,
            path=curve,
            grid=grid,
            noise=noise,
            seed=seed,
            return_path=True,
            **options,
        )
        at = torch.tensor(places, dtype=torch.float64)
        return moved[(grid[:, None] - at).abs().argmin(0)]

    def _curve(self, start: float, end: float, noisy: bool = False) -> Curve:
        if self.model.noise is None:
            return Curve(self.times, start, end)
        return Curve(self.times, start, end, BOW if noisy else 0.0)

    def law(
        self, time: float, n: int, *, seed: int = 0, samples: Any = None, **options: Any
    ) -> Tensor:
        """Samples of the law at a time between the snapshots.

        Rows of the snapshot before are moved forward and rows of the one after are moved back,
        each with a share by how near it is.

        Arguments:
            time: The time.
            n: Number of samples.
            seed: Seed of the rows, and of the noise if there is any.
            samples: Snapshots, for a trajectory from a file.
            options: Options of `sample`.

        Returns:
            The samples, shape `(n, d)`.

        Raises:
            ConfigError: the time is outside the range, or there are no snapshots.
            MultisiError: as for `sample`.
        """
        known = self.snapshots if samples is None else read(samples)
        if known is None:
            raise ConfigError("A trajectory from a file has no snapshots: give samples=snapshots.")
        if known.times != self.times:
            raise ConfigError(
                f"samples must be snapshots at {list(self.times)}; got {list(known.times)}."
            )
        at, n = checked_time(time, self.times), checks.integer(n, "n")
        k = min(int(np.searchsorted(self.times, at, side="right")) - 1, len(self.times) - 2)
        share = (at - self.times[k]) / (self.times[k + 1] - self.times[k])
        random = generator(seeds.check(seed), 15)
        later = round(n * share)
        parts = []
        for place, count in ((k, n - later), (k + 1, later)):
            if count:
                marginal = known.marginals[place]
                x = marginal.take(marginal.draw_evenly(count, random))
                moved = self.sample(x, self.times[place], [at], seed=seed, **options)
                parts.append(moved[0])
        return torch.cat(parts)

    def velocity(self, x: Any, time: float) -> Any:
        """The velocity of the flow, in data units per unit of time, shape of `x`.

        Arguments:
            x: States, shape `(b, d)`.
            time: Their time.

        Raises:
            ConfigError: the time is outside the range.
            MultisiError: as for `Model.velocity`.
        """
        at, first, last = checked_time(time, self.times), self.times[0], self.times[-1]
        place = (at - first) / (last - first)
        given = self.model.given(x)
        found = self.model.velocity(given.rows, self._curve(first, last), place)
        return given.back(found / (last - first))

    def descendants(self, x: Any, time: float, at: float, **options: Any) -> Tensor:
        """What the samples of one time become at a later one: shares of its rows, or labels.

        The samples are moved, and matched with the snapshot by an exact plan.

        Arguments:
            x: Samples at `time`, shape `(b, d)`.
            time: Their time.
            at: The time of a snapshot.
            options: Options of `sample`.

        Returns:
            For each sample the probabilities of the labels of the snapshot, in sorted order, or
            without labels of its rows, shape `(b, m)`.

        Raises:
            ConfigError: `at` is not the time of a snapshot, or there are no snapshots.
            MultisiError: as for `sample`.
        """
        return self._shares(x, time, at, 1, options)

    def _shares(
        self, x: Any, time: float, at: float, sign: int, options: Mapping[str, Any]
    ) -> Tensor:
        """The shares of the rows or labels of a snapshot in what samples become there."""
        time, at = (checked_time(t, self.times) for t in (time, at))
        if self.snapshots is None or at not in self.times or sign * (at - time) < 0:
            raise ConfigError(
                f"at must be the time of a snapshot, one of {list(self.times)} that is later for "
                f"descendants and earlier for ancestors, of a trajectory with snapshots; got {at}."
            )
        marginal = self.snapshots.marginals[self.times.index(at)]
        rows = arrays.floats(self.sample(x, time, [at], **options), "states")[0].double().cpu()
        goal = marginal.take(torch.arange(len(marginal))).double()
        weights = torch.ones(len(goal)) if marginal.weights is None else marginal.weights
        b = (weights.double() / weights.double().sum()).numpy()
        plan = torch.zeros(len(rows), len(goal), dtype=torch.float64)
        if len(rows):
            cost = torch.cdist(rows, goal).square().numpy()
            a = np.full(len(rows), 1 / len(rows))
            plan = torch.from_numpy(pot().emd(a, b, cost, numItermax=10**7)) * len(rows)
        if marginal.labels is None:
            return plan
        kinds = torch.unique(marginal.labels)
        return torch.stack([plan[:, marginal.labels == kind].sum(1) for kind in kinds], 1)

    def ancestors(self, x: Any, time: float, at: float, **options: Any) -> Tensor:
        """Where the samples of one time come from; as `descendants`, for an earlier time.

        Arguments:
            x: Samples at `time`, shape `(b, d)`.
            time: Their time.
            at: The time of a snapshot.
            options: Options of `sample`.

        Raises:
            ConfigError: `at` is not the time of a snapshot, or there are no snapshots.
            MultisiError: as for `sample`.
        """
        return self._shares(x, time, at, -1, options)

    def save(self, path: Any) -> None:
        """Write the field and the times to one file; the snapshots are not in it.

        Arguments:
            path: Path of the file.

        Raises:
            CheckpointError: the file cannot be written.
            ConfigError: `path` is not a path.
        """
        self.model.save(path)
