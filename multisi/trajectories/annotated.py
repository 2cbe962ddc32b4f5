"""`annotate`: an AnnData with the velocity of each cell, and its growth."""

from typing import Any

import numpy as np

from multisi.common import checks
from multisi.errors import ConfigError, DataError
from multisi.trajectories.conditions import columns_of, conditions
from multisi.trajectories.snapshots import embedded, times_of
from multisi.trajectories.times import numbers, origin_of
from multisi.trajectories.trajectory import Trajectory


def annotate(
    found: Trajectory,
    data: Any,
    *,
    time: str,
    embedding: str | None = None,
    condition: Any = None,
) -> Any:
    """A copy of an AnnData with what a trajectory says of each cell; all else is kept.

    New are `obsm["X_pca_velocity"]`, the velocity per unit of time in the embedding, with the name
    of the embedding, and with growth `obs["log_growth"]`. A backed file is read into memory, and
    is not changed.

    Arguments:
        found: The trajectory.
        data: An AnnData with cells at times within its range.
        time: The column of times in `obs`.
        embedding: The key in `obsm`; `None` for `X_pca`.
        condition: The columns of conditions, if it was fitted with any. Cells of a time without
            conditions, such as controls, get the mean over those of all other cells.

    Returns:
        The copy, in memory.

    Raises:
        ConfigError: a column or a key is missing, or a time is outside the range.
        DataError: a time or a condition is missing, or a time is of another kind.
        MultisiError: as for `Trajectory.velocity`.

    Examples:
        >>> import anndata
        >>> import pandas as pd
        >>> from multisi import trajectories
        >>> x = np.random.default_rng(0).normal(size=(40, 2))
        >>> table = pd.DataFrame({"day": [0, 1] * 20}, index=list(map(str, range(40))))
        >>> cells = anndata.AnnData(obs=table)
        >>> cells.obsm["X_pca"] = x
        >>> found = trajectories.fit(cells, time="day", steps=2, progress=False)
        >>> trajectories.annotate(found, cells, time="day").obsm["X_pca_velocity"].shape
        (40, 2)
    """
    checks.instance(found, Trajectory, "found")
    if not hasattr(data, "obsm") or not hasattr(data, "obs"):
        raise ConfigError(f"data must be an AnnData; got {type(data).__name__}.")
    rows, key = embedded(data, embedding), "X_pca" if embedding is None else embedding
    told = columns_of(condition)
    column = times_of(data.obs, time, told)
    keys, origin = list(column.unique()), found.model.card["trajectory"].get("origin")
    if origin_of(keys) and origin is None:
        raise DataError("The trajectory has numbers as times, and these cells have dates.")
    velocity, rate = np.empty(rows.shape), np.empty(len(rows))
    places = [(column == one).to_numpy() for one in keys]
    given = [conditions(data.obs, here, told, found.conditions) for here in places]
    everyone = _everyone(given) if told else None
    for here, at, kinds in zip(places, numbers(keys, origin), given, strict=True):
        x = np.asarray(rows[here], np.float64)
        velocity[here] = _means(found.velocity, x, at, kinds, everyone)
        if found.growth:
            rate[here] = _means(found.log_growth, x, at, kinds, everyone)
    made = data.to_memory() if getattr(data, "isbacked", False) else data.copy()
    made.obsm[f"{key}_velocity"] = velocity.astype(np.float32)
    if found.growth:
        made.obs["log_growth"] = rate
    return made


def _everyone(given: Any) -> Any:
    """The conditions of all cells that have one, and their shares."""
    some = [part for part in given if part is not None]
    if not some:
        raise DataError("No cell has a condition: leave condition out, or give some cells one.")
    kinds, counts = np.unique(np.concatenate(some), axis=0, return_counts=True)
    return kinds, counts / counts.sum()


def _means(of: Any, x: Any, at: float, given: Any, everyone: Any) -> "np.ndarray[Any, Any]":
    """What cells of one time do, each under its condition; the mean over all if they have none."""
    if everyone is None:
        return np.asarray(of(x, at))
    kinds, shares = everyone
    if given is None:
        parts = [share * np.asarray(of(x, at, k)) for k, share in zip(kinds, shares, strict=True)]
        return np.asarray(np.sum(parts, axis=0))
    places = [np.flatnonzero((given == kind).all(1)) for kind in np.unique(given, axis=0)]
    made = np.concatenate([np.asarray(of(x[here], at, given[here[0]])) for here in places])
    return np.asarray(made[np.concatenate(places).argsort()])
