"""`load`: read a trajectory from a file."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi import model as models
from multisi.errors import CheckpointError
from multisi.files import checkpoint
from multisi.model import Model
from multisi.trajectories.coupling import names_of
from multisi.trajectories.growth import Growth
from multisi.trajectories.matching import matched
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
        DataError: the snapshots have other times, dates, conditions or features.
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
    for what, known in (("times", _times), ("conditions", _conditions), ("origin", _origin)):
        if not known(told, model):
            raise CheckpointError(f"{path} is damaged: its {what} are not those of a trajectory.")
    parts, grown = checkpoint.under(tensors, "growth."), told.get("grown", [])
    if not _grown(grown, model) or not _grows(parts, len(grown), told["times"], model):
        raise CheckpointError(f"{path} is damaged: its growth is not that of a trajectory.")
    growth = {tuple(c): Growth(**checkpoint.under(parts, f"{i}.")) for i, c in enumerate(grown)}
    found = Trajectory(model, None, growth)
    if snapshots is None:
        return found
    return replace(found, snapshots=matched(read(snapshots, **columns), model))


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


def _grown(grown: Any, model: Model) -> bool:
    """Whether conditions that have growth are vectors of numbers, or the only one is empty."""
    size = 0 if model.conditions is None else model.conditions.size
    real = isinstance(grown, list) and all(
        isinstance(c, list) and len(c) == size and all(isinstance(v, int | float) for v in c)
        for c in grown
    )
    return real and len({tuple(c) for c in grown}) == len(grown)


def _grows(parts: Mapping[str, Tensor], count: int, times: Sequence[float], model: Model) -> bool:
    """Whether tensors are those of so many rates of growth between some times."""
    (d,), k = model.event_shape or (0,), len(times)
    shapes = {"times": (k,), "means": (k, d), "deviations": (k,), "masses": (k,), "base": (k - 1,)}
    wanted: dict[str, tuple[int, ...]] = {}
    none = torch.zeros(())
    for i in range(count):
        m = parts.get(f"{i}.centres", none).shape[:1]
        here = {**shapes, "centres": (*m, d + 1), "coefficients": (*m,)}
        wanted |= {f"{i}.{name}": shape for name, shape in here.items()}
        if parts.get(f"{i}.times", none).tolist() != list(times):
            return False
    if {name: (*part.shape,) for name, part in parts.items()} != wanted:
        return False
    if any(part.dtype != torch.float64 or not part.isfinite().all() for part in parts.values()):
        return False
    positive = [part for name, part in parts.items() if name.endswith(("deviations", "masses"))]
    return all(bool((part > 0).all()) for part in positive)
