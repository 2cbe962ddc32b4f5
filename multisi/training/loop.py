"""The training loop: batches, steps of the optimiser, the average and callbacks."""

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.compiled import plain_name
from multisi.common.processes import World
from multisi.common.progress import bar
from multisi.errors import ConfigError, TrainingDivergedError
from multisi.field.conditional_means import ConditionalMeans
from multisi.field.wrapped_means import autocast
from multisi.files.checkpoint import under
from multisi.training.balance import Balance
from multisi.training.batches import Batches
from multisi.training.calls import Calls
from multisi.training.counts import Counts
from multisi.training.gradient import Gradient
from multisi.training.objective import Batch
from multisi.training.pace import Pace, candidates, interchangeable, untouched
from multisi.training.schedule import Schedule
from multisi.training.weights import Weights, load

PATIENCE = 20
"""Consecutive steps without a finite gradient after which training has diverged."""
_KEEP = 0.05
"""Share of the run between two checks of the loss, which also keep good weights."""
_TOO_MUCH = 100.0
"""Ratio of the loss to its lowest value above which training has diverged."""


class Training:
    """A run in progress; `average.means` are usable at any time, also after an interruption.

    Arguments:
        means: The conditional means to train, of shape `(b, k, *event)`.
        batches: The batches of the steps.
        schedule: The length of the run and the learning rate.
        clip: Largest norm of the gradient, to which larger ones are scaled; `None` for no limit.
        accumulate: Number of parts in which a batch is computed in turn, to save memory.
        precision: `"bfloat16"` for the network's computations; weights keep their type.
        callbacks: Functions of the training, called after each step. One that returns `True`, or
            raises `StopTraining`, ends the run; any other result is ignored. One that fails causes
            a single warning, and training continues.
        world: The processes of the run; this process alone by default.
        shard: Whether to shard the weights over the processes; `means` get them at the end.

    Raises:
        ConfigError: `clip`, `accumulate`, `precision` or a callback is invalid, or the batch has
            fewer rows than there are processes or parts.

    Examples:
        >>> x = torch.randn(99, 1, generator=torch.Generator().manual_seed(0))
        >>> batches = Batches({"a": x, "b": x + 3}, batch_size=8, device="cpu")
        >>> training = Training(batches.means("mlp", width=8), batches, Schedule(steps=2))
        >>> training.run()
        >>> batches.model(training.average.means)
        Model(['a', 'b'], noise=None)
    """

    def __init__(
        self,
        means: ConditionalMeans,
        batches: Batches,
        schedule: Schedule,
        *,
        clip: float | None = 1.0,
        accumulate: int = 1,
        precision: str | None = None,
        callbacks: Sequence[Callable[["Training"], Any]] = (),
        world: World | None = None,
        shard: bool = False,
    ) -> None:
        self.batches, self.schedule = batches, schedule
        self.clip = math.inf if clip is None else checks.number(clip, "clip", positive=True)
        self.callbacks = [checks.function(callback, "A callback") for callback in callbacks]
        self.world = World() if world is None else world
        rows = batches.batch_size // self.world.size
        if not rows:
            raise ConfigError(
                f"batch_size must be at least the number of processes, {self.world.size}; "
                f"got {batches.batch_size}."
            )
        if precision not in (None, "bfloat16"):
            raise ConfigError(f"precision must be 'bfloat16' or None; got {precision!r}.")
        self.weights = Weights(means, schedule.learning_rate, self.world, shard)
        self.means, self.average = self.weights.means, self.weights.average
        self._balance = Balance(len(batches.names), self.means.reference)
        trained = self.means if precision is None else autocast(self.means, precision)
        self._gradient = Gradient(trained, self._balance, accumulate, rows)
        self.accumulate = self._gradient.accumulate
        self.counts, self.rate, self.precision = Counts(), 0.0, precision
        self._loss = torch.full((), math.nan, device=batches.device, dtype=batches.dtype)
        self._kept, self._kept_at = copy.deepcopy(self.average.means.state_dict()), 0
        self._best: dict[str, Tensor] = {}
        self._call = Calls()
        self._drawn: tuple[int, Batch] | None = None
        self._pace = self._drawing = Pace({torch.get_num_threads(): 0.0})

    @property
    def step(self) -> int:
        """Number of steps taken, also before the run was resumed."""
        return self.counts.step

    @property
    def seconds(self) -> float:
        """Time that these steps took, and what was prepared before them."""
        return self.counts.seconds

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and numbers from which to resume; the average is in `weights.result`.

        Every process must call it; sharded tensors are whole in the first process.
        """
        self.weights.gather()
        best = {f"best.{plain_name(name)}": t for name, t in self._best.items()}
        best = self.world.whole(best)
        tensors = {"loss": self._loss, "balance": self._balance.sums}
        tensors["random"] = torch.get_rng_state()
        if self.batches.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.batches.device)
        tensors |= self.weights.state() | best
        self.counts.averaged = self.average.steps
        return tensors, asdict(self.counts)

    def restore(
        self,
        tensors: Mapping[str, Tensor],
        numbers: Any,
        averaged: Mapping[str, Tensor],
    ) -> None:
        """Resume a run; if something cannot be right, nothing is changed.

        Arguments:
            tensors: The tensors of `state`.
            numbers: The numbers of `state`.
            averaged: The weights of the averaged means.

        Raises:
            ValueError: a tensor or a number is missing or cannot be right.
        """
        counts = Counts.of(numbers)
        self.weights.check(tensors, averaged)
        counts.check(tensors)
        self._balance.check(tensors.get("balance"))
        self.weights.restore(tensors, averaged)
        self._kept = copy.deepcopy(self.average.means.state_dict())
        self._loss = tensors["loss"].to(self._loss)
        self._balance.restore(tensors["balance"])
        torch.set_rng_state(tensors["random"])
        if "random.cuda" in tensors and self.batches.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"], self.batches.device)
        self.counts, self.average.steps = counts, counts.averaged
        self._kept_at, self._best = self.step, under(tensors, "best.")

    def judge(self, value: float) -> None:
        """Record a value of the averaged weights, lower is better; the best weights are kept."""
        value = self.world.most(value)
        if value < self.counts.best:
            self.counts.best, self.counts.best_step = value, self.step
            self._best = copy.deepcopy(self.average.means.state_dict())

    def use_best(self) -> None:
        """Replace the averaged weights by those with the lowest value of `judge`."""
        if self._best:
            load(self.average.means, self._best)

    @property
    def loss(self) -> float:
        """The loss, as an exponential average over about the last fifty steps."""
        return self._loss.item()

    def run(self, progress: bool = False, since: float | None = None) -> None:
        """Train to the end of the schedule, or until a callback ends the run.

        Arguments:
            progress: Show a progress bar if standard error is a terminal.
            since: The `time.perf_counter()` from which the seconds of the run count; that of this
                call by default.

        Raises:
            TrainingDivergedError: the gradient was not finite for twenty steps, or the loss grew
                a hundredfold; the averaged means are then those of the last good check.
            MultisiError: a batch is invalid, or a callback raised an error of multisi.
        """
        self._since = (time.perf_counter() if since is None else since) - self.seconds
        self.means.train()
        with bar(self.schedule.steps, "fit", "step", progress and self.world.first) as shown:
            try:
                self._drawing = Pace({1: 0.0}) if self.batches.device.type == "cpu" else self._pace
                self._pace = Pace(self._numbers())
                self._steps(shown)
            finally:
                self.weights.flat.release()

    def _steps(self, shown: Any) -> None:
        counts, before = self.counts, self.seconds
        counts.seconds = self.world.most(time.perf_counter() - self._since)
        counts.prepared += self.seconds - before
        while (passed := self.schedule.passed(self.step, self.seconds, counts.prepared)) < 1:
            counts.failed = 0 if self._one(self.schedule.rate(passed)) else counts.failed + 1
            if counts.failed >= PATIENCE:
                self._diverged(f"has not been finite for {counts.failed} steps")
            counts.seconds = self.world.most(time.perf_counter() - self._since)
            if passed >= counts.checked + _KEEP:
                counts.checked = passed
                self._check_loss()
            self._show(shown)
            # Every callback is called in every process, so that the processes stay in step.
            ended = sum(self._call(callback, self) for callback in self.callbacks)
            if self.world.most(ended):
                break
        self.weights.finish()

    def _numbers(self) -> dict[int, float]:
        """The numbers of threads to choose from: any in a run that ends by time."""
        if self.batches.device.type != "cpu" or self.weights.shard:
            return {torch.get_num_threads(): 0.0}
        if self.schedule.max_seconds is not None or torch.get_num_threads() == 1:
            return dict.fromkeys(candidates(), 0.0)
        with self._drawing:
            batch = self.batches(self.step)

        def tried() -> list[Tensor]:
            with untouched(self.means):
                found = [*self._gradients(batch), torch.tensor(self.weights.flat.collect(World()))]
            return found + [v.grad for v in self.weights.flat.vectors if v.grad is not None]

        return interchangeable(tried)

    def _one(self, rate: float) -> bool:
        """One step; False if it is skipped because the gradient is not finite."""
        self.weights.optimiser.rate = self.rate = rate
        batch = self._draw(self.step)
        with self._pace:
            return self._take(batch)

    def _draw(self, step: int) -> Batch:
        """The batch of a step, which may have been drawn already."""
        if self._drawn is None or self._drawn[0] != step:
            with self._drawing:
                self._drawn = step, self.batches(step)
        return self._drawn[1]

    def _take(self, batch: Batch) -> bool:
        value, seen = parts = self._gradients(batch)
        if self.batches.device.type == "cuda":  # It computes still, and the length waits for it.
            self._draw(self.step + 1)
        length = self.weights.flat.collect(self.world)
        self.world.sum(parts)
        self.counts.step += 1
        if not math.isfinite(length):
            self.counts.skipped += 1
            return False
        if length > self.clip:
            self.weights.flat.scale(self.clip / length)
        self.weights.optimiser.step()
        self.average.update()
        self._balance.add(seen)
        self._loss = value if self.step == 1 else torch.lerp(self._loss, value, 0.02)
        return True

    def _gradients(self, batch: Batch) -> list[Tensor]:
        """Add the gradient of this process's rows; return its loss, and the errors by group."""
        mine = batch[self.world.share(len(batch))] if self.world.size > 1 else batch
        return self._gradient(mine, len(batch))

    def _check_loss(self) -> None:
        """Keep the averaged weights unless the loss has grown."""
        current, least = self.loss, self.counts.least
        if current <= 2 * least:
            self._kept = copy.deepcopy(self.average.means.state_dict())
            self._kept_at = self.step - self.counts.failed
        if current > _TOO_MUCH * least:
            self._diverged(f"has grown from {least:.3g} to {current:.3g}")
        self.counts.least = min(least, current)

    def _diverged(self, what: str) -> None:
        load(self.average.means, self._kept)
        self.weights.finish()
        cause = self.batches.blame(self.step - 1) or (
            f" Lower learning_rate, which is {self.schedule.learning_rate:g}, and check whether "
            "the network returns NaN."
        )
        raise TrainingDivergedError(
            f"The loss {what}, up to step {self.step}.{cause} The last good weights are those of "
            f"step {self._kept_at}."
        )

    def _show(self, shown: Any) -> None:
        shown.update()
        if self.step % 50 == 0 and not shown.disable:
            shown.set_postfix(loss=f"{self.loss:.4f}", rate=f"{self.rate:.1e}")
