"""Snapshots for a trajectory from a file: those that it was fitted to, or others like them."""

from dataclasses import replace
from typing import Any

import numpy as np

from multisi.errors import DataError
from multisi.model import Model
from multisi.trajectories.snapshots import Snapshots


def matched(seen: Snapshots, model: Model) -> Snapshots:
    """Snapshots with the features in the order of a trajectory's model.

    Arguments:
        seen: The snapshots.
        model: The model.

    Raises:
        DataError: they have other times, dates, conditions or features.
    """
    told, sizes = model.card["trajectory"], _sizes(seen)
    names = tuple(told.get("conditions", ()))
    if names and not seen.conditions and sizes == {len(names)}:
        seen = replace(seen, conditions=names)  # Ones and zeros of a mapping.
    size = 0 if model.conditions is None else model.conditions.size
    for what, theirs, ours in (
        ("times", tuple(told["times"]), seen.times),
        ("first date", _date(told.get("origin")), _date(seen.origin)),
        ("conditions", names, seen.conditions),
        ("size of a condition", {size} - {0}, sizes),
        ("shape of a row", model.event_shape, seen.marginals[0].event_shape),
    ):
        if ours != theirs:
            raise DataError(
                f"Snapshots must have the {what} of the trajectory, {theirs}; got {ours}."
            )
    return replace(
        seen,
        marginals=tuple(
            m.aligned(model.features) if m.features and model.features else m
            for m in seen.marginals
        ),
    )


def _sizes(seen: Snapshots) -> set[int]:
    return {m.condition.shape[1] for m in seen.marginals if m.condition is not None}


def _date(origin: Any) -> Any:
    return origin and np.datetime64(origin).astype("datetime64[ms]")
