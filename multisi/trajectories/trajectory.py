"""The trajectory: states and laws at all times between the first snapshot and the last."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from multisi.common import arrays, checks, seeds
from multisi.common.seeds import generator
from multisi.errors import ConfigError
from multisi.files import checkpoint
from multisi.model import Model
from multisi.trajectories import motion
from multisi.trajectories.conditions import encoded, of_condition
from multisi.trajectories.groups import only
from multisi.trajectories.growth import Growth
from multisi.trajectories.matching import matched
from multisi.trajectories.relatives import shares, thinned
from multisi.trajectories.snapshots import Snapshots, read
from multisi.trajectories.times import checked_times

_OWN, _STEPS = ("path", "grid", "return_path", "via"), 16
"""Options of transports that a trajectory sets, and solver steps between two snapshots."""
_POOL, _ENOUGH = 2, 4000
"""Rows that are moved for each one of a law with growth, and rows that show a total mass."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Trajectories through snapshots: what `multisi.trajectories.fit` learns.

    Arguments:
        model: The field, whose corners are the snapshots and the control points of curves.
        snapshots: The snapshots; `None` for a model from a file, whose laws then need samples.
        growth: The rate of growth and the masses of each condition, whose numbers are the key;
            one with the key `()` without conditions, and none where mass is kept.

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
    growth: Mapping[tuple[float, ...], Growth] = field(default_factory=dict)

    @property
    def times(self) -> tuple[float, ...]:
        """The times of the snapshots."""
        return tuple(self.model.card["trajectory"]["times"])

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of conditions, sorted; none where conditions are numbers."""
        return tuple(self.model.card["trajectory"].get("conditions", ()))

    @property
    def labels(self) -> tuple[Any, ...]:
        """The labels of all snapshots, sorted, in the order of what `descendants` returns."""
        return tuple(self._seen().labels)

    def sample(
        self,
        x: Any,
        start: float,
        times: Any,
        *,
        noise: Any = 0.0,
        steps: int = _STEPS,
        return_growth: bool = False,
        **options: Any,
    ) -> Any:
        r"""Move samples from one time to others, forward or backward.

        Arguments:
            x: Samples at `start`, shape `(b, d)`, in data units.
            start: Their time.
            times: Times, in any order, shape `(n,)`.
            noise: 0 for the flow, or the noise of an SDE with the same laws, as for
                `Model.transport`; it needs `fit(score=True)`.
            steps: Solver steps between two snapshots.
            return_growth: Return the logarithm of the factor by which the mass of each sample
                grows as well, $\int g(x(t), t)\,dt$ along its way; it needs `masses` in `fit`.
            options: Further options of `Model.transport`, such as the `seed` of the noise; a
                `condition` may be a name.

        Returns:
            The states, the kind of array that `x` is, shape `(n, b, d)`; with `return_growth` a
            tuple of them and a tensor of shape `(n, b)`.

        Raises:
            ConfigError: a time is outside the range of the snapshots, or an option is invalid.
            ScoreError: there is noise, and the score was not learned.
            MultisiError: as for `Model.transport`.
        """
        checks.not_set(options, _OWN, "a trajectory")
        options["condition"] = encoded(options.get("condition"), self.conditions)
        begin, wanted = self._time(start), self._times(times)
        grows = checks.instance(return_growth, bool, "return_growth")
        given = self.model.given(x)
        growth = self._grows(options["condition"]) if grows else None
        parts, told = (self.model, self.times, given.rows), {**options, "noise": noise}
        states, gained = motion.states_at(*parts, begin, wanted, growth, steps=steps, **told)
        return (given.back(states), gained) if return_growth else given.back(states)

    def _time(self, time: Any) -> float:
        return self._times([time])[0]

    def _times(self, times: Any) -> list[float]:
        return checked_times(times, self.times, self.model.card["trajectory"].get("origin"))

    def _seen(self) -> Snapshots:
        if self.snapshots is None:
            raise ConfigError("A trajectory from a file has no snapshots: load it with them.")
        return self.snapshots

    def _grows(self, condition: Any) -> Growth:
        if not self.growth:
            raise ConfigError("This trajectory has no growth: fit it with masses.")
        return of_condition(self.growth, condition, self.conditions)

    def law(
        self,
        time: float,
        n: int,
        *,
        seed: int = 0,
        samples: Any = None,
        condition: Any = None,
        **options: Any,
    ) -> Tensor:
        """Samples of the law at a time between the snapshots.

        Rows of the snapshot before are moved forward and rows of the one after are moved back,
        each with a share by how near it is. With growth they are drawn by their masses there.

        Arguments:
            time: The time.
            n: Number of samples.
            seed: Seed of the rows, and of the noise if there is any.
            samples: Snapshots, for a trajectory from a file.
            condition: One that snapshots have, a name or shape `(c,)`; for others use `sample`.
            options: Options of `sample`.

        Returns:
            The samples, shape `(n, d)`.

        Raises:
            ConfigError: the time is outside the range, or there are no snapshots.
            DataError: samples are not like those that were fitted.
            MultisiError: as for `sample`.
        """
        known = self._seen() if samples is None else matched(read(samples), self.model)
        checks.not_set(options, ("return_growth",), "a trajectory")
        known = only(known, condition).snapshots
        at, n = self._time(time), checks.integer(n, "n")
        near, random = motion.sides(self.times, at), generator(seeds.check(seed), 15)
        last = round(n * near[-1][1])
        grows, parts = bool(self.growth), []
        for (place, _), count in zip(near, [n - last, last][-len(near) :], strict=True):
            x = known.marginals[place].drawn(_POOL * count if grows else count, random)
            told = {**options, "seed": seed, "condition": condition, "return_growth": grows}
            moved = self.sample(x, self.times[place], [at], **told)
            if grows:
                moved = moved[0][:, thinned(moved[1][0], count, random)]
            parts.append(moved[0])
        return torch.cat(parts)

    def mass(self, time: float, condition: Any = None) -> float:
        """The total mass at a time, by rows of both neighbouring snapshots, in given units.

        Arguments:
            time: The time.
            condition: One that snapshots have.

        Raises:
            ConfigError: the time is outside the range, or growth or snapshots are missing.
        """
        growth, known = self._grows(condition), only(self._seen(), condition).snapshots
        at, total = self._time(time), 0.0
        for place, part in motion.sides(self.times, at):
            x = known.marginals[place].drawn(_ENOUGH, generator(0, 21))
            told = {"condition": condition, "return_growth": True}
            gained = self.sample(x, self.times[place], [at], **told)[1]
            mean = float(torch.logsumexp(gained[0], 0)) - math.log(len(x))
            total += part * (float(growth.masses[place].log()) + mean)
        return math.exp(total)

    def log_growth(self, x: Any, time: float, condition: Any = None) -> Tensor:
        r"""The rate at which the logarithm of mass grows, $g(x, t)$; negative where cells die.

        Arguments:
            x: States, shape `(b, d)`.
            time: Their time.
            condition: One that snapshots have.

        Returns:
            The rate per unit of time, shape `(b,)`.

        Raises:
            ConfigError: the time is outside the range, or there is no growth.
            MultisiError: as for `Model.transport`.
        """
        rows = self.model.given(x).rows.cpu()
        return torch.as_tensor(self._grows(condition)(rows, self._time(time)))

    def velocity(self, x: Any, time: float, condition: Any = None) -> Any:
        """The velocity of the flow, in data units per unit of time, shape of `x`.

        Arguments:
            x: States, shape `(b, d)`.
            time: Their time.
            condition: A name, or as for `Model.velocity`.

        Raises:
            ConfigError: the time is outside the range.
            MultisiError: as for `Model.velocity`.
        """
        first, last = self.times[0], self.times[-1]
        given, path = self.model.given(x), motion.curve(self.model, self.times, first, last)
        place = (self._time(time) - first) / (last - first)
        found = self.model.velocity(given.rows, path, place, encoded(condition, self.conditions))
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
            For each sample the probabilities of `labels`, or without labels of the rows of the
            snapshot that have the condition, shape `(b, m)`. With growth rows count by mass.

        Raises:
            ConfigError: `at` is not the time of a snapshot, or there are no snapshots.
            MultisiError: as for `sample`.
        """
        return self._shares(x, time, at, 1, options)

    def _shares(
        self, x: Any, time: float, at: float, sign: int, options: Mapping[str, Any]
    ) -> Tensor:
        """The shares of the rows or labels of a snapshot in what samples become there."""
        time, at = (self._time(t) for t in (time, at))
        checks.not_set(options, ("return_growth",), "a trajectory")
        known, seen = only(self._seen(), options.get("condition")).snapshots, self._seen()
        if at not in self.times or sign * (at - time) < 0:
            raise ConfigError(
                f"at must be the time of a snapshot, one of {list(self.times)} that is later for "
                f"descendants and earlier for ancestors; got {at}."
            )
        grows = bool(self.growth)
        found: Any = self.sample(x, time, [at], **options, return_growth=grows)
        states, gained = found if grows else (found, None)
        rows = arrays.floats(states, "states")[0].double().cpu()
        goal = known.marginals[self.times.index(at)]
        return shares(rows, gained, goal, list(seen.labels.values()))

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
        tensors, told = self.model.parts()
        for i, growth in enumerate(self.growth.values()):
            tensors |= {f"growth.{i}.{name}": t for name, t in growth.state_dict().items()}
        checkpoint.write(path, tensors, told)
