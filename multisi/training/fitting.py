"""`fit`: from datasets to a model."""

import math
import pathlib
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from multisi.common import checks, seeds
from multisi.common.processes import World
from multisi.couplings import Coupling
from multisi.errors import CheckpointError, ConfigError, TrainingDivergedError
from multisi.field import ConditionalMeans
from multisi.model import Model
from multisi.training.batches import Batches
from multisi.training.callbacks import EarlyStopping
from multisi.training.loop import Training
from multisi.training.objective import Batch
from multisi.training.run_folder import RunFolder
from multisi.training.schedule import Schedule
from multisi.training.simplex_law import SimplexLaw


def fit(
    marginals: Mapping[str, Any],
    *,
    coupling: str | Coupling = "independent",
    coupling_options: Mapping[str, Any] | None = None,
    network: str | nn.Module = "mlp",
    network_options: Mapping[str, Any] | None = None,
    law: SimplexLaw | None = None,
    steps: int = 5000,
    max_seconds: float | None = None,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    clip: float | None = 1.0,
    accumulate: int = 1,
    precision: str | None = None,
    shard: bool = False,
    held_out: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callable[[Training], Any]] = (),
    seed: int = 0,
    device: Any = "auto",
    progress: bool = True,
    rescue: Any = "multisi-interrupted.safetensors",
    run_dir: Any = None,
    resume: bool = False,
    save_seconds: float = 60.0,
    keep: int = 3,
) -> Model:
    """Learn one field over the simplex whose corners are the given marginals.

    Arguments:
        marginals: Name to samples `(n, *event)`, `Marginal` or `StandardNormal()`; the standard
            normal becomes marginal 0.
        coupling: Joint law to draw from: a name, or a `Coupling` in data units.
        coupling_options: Options of a coupling that is given by name.
        network: A name, or a module `(x, alpha) -> (b, k, *event)`, which is trained in place.
        network_options: Options of a network that is given by name.
        law: Which points of the simplex to learn at; mostly edges by default.
        steps: Number of steps at most.
        max_seconds: Time at most; with it a run is no longer repeatable.
        batch_size: Joint draws a step.
        learning_rate: The highest rate; there is a warm-up and a decay.
        clip: Longest gradient, longer ones are scaled down; `None` for no limit.
        accumulate: Parts in which a batch is computed, one after the other, to save memory.
        precision: `"bfloat16"` for the network's computations; weights keep their type.
        shard: Spread weights, average and optimiser over the processes, for a network that would
            not fit with them on one device; needs `run_dir`. The model is then on the CPU.
        held_out: Name to samples that are not trained on; training ends when they are no longer
            moved any better. `multisi.training.EarlyStopping` has options for it.
        callbacks: Functions of the `Training`, called after each step; one that returns true ends
            the run, one that fails is warned of once. `multisi.training` has `Log` and
            `TensorBoard`.
        seed: The seed of everything random. Global generators are left as they are.
        device: `"auto"`, or a device.
        progress: Show a bar, if standard error is a terminal.
        rescue: File to which the model so far is saved when training is interrupted or diverges; a
            free name beside it is taken where it exists. With `run_dir` it is not needed.
        run_dir: Folder for checkpoints, from which a run that was killed can be taken up again.
            SIGINT, SIGTERM and SIGUSR1 then end it after the step, with a checkpoint.
        resume: Take up the run in `run_dir` where there is one; the result is bit by bit that of
            a run that was never interrupted.
        save_seconds: Seconds between two checkpoints.
        keep: How many of the latest checkpoints to keep, besides the best by `held_out`.

    Returns:
        A `Model` with averaged weights.

    Raises:
        ConfigError: an unknown name, or a value that an option cannot take.
        CheckpointError: a run folder that is in use, damaged, or holds another run.
        DataError: samples that cannot be used.
        ShapeError: samples of different event shapes, or a network or coupling that returns
            another shape.
        TrainingDivergedError: the loss stopped being finite, or grew, and did not recover; the
            last good weights are in the file that the message names.

    Example:
        >>> import multisi
        >>> a = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
        >>> multisi.fit({"a": a, "b": a + 3}, steps=2, progress=False)
        Model(['a', 'b'], noise=None)
    """
    rescue, run_dir = checks.path(rescue, "rescue"), _run_dir(run_dir, resume, shard)
    schedule = Schedule(steps, max_seconds, batch_size, learning_rate)
    batches = Batches(
        marginals,
        coupling=coupling,
        coupling_options=coupling_options,
        law=law,
        batch_size=batch_size,
        seed=seed,
        device=device,
    )
    world = World.found(batches.device)
    stopping = [] if held_out is None else [EarlyStopping(held_out)]
    means = batches.means(network, **checks.options(network_options, "network_options"))
    with seeds.global_generators(batches.seed, batches.device):
        _try(means, batches(0))
        training = Training(
            means,
            batches,
            schedule,
            clip=clip,
            accumulate=accumulate,
            precision=precision,
            callbacks=[*checks.several(callbacks, "callbacks"), *stopping],
            world=world,
            shard=shard,
        )
        if shard:
            _try(training.means, batches(0))
        model = batches.model(training.weights.result)
        parts: dict[str, Any] = {"coupling": coupling, "coupling_options": coupling_options}
        parts |= {"network": network, "network_options": network_options}
        identity = model.card["options"] = _identity(training, parts)
        folder = None
        if run_dir is not None:
            folder = RunFolder(run_dir, identity, model.parts, save_seconds, keep)
        _train(training, model, folder, resume, rescue, progress)
    model.card["training"] = _summary(training)
    return model


