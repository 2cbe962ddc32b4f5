"""A run of training whose model is not lost: in a folder, or saved when it breaks off."""

import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

from multisi.errors import TrainingDivergedError
from multisi.training.callbacks import EarlyStopping
from multisi.training.loop import Training
from multisi.training.rescue import Rescue, say
from multisi.training.run_folder import RunFolder


def train(
    training: Training,
    folder: RunFolder | None,
    resume: bool,
    rescue: Rescue,
    run: Callable[[], None],
) -> None:
    """Train, with or without a folder; if training breaks off, the model so far is saved."""
    try:
        if folder is None:
            rescue.check()
            _check_callbacks(training)
            _end_on_termination()
            run()
        else:
            _train_in(folder, training, resume, run)
    except TrainingDivergedError as error:
        if training.average.steps and training.world.first:
            say(error, rescue.save())
        raise
    except BaseException as error:
        if training.step and training.world.first:
            safe = f"Checkpoints are in {folder.folder}." if folder and not folder.failure else ""
            _tell(error, training, safe or rescue.save())
        raise
    if folder is not None and folder.failure is not None:
        say(folder.failure, rescue.save())
        if rescue.saved:
            raise folder.failure
        # It is only in memory now, so the caller must get it.
        warnings.warn(str(folder.failure), RuntimeWarning, stacklevel=3)


def _tell(error: BaseException, training: Training, place: str) -> None:
    """Say where the model is, in the error or, after an interruption, to the user."""
    if not isinstance(error, KeyboardInterrupt | SystemExit):
        return say(error, place)
    steps = training.schedule.steps
    print(f"Interrupted at step {training.step} of {steps}. {place}", file=sys.stderr)


def _end_on_termination() -> None:
    """Let SIGTERM end the process by an exception, unless it has another handler already."""

    def end(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)


def _check_callbacks(training: Training) -> None:
    for callback in training.callbacks:
        if isinstance(callback, EarlyStopping):
            callback.check(training)


def _train_in(
    folder: RunFolder, training: Training, resume: bool, run: Callable[[], None]
) -> None:
    """Train in a folder, after resuming; after a signal, exit with the status of that signal."""
    with folder.held(training.world):
        folder.restore(training, resume)
        _check_callbacks(training)
        training.callbacks.append(folder)
        run()
        folder.save(training)
        number = int(training.world.most(folder.signal or 0))
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    if number:
        raise SystemExit(128 + number)
