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
        condition: The columns of conditions, if it was fitted with any.

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
    if told and data.obs[told].isna().to_numpy().any():
        raise DataError(
            f"Some cells have no condition in {told}: give them one, or leave them out."
        )
    keys, origin = list(column.unique()), found.model.card["trajectory"].get("origin")
    if origin_of(keys) and origin is None:
        raise DataError("The trajectory has numbers as times, and these cells have dates.")
    velocity, rate = np.empty(rows.shape, np.float32), np.empty(len(rows))
    for one, at in zip(keys, numbers(keys, origin), strict=True):
        here = (column == one).to_numpy()
        given = conditions(data.obs, here, told, found.conditions)
        velocity[here] = found.velocity(np.asarray(rows[here], np.float64), at, given)
        if found.growth:
            rate[here] = _rates(found, np.asarray(rows[here], np.float64), at, given)
    made = data.to_memory() if getattr(data, "isbacked", False) else data.copy()
    made.obsm[f"{key}_velocity"] = velocity
    if found.growth:
        made.obs["log_growth"] = rate
    return made


def _rates(
    found: Trajectory,
    rows: "np.ndarray[Any, Any]",
    at: float,
    given: "np.ndarray[Any, Any] | None",
) -> "np.ndarray[Any, Any]":
    """The growth of cells of one time, each by its condition if they have any."""
    if given is None:
        return found.log_growth(rows, at).numpy()
    rate = np.empty(len(rows))
    for kind in np.unique(given, axis=0):
        here = (given == kind).all(1)
        rate[here] = found.log_growth(rows[here], at, kind).numpy()
    return rate
