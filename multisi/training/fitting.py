"""`fit`: train a model on datasets."""

import functools
import math
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from multisi.common import checks, devices, seeds
from multisi.common.memory import lacks_memory
from multisi.common.processes import World
from multisi.common.surroundings import restored
from multisi.common.torch_state import own_state
from multisi.couplings import Coupling
from multisi.data.prepare import prepare
from multisi.errors import ConfigError, TrainingDivergedError
from multisi.field import ConditionalMeans
from multisi.model import Model
from multisi.training.batches import Batches
from multisi.training.callbacks import EarlyStopping
from multisi.training.identity import identity
from multisi.training.loop import Training
from multisi.training.rescue import Rescue
from multisi.training.run_folder import RunFolder
from multisi.training.safe_run import train
from multisi.training.schedule import Schedule
from multisi.training.simplex_law import SimplexLaw


@own_state
def fit(
    marginals: Mapping[str, Any],
    *,
    coupling: str | Coupling = "auto",
    coupling_options: Mapping[str, Any] | None = None,
    network: str | nn.Module | Model = "mlp",
    network_options: Mapping[str, Any] | None = None,
    law: SimplexLaw | None = None,
    steps: int = 5000,
    max_seconds: float | None = None,
    batch_size: int = 256,
    units: str = "auto",
    learning_rate: float = 2e-3,
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
    r"""Learn one field over the simplex whose corners are the given marginals.

    Minimises $E\,|\sum_k v_k\, (g_k(x, \alpha) - x_k)|^2$ over points $\alpha$ with tangents $v$.

    Arguments:
        marginals: Name to samples `(n, *event)`, `Marginal` or `StandardNormal()`; the standard
            normal becomes marginal 0.
        coupling: The joint law of the marginals: a name, a `Coupling` in data units, or `"auto"`:
            optimal transport wherever rows can be matched, as `multisi.couplings.choose` says. The
            choice is in the log and on the model's card.
        coupling_options: Options of a coupling that is given by name.
        network: A name; a module `(x, alpha) -> (b, k, *event)`, which is trained in place; or a
            model of the same marginals, from whose weights training starts, in its units.
        network_options: Options of a network that is given by name.
        law: The law of the simplex points to train at; mostly on edges by default, and for
            `rectified` also at the corners.
        steps: Largest number of steps.
        max_seconds: Time limit, which counts from this call; a run with a time limit is not
            reproducible.
        batch_size: Joint draws per step.
        units: What has its own mean and standard deviation: `"features"` of vectors, `"channels"`,
            the `"whole"` sample, or `"auto"`: features of vectors, unless they are of like size or
            many of one kind, such as pixels, and channels that differ in size. Plans of couplings
            by name are in these units too.
        learning_rate: The peak learning rate, between a warm-up and a decay.
        clip: Largest norm of the gradient, to which larger ones are scaled; `None` for no limit.
        accumulate: Number of parts in which a batch is computed in turn, to save memory.
        precision: `"bfloat16"` for the network's computations; weights keep their type.
        shard: Shard weights, average and optimiser state over the processes, for networks that do
            not fit on one device; needs `run_dir`. The model is then on the CPU.
        held_out: Name to samples `(n, *event)` that are not trained on; training ends when their
            transport stops improving. `multisi.training.EarlyStopping` has options for it.
        callbacks: Functions of the `Training`, called after each step. One that returns `True`, or
            raises `multisi.training.StopTraining`, ends the run; one that fails causes a single
            warning. `multisi.training` has `Log` and `TensorBoard`.
        seed: The seed of all random numbers. The state of global generators is restored.
        device: A device, or `"auto"`.
        progress: Show a progress bar if standard error is a terminal.
        rescue: File for the model when training is interrupted, by Ctrl-C or SIGTERM, diverges
            or fails, or if the last checkpoint cannot be written; if it exists, a number is added
            to its name, and if it cannot be written, the folder for temporary files is used.
        run_dir: Folder for checkpoints, from which the run can be resumed. SIGINT, SIGTERM and
            SIGUSR1 then end the run after the current step, with a checkpoint.
        resume: Resume the run in `run_dir` if there is one, which must have the same data and
            options; the result equals that of an uninterrupted run bit by bit.
        save_seconds: Seconds between two checkpoints.
        keep: Number of the latest checkpoints to keep, in addition to the best by `held_out`.

    Returns:
        A `Model` with averaged weights.

    Raises:
        ConfigError: a name is unknown, or an option has an invalid value.
        UnknownPluginError: no coupling or network has the given name.
        CheckpointError: the run folder is in use, damaged, or holds a run that is not resumed; or
            the last checkpoint could not be written, and the message names the rescue file.
        DataError: samples are invalid.
        ShapeError: samples have different event shapes, or the network or the coupling returns a
            wrong shape.
        TrainingDivergedError: the loss is not finite or has grown, and did not recover; the
            message names the file with the last good weights.

    References:
        Albergo, Boffi, Lindsey, Vanden-Eijnden. Multimarginal generative modeling with
        stochastic interpolants (2023), arXiv:2310.03695.

    Examples:
        >>> import multisi
        >>> a = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
        >>> multisi.fit({"a": a, "b": a + 3}, steps=2, progress=False)
        Model(['a', 'b'], noise=None)
    """
    rescue, run_dir = checks.path(rescue, "rescue"), _run_dir(run_dir, resume, shard)
    schedule = Schedule(steps, max_seconds, batch_size, learning_rate)
    since, seed, device = time.perf_counter(), seeds.check(seed), devices.choose(device)
    with seeds.global_generators(seed, device), restored():
        batches = Batches(
            marginals,
            coupling=coupling,
            coupling_options=coupling_options,
            law=law,
            batch_size=batch_size,
            units=units,
            seed=seed,
            device=device,
        )
        stopping = [] if held_out is None else [EarlyStopping(held_out)]
        means = batches.means(network, **checks.options(network_options, "network_options"))
        _try(means, batches)
        training = Training(
            means,
            batches,
            schedule,
            clip=clip,
            accumulate=accumulate,
            precision=precision,
            callbacks=[*checks.several(callbacks, "callbacks"), *stopping],
            world=World.found(batches.device),
            shard=shard,
        )
        if shard:
            _try(training.means, batches)
        parts: dict[str, Any] = {"coupling": coupling, "coupling_options": coupling_options}
        parts |= {"network": network, "network_options": network_options}
        parts |= {"held_out": held_out and prepare(held_out)}
        model = batches.model(training.weights.result)
        place = Rescue(rescue, model)
        options = model.card["options"] = identity(training, parts)
        folder = run_dir and RunFolder(run_dir, options, model.parts, save_seconds, keep)
        train(training, folder, resume, place, lambda: training.run(progress, since))
    model.fit_again = _again(marginals, training, progress, rescue)
    return _told(model, training)


def _again(
    marginals: Mapping[str, Any], training: Training, progress: bool, rescue: Any
) -> Callable[..., Model]:
    """`fit` with the same data and length, and the next seed."""
    batches, schedule = training.batches, training.schedule
    options: dict[str, Any] = {
        "steps": schedule.steps,
        "max_seconds": schedule.max_seconds,
        "batch_size": schedule.batch_size,
        "learning_rate": schedule.learning_rate,
        "clip": training.clip if math.isfinite(training.clip) else None,
        "accumulate": training.accumulate,
        "precision": training.precision,
        "seed": batches.seed + 1,
        "device": batches.device,
        "progress": progress,
        "rescue": rescue,
    }
    return functools.partial(fit, marginals, **options)


def _run_dir(run_dir: Any, resume: Any, shard: Any) -> pathlib.Path | None:
    """The folder of the run, after a check of the options that need it."""
    resume, shard = checks.instance(resume, bool, "resume"), checks.instance(shard, bool, "shard")
    if run_dir is not None:
        return checks.path(run_dir, "run_dir")
    if resume:
        raise ConfigError("resume=True needs run_dir, the folder of the run.")
    if shard:
        raise ConfigError(
            "shard=True needs run_dir, the folder for checkpoints of the whole model."
        )
    return None


def _told(model: Model, training: Training) -> Model:
    """The model, on whose card is how training went."""
    found = {
        "steps": training.step,
        "seconds": round(training.seconds, 1),
        "loss": training.loss,
        "skipped": training.counts.skipped,
    }
    choice = training.batches.choice
    model.card["training"] = found if choice is None else found | {"coupling": asdict(choice)}
    return model


def _try(means: ConditionalMeans, batches: Batches) -> None:
    """Call the network once before training: check its shape, finiteness and parameters."""
    batch = batches(0)
    if not torch.isfinite(batch.x).all():
        raise TrainingDivergedError(f"The first batch has NaN or infinity.{batches.blame(0)}")
    try:
        with torch.no_grad():
            heads = means.heads(batch.x, batch.alpha, batch.condition)
    except RuntimeError as error:
        if lacks_memory(error):
            return  # The first step says what would fit.
        if "DTensor" not in str(error):
            raise
        raise ConfigError(
            "With shard=True each block, an element of a list of modules, must be called; this "
            f"network reads the weights of a block from outside: {str(error).splitlines()[0]}"
        ) from error
    if not torch.isfinite(heads).all():
        raise TrainingDivergedError(
            "The network returns NaN or infinity before the first step. Check its initial weights."
        )
    if not any(parameter.requires_grad for parameter in means.parameters()):
        raise ConfigError("The network has no parameters to train.")
