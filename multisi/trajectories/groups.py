"""Groups of rows: the snapshots of each condition, such as a dose or a perturbation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from multisi.common.arrays import floats
from multisi.data.marginals import Marginal
from multisi.errors import ConfigError, DataError
from multisi.trajectories.conditions import encoded, key_of, named, rounded
from multisi.trajectories.growth import masses_of
from multisi.trajectories.snapshots import LEAST, Snapshots


@dataclass(frozen=True)
class Group:
    """The snapshots of one condition, or of all rows where there are none.

    Arguments:
        condition: The condition, shape `(c,)`, or `None`.
        share: Its share of the rows that have conditions.
        snapshots: The rows with this condition; all rows of times without conditions.
    """

    condition: Tensor | None
    share: float
    snapshots: Snapshots

    @property
    def key(self) -> tuple[float, ...]:
        """The condition as numbers; none where there are no conditions."""
        return () if self.condition is None else tuple(self.condition.tolist())


def groups(snapshots: Snapshots) -> list[Group]:
    """The snapshots of each condition.

    Raises:
        DataError: conditions have different sizes, or a condition has too few rows at a time.
    """
    told = [m.condition for m in snapshots.marginals if m.condition is not None]
    if not told:
        return [Group(None, 1.0, snapshots)]
    if len({c.shape[1] for c in told}) > 1:
        raise DataError(f"Conditions must have one size; got {[c.shape[1] for c in told]}.")
    kinds, counts = torch.unique(torch.cat(told), dim=0, return_counts=True)
    if snapshots.conditions:  # The first name has the largest vector.
        kinds, counts = kinds.flip(0), counts.flip(0)
    found = []
    for kind, count in zip(kinds, counts.tolist(), strict=True):
        found.append(Group(kind, count / int(counts.sum()), _of(snapshots, kind)))
    return found


def _of(snapshots: Snapshots, condition: Tensor) -> Snapshots:
    pairs = zip(snapshots.marginals, snapshots.times, strict=True)
    name = named(condition, snapshots.conditions)
    return replace(snapshots, marginals=tuple(_part(m, condition, t, name) for m, t in pairs))


def _part(marginal: Marginal, condition: Tensor, time: float, name: str) -> Marginal:
    """The rows of a snapshot with a condition; all of them if it has none.

    Raises:
        DataError: too few rows have it.
    """
    if marginal.condition is None:
        return marginal
    rows = (marginal.condition == condition.double()).all(1).nonzero()[:, 0]
    if len(rows) < LEAST:
        raise DataError(
            f"Condition {name} has {len(rows)} rows at time {time:g}; it needs "
            f"{LEAST} at every time that has conditions. Leave the conditions of a time out if "
            "its rows belong to all, as controls do."
        )
    return Marginal(
        marginal.take(rows),
        None if marginal.labels is None else marginal.labels[rows],
        None if marginal.weights is None else marginal.weights[rows],
        features=marginal.features,
    )


def only(snapshots: Snapshots, condition: Any) -> Group:
    """The snapshots of a condition, or those without any.

    Arguments:
        snapshots: The snapshots.
        condition: A condition that they have, its name or shape `(c,)`; `None` if they have none.

    Raises:
        ConfigError: a condition is given and there are none, or the reverse.
        DataError: too few rows have it.
    """
    sizes = {m.condition.shape[1] for m in snapshots.marginals if m.condition is not None}
    if bool(sizes) != (condition is not None):
        raise ConfigError(
            "These snapshots have conditions: give condition=."
            if sizes
            else "These snapshots have no conditions."
        )
    if condition is None:
        return Group(None, 1.0, snapshots)
    told = floats(encoded(condition, snapshots.conditions), "condition").double().cpu()
    told = torch.from_numpy(rounded(told.numpy()))
    if told.shape != (*sizes,):
        raise ConfigError(f"condition must be one vector, shape {(*sizes,)}; got {condition!r}.")
    return Group(told, 1.0, _of(snapshots, told))


def masses_within(masses: Any, kinds: Sequence[Group]) -> list[list[float]]:
    """The masses of the snapshots of each condition.

    Arguments:
        masses: `"counts"`, or a mapping of time to mass; with conditions one of them for each, in
            a mapping of conditions.
        kinds: The groups.

    Raises:
        DataError: a condition or a time is missing or unknown, or a mass is not positive.
    """
    known = kinds[0].snapshots
    if kinds[0].condition is None:
        return [masses_of(masses, known)]
    if hasattr(masses, "items"):
        given = {key_of(condition, known.conditions): m for condition, m in masses.items()}
        if set(given) != {kind.key for kind in kinds} or len(given) < len(masses):
            names = sorted(named(kind.key, known.conditions) for kind in kinds)
            raise DataError(f"masses must have the conditions {names}; got {list(masses)}.")
        return [masses_of(given[kind.key], kind.snapshots) for kind in kinds]
    return [masses_of(masses, kind.snapshots) for kind in kinds]
