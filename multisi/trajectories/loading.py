"""`load`: read a trajectory from a file."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi import model as models
from multisi.errors import CheckpointError, DataError
from multisi.files import checkpoint
from multisi.model import Model
from multisi.trajectories.coupling import names_of
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
        DataError: the snapshots have other times, conditions or features.
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
    if not isinstance(told, Mapping):
        raise CheckpointError(f"{path} holds a model, and no trajectory: it says no times.")
    growth = checkpoint.under(tensors, "growth.")
    for what, known in (("times", _times), ("conditions", _conditions), ("origin", _origin)):
        if not known(told, model):
            raise CheckpointError(f"{path} is damaged: its {what} are not those of a trajectory.")
    if growth and not _grows(growth, told["times"], model):
        raise CheckpointError(f"{path} is damaged: its growth is not that of a trajectory.")
    found = Trajectory(model, None, Growth(**growth) if growth else None)
    if snapshots is None:
        return found
    seen = read(snapshots, **columns)
    for what, ours, theirs in (
        ("times", seen.times, found.times),
        ("conditions", seen.conditions, found.conditions),
        ("shape of a row", seen.marginals[0].event_shape, model.event_shape),
    ):
        if ours != theirs:
            raise DataError(f"Snapshots must have the {what} of {path}, {theirs}; got {ours}.")
    return replace(found, snapshots=seen)


def _times(told: Mapping[str, Any], model: Model) -> bool:
    """Whether there are increasing times, and the model has their snapshots."""
    times = told.get("times")
    if not isinstance(times, list) or not all(isinstance(t, int | float) for t in times):
        return False
    increasing = len(times) > 1 and all(a < b for a, b in itertools.pairwise(times))
    names = [name for name in model.marginals if name != model.noise]
    return increasing and len(model.event_shape or ()) == 1 and names == names_of(times)


def _conditions(told: Mapping[str, Any], model: Model) -> bool:
    """Whether conditions have different names, as many as the model has numbers."""
    names = told.get("conditions", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return False
    size = 0 if model.conditions is None else model.conditions.size
    return not names or len(set(names)) == len(names) == size


def _origin(told: Mapping[str, Any], model: Model) -> bool:
    """Whether there is no first date, or one."""
    origin = told.get("origin")
    try:
        return origin is None or not np.isnat(np.datetime64(str(origin)))
    except ValueError:
        return False


def _grows(parts: Mapping[str, Tensor], times: Sequence[float], model: Model) -> bool:
    """Whether tensors are those of the growth between some times."""
    (d,), k, m = (
        model.event_shape or (0,),
        len(times),
        parts.get("centres", torch.zeros(())).shape[:1],
    )
    shapes = {"times": (k,), "means": (k, d), "deviations": (k,), "masses": (k,), "base": (k - 1,)}
    shapes |= {"centres": (*m, d + 1), "coefficients": (*m,)}
    if {name: (*part.shape,) for name, part in parts.items()} != shapes:
        return False
    finite = all(part.dtype == torch.float64 and part.isfinite().all() for part in parts.values())
    positive = all(bool((parts[name] > 0).all()) for name in ("deviations", "masses"))
    return finite and positive and parts["times"].tolist() == list(times)
