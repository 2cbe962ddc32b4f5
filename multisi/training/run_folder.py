"""The folder of a run: checkpoints, a lock, and signals that end training cleanly."""

import contextlib
import pathlib
import re
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from multisi.common import checks
from multisi.common.printable import printable
from multisi.common.processes import World
from multisi.errors import CheckpointError, ConfigError
from multisi.files import checkpoint
from multisi.files.atomic import Lock, check_room, sweep
from multisi.training import identity
from multisi.training.counts import Counts
from multisi.training.loop import Training

_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1")
_NAME = re.compile(r"step-\d{9}\.safetensors")


class RunFolder:
    """A folder with the checkpoints of a run, from which it can be resumed.

    Each checkpoint is a file that `multisi.load` reads as a model; it also holds the state of
    training. It is written under a temporary name, synced and renamed, while training continues.
    If it cannot be written, a warning says so, and the next one is tried when it is due. Only
    checkpoints of this run are ever removed.

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
        self.folder = pathlib.Path(folder).absolute()
        self.options = dict(options)
        self.every = checks.number(every, "save_seconds")
        self.keep = checks.integer(keep, "keep")
        self.signal: int | None = None
        self.failure: CheckpointError | None = None
        """Why the last checkpoint could not be written, if it could not."""
        self._describe = describe
        self._own: set[pathlib.Path] = set()
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
                    self._check_room()
                except OSError as error:
                    raise CheckpointError(
                        f"The run folder {str(self.folder)!r} cannot be used: {error}. Choose "
                        "another one."
                    ) from None
                sweep(self.folder)
            world.most(0.0)  # The other processes wait for the lock.
            held.enter_context(self._signals())
            held.callback(self._wait)  # Before the lock is free, also after an error.
            yield

    def _check_room(self) -> None:
        """Check that there is room for a checkpoint: weights, average and two moments.

        Raises:
            CheckpointError: there is none, or files cannot be written.
        """
        path, tensors = self._path(0), self._describe()[0]
        try:
            check_room(path, 4 * sum(tensor.nbytes for tensor in tensors.values()))
        except OSError as error:
            raise CheckpointError(
                f"Checkpoints such as {str(path)!r} could not be written: {error}. Make room, or "
                "choose another folder."
            ) from None

    def restore(self, training: Training, resume: bool) -> None:
        """Resume from the newest undamaged checkpoint, if there is one.

        Raises:
            CheckpointError: there are checkpoints and `resume` is false, all of them are damaged
                or cannot be right, or the processes find different ones.
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
                "resume=True (--resume), or choose another folder."
            )
        reasons = []
        for path in reversed(found):
            try:
                self._resume(training, path)
            except CheckpointError as error:
                reasons.append(f"{path.name}: {error}")
                continue
            self._own = {p for p in found if not self._changed(checkpoint.glance(p))}
            return
        if reasons:
            raise CheckpointError(
                f"No checkpoint in {str(self.folder)!r} can be resumed: {' '.join(reasons)} "
                "Remove them to start again."
            )

    def _resume(self, training: Training, path: pathlib.Path) -> None:
        """Resume from one checkpoint, or change nothing.

        Raises:
            CheckpointError: it is damaged, is no checkpoint, or has values that cannot be right.
            ConfigError: it belongs to another run.
        """
        tensors, description = checkpoint.read(path)
        if (run := description.get("training")) is None:
            raise CheckpointError("it is a model, not a checkpoint of a run.")
        if not isinstance(run, dict) or not isinstance(run.get("options"), dict):
            raise CheckpointError("its training must be an object with options and numbers.")
        if changed := self._changed(description):
            raise ConfigError(
                f"{str(path)!r} belongs to a run with other options: {'; '.join(changed)}. Only "
                f"{' and '.join(identity.CHANGEABLE)} may change."
            )
        own, means = (checkpoint.under(tensors, name) for name in ("training.", "means."))
        try:
            step = Counts.of(run.get("numbers")).step
            if path != self._path(step):
                raise ValueError(f"it is of step {step}, which is not that of its name")
            training.restore(own, run.get("numbers"), means)
        except ValueError as error:
            raise CheckpointError(f"it cannot be right: {printable(str(error))}.") from None

    def _changed(self, description: Mapping[str, Any]) -> list[str]:
        """What differs between the run of a checkpoint and this one, as texts."""
        run = description.get("training")
        before = run.get("options") if isinstance(run, dict) else None
        return identity.differences(before, self.options)

    def checkpoints(self) -> list[pathlib.Path]:
        """The paths of the checkpoints, by step."""
        return sorted(p for p in self.folder.iterdir() if _NAME.fullmatch(p.name))

    def __call__(self, training: Training) -> bool:
        """Save a checkpoint if one is due; true, which ends training, after a signal."""
        best = training.counts.best_step == training.step
        if best or training.seconds - self._saved >= self.every:
            self.save(training)
        return self.signal is not None

    def save(self, training: Training) -> None:
        """Write a checkpoint in the background."""
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
        self._own.add(path)
        for old in sorted(self._own)[: -self.keep]:
            if old != best:
                self._own.discard(old)
                with contextlib.suppress(OSError):
                    old.unlink()

    def _wait(self) -> None:
        """Wait for the checkpoint that is being written; warn if it is the first that fails."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            writing.result()
        except CheckpointError as error:
            before, self.failure = self.failure, error
            if before is None:
                warnings.warn(
                    f"{error} Training continues; the next checkpoint is tried when it is due.",
                    RuntimeWarning,
                    stacklevel=2,
                )
        else:
            self.failure = None

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Record the first signal and let the step end; a second one ends the process at once."""

        def record(number: int, frame: Any) -> None:
            self.signal = number
            signal.signal(number, signal.SIG_DFL)

        before = {}
        with contextlib.suppress(ValueError):  # Only the main thread may set handlers.
            for number in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
                # Python could not restore a handler that it did not install.
                if signal.getsignal(number) is not None:
                    before[number] = signal.signal(number, record)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
