"""The folder of a run: checkpoints, a lock, and signals that end training cleanly."""

import contextlib
import pathlib
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from multisi.common import checks
from multisi.common.processes import World
from multisi.errors import CheckpointError, ConfigError
from multisi.files import checkpoint
from multisi.files.atomic import Lock, sweep
from multisi.training.loop import Training

_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1")
_CHANGEABLE = ("steps", "max_seconds")


class RunFolder:
    """A folder with the checkpoints of a run, from which it can be resumed.

    Each checkpoint is a file that `multisi.load` reads as a model; it also holds the state of
    training. It is written under a temporary name, synced and renamed, while training continues.

    Arguments:
        folder: Path of the folder, which is created if it does not exist.
        options: The options that identify the run, which must not change when it is resumed.
        describe: Function that returns tensors and description of the current model.
        every: Seconds between two checkpoints.
        keep: Number of the latest checkpoints to keep, in addition to the best one.

    Raises:
        ConfigError: `every` is not a finite number of at least 0, or `keep` is not a positive
            integer.
    """

    def __init__(
        self,
        folder: Any,
        options: Mapping[str, Any],
        describe: Callable[[], tuple[dict[str, Any], dict[str, Any]]],
        every: float = 60.0,
        keep: int = 3,
    ) -> None:
        self.folder = pathlib.Path(folder)
        self.options = dict(options)
        self.every = checks.number(every, "save_seconds")
        self.keep = checks.integer(keep, "keep")
        self.signal: int | None = None
        self._describe = describe
        self._writer = ThreadPoolExecutor(1, "multisi-checkpoint")
        self._writing: Future[None] | None = None
        self._saved = 0.0

    @contextlib.contextmanager
    def held(self, world: World) -> Iterator[None]:
        """Lock the folder against other runs, and let signals end training after a step.

        Raises:
            CheckpointError: the folder cannot be used, or another process trains in it.
        """
        with contextlib.ExitStack() as held:
            if world.first:
                try:
                    self.folder.mkdir(parents=True, exist_ok=True)
                    held.enter_context(Lock(self.folder / ".lock"))
                except OSError as error:
                    raise CheckpointError(
                        f"The run folder {str(self.folder)!r} cannot be used: {error}. Choose "
                        "another one."
                    ) from None
                sweep(self.folder)
            world.most(0.0)  # The other processes wait for the lock.
            held.enter_context(self._signals())
            yield
            self._wait()

    def restore(self, training: Training, resume: bool) -> None:
        """Resume from the newest undamaged checkpoint, if there is one.

        Raises:
            CheckpointError: there are checkpoints and `resume` is false, all of them are damaged,
                the newest undamaged one does not fit the network, or the processes find different
                ones.
            ConfigError: the run has other options.
        """
        self._restore(training, resume)
        self._saved = training.seconds
        first, last = -training.world.most(-training.step), training.world.most(training.step)
        if first != last:
            raise CheckpointError(
                f"The processes found checkpoints of different steps, {first:.0f} to {last:.0f}. "
                f"{str(self.folder)!r} must be one folder on a file system that they share."
            )

    def _restore(self, training: Training, resume: bool) -> None:
        found = self.checkpoints()
        if found and not resume:
            raise CheckpointError(
                f"{str(self.folder)!r} holds a run up to {found[-1].stem}. Resume it with "
                "resume=True, or choose another folder."
            )
        reasons = []
        for path in reversed(found):
            try:
                tensors, description = checkpoint.read(path)
            except CheckpointError as error:
                reasons.append(f"{path.name}: {error}")
                continue
            if (run := description.get("training")) is None:
                reasons.append(f"{path.name} is a model, not a checkpoint of a run.")
                continue
            self._compare(run["options"], path)
            own, means = (checkpoint.under(tensors, name) for name in ("training.", "means."))
            try:
                training.restore(own, run["numbers"], means)
            except (KeyError, RuntimeError, TypeError) as error:
                raise CheckpointError(
                    f"{str(path)!r} does not fit this run; its network may differ: {error}. "
                    "Use the same network, or choose another folder."
                ) from error
            return
        if reasons:
            raise CheckpointError(
                f"No checkpoint in {str(self.folder)!r} can be resumed: {' '.join(reasons)} "
                "Remove them to start again."
            )

    def checkpoints(self) -> list[pathlib.Path]:
        """The paths of the checkpoints, by step."""
        return sorted(self.folder.glob("step-*.safetensors"))

    def __call__(self, training: Training) -> bool:
        """Save a checkpoint if one is due; true, which ends training, after a signal."""
        best = training.counts.best_step == training.step
        if best or training.seconds - self._saved >= self.every:
            self.save(training)
        return self.signal is not None

    def save(self, training: Training) -> None:
        """Write a checkpoint in the background.

        Raises:
            CheckpointError: the previous checkpoint could not be written.
        """
        self._saved = training.seconds
        own, numbers = training.state()
        if not training.world.first:
            return
        self._wait()
        tensors, description = self._describe()
        tensors |= {f"training.{name}": tensor for name, tensor in own.items()}
        tensors = {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
        description["training"] = {"options": self.options, "numbers": numbers}
        path, best = self._path(training.step), self._path(training.counts.best_step)
        self._writing = self._writer.submit(self._write, path, best, tensors, description)

    def _path(self, step: int) -> pathlib.Path:
        return self.folder / f"step-{step:09d}.safetensors"

    def _write(
        self, path: pathlib.Path, best: pathlib.Path, tensors: Any, description: Any
    ) -> None:
        checkpoint.write(path, tensors, description)
        for old in self.checkpoints()[: -self.keep]:
            if old != best:
                old.unlink(missing_ok=True)

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _compare(self, before: Mapping[str, Any], path: pathlib.Path) -> None:
        names = sorted({*before, *self.options} - set(_CHANGEABLE))
        changed = [n for n in names if before.get(n) != self.options.get(n)]
        if changed:
            lines = [f"{n}: {before.get(n)!r} then, {self.options.get(n)!r} now" for n in changed]
            raise ConfigError(
                f"{str(path)!r} belongs to a run with other options: {'; '.join(lines)}. Only "
                f"{' and '.join(_CHANGEABLE)} may change."
            )

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Record the first signal and let the step end; a second one ends the process at once."""

        def record(number: int, frame: Any) -> None:
            self.signal = number
            signal.signal(number, signal.SIG_DFL)

        before = {}
        with contextlib.suppress(ValueError):  # Only the main thread may set handlers.
            for name in _SIGNALS:
                if hasattr(signal, name):
                    number = getattr(signal, name)
                    before[number] = signal.signal(number, record)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
