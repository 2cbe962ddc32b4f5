"""`load`: read a trajectory from a file."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from multisi import model as models
from multisi.errors import CheckpointError, DataError
from multisi.files import checkpoint
from multisi.trajectories.growth import Growth
from multisi.trajectories.snapshots import read
from multisi.trajectories.trajectory import Trajectory


def load(path: Any, snapshots: Any = None, *, device: Any = "cpu", **columns: Any) -> Trajectory:
    """Read a trajectory from a file.

    Arguments:
        path: Path of the file.
        snapshots: The snapshots, as for `read`; `None` without.
        device: A device.
        columns: Options of `read`, such as `time`.

    Raises:
        CheckpointError: the file is none of a trajectory, or damaged.
        DataError: the snapshots have other names of conditions.
        MultisiError: as for `multisi.load` and `read`.

    Examples:
        >>> import pathlib, tempfile, torch
        >>> from multisi import trajectories
        >>> x = torch.randn(2, 99, 2, generator=torch.Generator().manual_seed(0))
        >>> found = trajectories.fit({0: x[0], 1: x[1] + 3}, steps=2, progress=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "cells.safetensors")
        ...     found.save(path)
        ...     load(path).times
        (0.0, 1.0)
    """
    tensors, _ = checkpoint.read(path)
    model = models.load(path, device=device)
    told = model.card.get("trajectory")
    times = told.get("times") if isinstance(told, Mapping) else None
    if not _are_times(times):
        raise CheckpointError(f"{path} holds a model, and no trajectory: it says no times.")
    known = None if snapshots is None else read(snapshots, **columns)
    names = told.get("conditions", []) if isinstance(told, Mapping) else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CheckpointError(f"{path} is damaged: its conditions are {names!r}.")
    found = Trajectory(model, known, _growth(tensors, path))
    if known is not None and known.conditions != found.conditions:
        raise DataError(
            f"Snapshots must have the conditions of {path}, {list(found.conditions)}; got "
            f"{list(known.conditions)}."
        )
    return found


def _growth(tensors: Mapping[str, Tensor], path: Any) -> Growth | None:
    """The growth in a file, if there is any."""
    parts = checkpoint.under(tensors, "growth.")
    if parts and set(parts) != set(Growth.__annotations__):
        raise CheckpointError(f"{path} is damaged: its growth has {sorted(parts)}.")
    return Growth(**parts) if parts else None


def _are_times(times: Any) -> bool:
    real = isinstance(times, Sequence) and all(isinstance(t, int | float) for t in times)
    return real and len(times) > 1 and all(a < b for a, b in itertools.pairwise(times))
