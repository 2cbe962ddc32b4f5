"""`fit`: from datasets to a model."""

import pathlib
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from multisi import devices, recipes, registry, seeds
from multisi.couplings import Coupling
from multisi.errors import CheckpointError, ConfigError, ShapeError, TrainingDivergedError
from multisi.marginals import Marginal, StandardNormal, prepare
from multisi.means import ConditionalMeans
from multisi.model import Model
from multisi.training.loop import Training
from multisi.training.schedule import Schedule
from multisi.units import Standardiser


def fit(
    marginals: Mapping[str, Any],
    *,
    coupling: str | Coupling = "independent",
    network: str | nn.Module = "mlp",
    network_options: Mapping[str, Any] | None = None,
    steps: int = 5000,
    max_seconds: float | None = None,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    seed: int = 0,
    device: Any = "auto",
    progress: bool = True,
    rescue: Any = "multisi-interrupted.safetensors",
) -> Model:
    """Learn one field over the simplex whose corners are the given marginals.

    Arguments:
        marginals: Name to samples `(n, *event)`, `Marginal` or `StandardNormal()`; the standard
            normal becomes marginal 0.
        coupling: Joint law to draw from: a name, or a `Coupling` in data units.
        network: A name, or a module `(x, alpha) -> (b, k, *event)`, which is trained in place.
        network_options: Options of a network that is given by name.
        steps: Number of steps at most.
        max_seconds: Time at most; with it a run is no longer repeatable.
        batch_size: Joint draws a step.
        learning_rate: The highest rate; there is a warm-up and a decay.
        seed: The seed of everything random. Global generators are left as they are.
        device: `"auto"`, or a device.
        progress: Show a bar, if standard error is a terminal.
        rescue: File to which the model so far is saved when training is interrupted; a free name
            beside it is taken where it exists.

    Returns:
        A `Model` with averaged weights.

    Raises:
        ConfigError: an unknown name, or a value that an option cannot take.
        DataError: samples that cannot be used.
        ShapeError: samples of different event shapes, or a network or coupling that returns
            another shape.
        TrainingDivergedError: the loss stopped being finite and did not recover.

    Example:
        >>> import multisi
        >>> a = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
        >>> multisi.fit({"a": a, "b": a + 3}, steps=2, progress=False)
        Model(['a', 'b'], noise=None)
    """
    ready = prepare(marginals)
    schedule = Schedule(steps, max_seconds, batch_size, learning_rate)
    seed = seeds.check(seed)
    chosen = devices.choose(device)
    data = [marginal for marginal in ready.values() if isinstance(marginal, Marginal)]
    noise = next((name for name, m in ready.items() if isinstance(m, StandardNormal)), None)
    units = Standardiser.of(data)
    joint = registry.create("coupling", coupling, Coupling, list(ready.values()))
    event = data[0].event_shape
    first = 0 if noise is None else 1

    def draw(step: int) -> tuple[Tensor, Tensor | None]:
        xs = joint.sample(batch_size, seed=seed, step=step)
        if xs.shape != (batch_size, len(ready), *event):
            raise ShapeError(
                f"The coupling must draw shape {(batch_size, len(ready), *event)}; "
                f"got {tuple(xs.shape)}."
            )
        data = xs[:, first:]
        data = (data - units.shift.to(data)) / units.scale.to(data)
        xs = torch.cat([xs[:, :first], data], 1).to(chosen, torch.float32)
        told = joint.condition(batch_size, seed=seed, step=step)
        return xs, None if told is None else told.to(chosen, torch.float32)

    with torch.random.fork_rng(devices=[chosen] if chosen.type == "cuda" else []):
        torch.manual_seed(seed)
        options = dict(network_options or {})
        if isinstance(network, str) and (size := _condition_size(data)):
            options["condition"] = size
        means = recipes.make(network, options, event, len(ready)).to(chosen)
        _try(means, *draw(0))
        training = Training(means, draw, schedule, seed)
        model = Model(
            training.averaged,
            list(ready),
            noise,
            units=units,
            noise_independent=joint.noise_independent,
            plugins=[
                registry.installed().find(kind, name).record()
                for kind, name in (("network", network), ("coupling", coupling))
                if isinstance(name, str)
            ],
        )
        try:
            training.run(progress)
        except KeyboardInterrupt:
            print(
                f"Interrupted at step {training.step} of {steps}; the model so far is in "
                f"{_rescue(model, pathlib.Path(rescue))}",
                file=sys.stderr,
            )
            raise
    return model


def _condition_size(data: list[Marginal]) -> int:
    """Features of the condition, 0 without one."""
    return next((m.condition.shape[1] for m in data if m.condition is not None), 0)


def _try(means: ConditionalMeans, xs: Tensor, condition: Tensor | None) -> None:
    """Ask the network once before training: its shape, finiteness and parameters."""
    alpha = torch.full(xs.shape[:2], 1 / xs.shape[1], device=xs.device)
    with torch.no_grad():
        heads = means.heads(xs.mean(1), alpha, condition)
    if not torch.isfinite(heads).all():
        raise TrainingDivergedError("The network returns NaN or infinity before the first step.")
    if not any(parameter.requires_grad for parameter in means.parameters()):
        raise ConfigError("The network has no parameters to train.")


def _rescue(model: Model, path: pathlib.Path) -> pathlib.Path:
    """Save to `path`, or where that cannot be, to the folder for temporary files."""
    for folder in (path.parent, pathlib.Path(tempfile.gettempdir())):
        place = _free(folder / path.name)
        try:
            model.save(place)
        except CheckpointError as error:
            failure = error
        else:
            return place
    raise failure


def _free(path: pathlib.Path) -> pathlib.Path:
    """`path`, or `path` with a number, whichever does not exist."""
    count, candidate = 1, path
    while candidate.exists():
        count += 1
        candidate = path.with_stem(f"{path.stem}-{count}")
    return candidate
