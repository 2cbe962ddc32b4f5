"""Callbacks, which are called after each step of training."""

import contextlib
from collections.abc import Mapping
from typing import Any

from multisi.analysis.evaluation import ring
from multisi.analysis.held_out import HeldOut, checked_units
from multisi.common import checks, seeds
from multisi.data.marginals import Marginal
from multisi.data.prepare import prepare
from multisi.errors import ConfigError, DataError, SolverError
from multisi.field.named_points import index_of
from multisi.files import plain
from multisi.training.batches import Batches
from multisi.training.loop import Training


class Log:
    """Append step, seconds, loss, rate and skipped steps to a file, as lines of JSON.

    Arguments:
        path: Path of the file; its existing lines are kept.
        every: Steps between two lines.

    Raises:
        ConfigError: `path` is not a path, or `every` is not a positive integer.
        DataError: the file cannot be written.

    Examples:
        >>> import multisi, pathlib, tempfile, torch
        >>> x = torch.randn(99, 1, generator=torch.Generator().manual_seed(0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "log.jsonl")
        ...     options = {"steps": 2, "progress": False, "callbacks": [Log(path, every=1)]}
        ...     _ = multisi.fit({"a": x, "b": x + 3}, **options)
        ...     path.read_text().count("loss")
        2
    """

    def __init__(self, path: Any, every: int = 100) -> None:
        self.path = checks.path(path, "The log").absolute()
        self.every = checks.integer(every, "every")
        try:
            self._append("")
        except OSError as error:
            raise DataError(
                f"The log {str(path)!r} cannot be written: {error}. Choose another path."
            ) from None

    def __call__(self, training: Training) -> None:
        """Write a line if one is due."""
        if training.world.first and training.step % self.every == 0:
            self._append(plain.dumps(figures(training)) + "\n")

    def _append(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)


class TensorBoard:
    """Write the loss and the learning rate for TensorBoard.

    Arguments:
        folder: Folder for the event files.
        every: Steps between two points.

    Raises:
        ConfigError: tensorboard is not installed, or `every` is not a positive integer.

    Examples:
        >>> board = TensorBoard("logs", every=10)  # doctest: +SKIP
        >>> multisi.fit(marginals, callbacks=[board])  # doctest: +SKIP
    """

    def __init__(self, folder: Any, every: int = 100) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigError(
                "TensorBoard needs the package tensorboard. Try: pip install tensorboard"
            ) from None
        self.every = checks.integer(every, "every")
        self._writer = SummaryWriter(str(folder))

    def __call__(self, training: Training) -> None:
        """Write a point if one is due."""
        if training.world.first and training.step % self.every == 0:
            for name in ("loss", "rate"):
                value = figures(training)[name]
                self._writer.add_scalar(f"training/{name}", value, training.step)


class EarlyStopping:
    """End training when transports of held-out samples stop improving; keep the best weights.

    The measure is the energy distance between moved and held-out samples, with the averaged
    weights, as a mean over the transports from each data marginal to the next, in a ring. It takes
    rows by their weights and moves them with their conditions, as `Model.evaluate` does.

    Arguments:
        held_out: Name to samples that are not trained on, each of shape `(n, *event)`, for two or
            more data marginals.
        every: Steps between two measurements.
        patience: Number of measurements to wait for a better one.
        samples: Largest number of rows per marginal in a measurement.
        units: Units of the distance, `"standardised"` or `"data"`.
        options: Options of `transport`, such as `steps` (16).

    Raises:
        ConfigError: an option is out of range.
        DataError: `held_out` has fewer than two data marginals, or invalid samples.
        ShapeError: the samples have different event shapes.

    Examples:
        >>> import multisi, torch
        >>> x = torch.randn(99, 1, generator=torch.Generator().manual_seed(0))
        >>> stopping = EarlyStopping({"a": x, "b": x + 3}, every=2, patience=1)
        >>> options = {"steps": 4, "progress": False, "callbacks": [stopping]}
        >>> multisi.fit({"a": x, "b": x + 3}, **options)
        Model(['a', 'b'], noise=None)
    """

    def __init__(
        self,
        held_out: Mapping[str, Any],
        every: int = 500,
        patience: int = 5,
        samples: int = 1000,
        units: str = "standardised",
        **options: Any,
    ) -> None:
        ready = prepare(held_out)
        self._data = {n: m for n, m in ready.items() if isinstance(m, Marginal)}
        self._held: HeldOut | None = None
        if len(self._data) < 2:
            raise DataError(
                "Early stopping needs held-out samples of two or more data marginals; got "
                f"{', '.join(self._data)}."
            )
        self.every = checks.integer(every, "every")
        self.patience = checks.integer(patience, "patience")
        self.samples = checks.integer(samples, "samples", least=4)
        self.units = checked_units(units)
        self.options = {"steps": 16, **options}

    def __call__(self, training: Training) -> bool:
        """Whether training ends; the averaged weights are then the best ones.

        Raises:
            ConfigError: `held_out` names an unknown marginal.
            DataError: samples of `held_out` have another event shape, other features, or fewer
                than 4 rows.
            MultisiError: as for `transport`.
        """
        held = self.check(training) if self._held is None else self._held
        if training.step % self.every == 0:
            training.judge(self._measure(training, held))
        ended = 0 < training.counts.best_step <= training.step - self.patience * self.every
        if ended:
            training.use_best()
        return ended

    def check(self, training: Training) -> HeldOut:
        """Choose the held-out rows, and try a small measurement, before the first step.

        Arguments:
            training: The run, before its first step.

        Returns:
            The rows that are measured.

        Raises:
            ConfigError: `held_out` names an unknown marginal, or an option is invalid.
            DataError: samples of `held_out` have another event shape, other features, or fewer
                than 4 rows.
        """
        with contextlib.suppress(SolverError):  # A network may explode until it is trained.
            self._measure(training, self._chosen(training.batches, 4))
        self._held = self._chosen(training.batches, self.samples)
        return self._held

    def _measure(self, training: Training, held: HeldOut) -> float:
        model = training.batches.model(training.average.means)
        return ring(model.transport, held, **self.options)

    def _chosen(self, batches: Batches, samples: int) -> HeldOut:
        """The rows to measure, at most `samples` of each marginal."""
        for name, marginal in self._data.items():
            index_of(name, batches.names, "held_out")
            if marginal.event_shape != batches.event_shape or len(marginal) < 4:
                raise DataError(
                    f"held_out {name!r} must have at least 4 rows of shape {batches.event_shape}; "
                    f"got {len(marginal)} of shape {marginal.event_shape}."
                )
        seed = seeds.check(self.options.get("seed", 0))
        conditions = batches.conditions
        return HeldOut(
            self._data,
            samples=samples,
            seed=seed,
            units=self.units,
            features=batches.features,
            condition_features=None if conditions is None else conditions.features,
        )


def figures(training: Training) -> dict[str, float]:
    """The figures of a step for a log."""
    return {
        "step": training.step,
        "seconds": round(training.seconds, 3),
        "loss": training.loss,
        "rate": training.rate,
        "skipped": training.counts.skipped,
    }
