"""Callbacks: what to do after each step of training, besides."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from multisi.analysis import report
from multisi.common import checks
from multisi.data.marginals import Marginal, prepare
from multisi.errors import ConfigError, DataError
from multisi.field.named_points import index_of
from multisi.training.batches import Batches
from multisi.training.loop import Training


class Log:
    """Append a line of JSON to a file every so often: step, seconds, loss and rate.

    Arguments:
        path: The file; lines that it has stay.
        every: Steps between two lines.

    Raises:
        DataError: the file cannot be written.
    """

    def __init__(self, path: Any, every: int = 100) -> None:
        self.path, self.every = pathlib.Path(path), checks.integer(every, "every")
        try:
            self._append("")
        except OSError as error:
            raise DataError(f"The log {str(path)!r} cannot be written: {error}.") from None

    def __call__(self, training: Training) -> None:
        """Write a line if it is time."""
        if training.world.first and training.step % self.every == 0:
            self._append(json.dumps(figures(training)) + "\n")

    def _append(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)


class TensorBoard:
    """Write loss and rate for TensorBoard every so often.

    Arguments:
        folder: Where its files go.
        every: Steps between two points.

    Raises:
        ConfigError: tensorboard is not installed.
    """

    def __init__(self, folder: Any, every: int = 100) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigError(
                "TensorBoard's files need tensorboard. Try: pip install tensorboard"
            ) from None
        self.every = checks.integer(every, "every")
        self._writer = SummaryWriter(str(folder))

    def __call__(self, training: Training) -> None:
        """Write a point if it is time."""
        if training.world.first and training.step % self.every == 0:
            for name in ("loss", "rate"):
                value = figures(training)[name]
                self._writer.add_scalar(f"training/{name}", value, training.step)


class EarlyStopping:
    """End training when held-out samples are no longer moved any better; keep the best weights.

    The measure is the energy distance to the held-out samples of the targets, averaged over all
    pairs of neighbours in a ring of the data marginals, with the averaged weights.

    Arguments:
        held_out: Name to samples that are not trained on, for two or more data marginals.
        every: Steps between two measurements.
        patience: How many measurements to wait for a better one.
        samples: How many rows a marginal to use at most.
        options: Options of `transport`, such as `steps` (16).
    """

    def __init__(
        self,
        held_out: Mapping[str, Any],
        every: int = 500,
        patience: int = 5,
        samples: int = 1000,
        **options: Any,
    ) -> None:
        ready = prepare(held_out)
        self._data = {n: m for n, m in ready.items() if isinstance(m, Marginal)}
        self._known = False
        if len(self._data) < 2:
            raise DataError("Early stopping needs held-out samples of two or more data marginals.")
        self.every, self.patience = (
            checks.integer(every, "every"),
            checks.integer(patience, "patience"),
        )
        self.samples = checks.integer(samples, "samples", least=4)
        self.options = {"steps": 16, **options}

    def __call__(self, training: Training) -> bool:
        """Whether it is time to end; the averaged weights are then the best ones."""
        if not self._known:
            self._check(training.batches)
        if training.step % self.every == 0:
            model = training.batches.model(training.average.means)
            options = {"samples": self.samples, **self.options}
            training.judge(report.ring(model.transport, self._data, **options))
        ended = 0 < training.counts.best_step <= training.step - self.patience * self.every
        if ended:
            training.use_best()
        return ended

    def _check(self, batches: Batches) -> None:
        """See at the first step, not at the first measurement, whether there will be one."""
        for name, marginal in self._data.items():
            index_of(name, batches.names, "held_out")
            if marginal.event_shape != batches.event_shape or len(marginal) < 4:
                raise DataError(
                    f"held_out {name!r} must have at least 4 rows of shape {batches.event_shape}; "
                    f"got {len(marginal)} of shape {marginal.event_shape}."
                )
        self._known = True


def figures(training: Training) -> dict[str, float]:
    """What there is to tell of a step."""
    return {
        "step": training.step,
        "seconds": round(training.seconds, 3),
        "loss": training.loss,
        "rate": training.rate,
        "skipped": training.counts.skipped,
    }