def _run_dir(run_dir: Any, resume: Any, shard: Any) -> pathlib.Path | None:
    """The folder of the run, and a check of the options that need it."""
    resume, shard = checks.instance(resume, bool, "resume"), checks.instance(shard, bool, "shard")
    if run_dir is not None:
        return checks.path(run_dir, "run_dir")
    if resume:
        raise ConfigError("resume needs run_dir, the folder of the run.")
    if shard:
        raise ConfigError("shard needs run_dir, the folder where the model is kept whole.")
    return None


def _train(
    training: Training,
    model: Model,
    folder: RunFolder | None,
    resume: bool,
    rescue: pathlib.Path,
    progress: bool,
) -> None:
    """Train, with or without a folder; what there is when training breaks off is saved."""
    progress = progress and training.world.first
    try:
        if folder is None:
            training.run(progress)
        else:
            _train_in(folder, training, resume, progress)
    except KeyboardInterrupt:
        place = _rescue(model, rescue) if folder is None else folder.folder
        steps = training.schedule.steps
        print(
            f"Interrupted at step {training.step} of {steps}; the model so far is in {place}",
            file=sys.stderr,
        )
        raise
    except TrainingDivergedError as error:
        if not training.average.steps:
            raise
        raise TrainingDivergedError(f"{error} They are in {_rescue(model, rescue)}.") from None


def _train_in(folder: RunFolder, training: Training, resume: bool, progress: bool) -> None:
    """Train in a folder, from where it left off; after a signal end as that signal would."""
    with folder.held(training.world):
        folder.restore(training, resume)
        training.callbacks.append(folder)
        training.run(progress)
        folder.save(training)
        number = int(training.world.most(folder.signal or 0))
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    if number:
        raise SystemExit(128 + number)


def _identity(training: Training, parts: Mapping[str, Any]) -> dict[str, Any]:
    """The options that identify a run, as JSON holds them."""
    batches, schedule = training.batches, training.schedule
    return {
        "marginals": {m.name: [len(m), *m.event_shape] for m in batches.data},
        "noise": batches.noise,
        "law": {"shares": batches.law.shares, "along": len(batches.law.along)},
        "batch_size": batches.batch_size,
        "seed": batches.seed,
        "steps": schedule.steps,
        "max_seconds": schedule.max_seconds,
        "learning_rate": schedule.learning_rate,
        "clip": training.clip if math.isfinite(training.clip) else None,
        "accumulate": training.accumulate,
        "precision": training.precision,
        **{name: _plain(part) for name, part in parts.items()},
    }


def _plain(value: Any) -> Any:
    """A value that JSON can hold: an object is represented by its class."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _summary(training: Training) -> dict[str, Any]:
    """How training went, for the card of the model."""
    return {
        "steps": training.step,
        "seconds": round(training.seconds, 1),
        "loss": training.loss,
        "skipped": training.counts.skipped,
    }


def _try(means: ConditionalMeans, batch: Batch) -> None:
    """Call the network once before training: check its shape, finiteness and parameters."""
    try:
        with torch.no_grad():
            heads = means.heads(batch.x, batch.alpha, batch.condition)
    except RuntimeError as error:
        if "DTensor" not in str(error):
            raise
        raise ConfigError(
            "With shard a block, an element of a list of modules, must be called; this network "
            f"reads the weights of one from outside: {str(error).splitlines()[0]}"
        ) from error
    if not torch.isfinite(heads).all():
        raise TrainingDivergedError("The network returns NaN or infinity before the first step.")
    if not any(parameter.requires_grad for parameter in means.parameters()):
        raise ConfigError("The network has no parameters to train.")


def _rescue(model: Model, path: pathlib.Path) -> pathlib.Path:
    """Save to `path`, or where that cannot be, to the folder for temporary files."""
    for folder in (path.parent, pathlib.Path(tempfile.gettempdir())):
        try:
            place = _free(folder / path.name)
            model.save(place)
        except (CheckpointError, OSError) as error:
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
