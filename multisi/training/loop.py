"""The loop: draw, step, average."""

import copy
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from multisi.errors import TrainingDivergedError
from multisi.means import ConditionalMeans
from multisi.progress import bar
from multisi.seeds import generator
from multisi.training.objective import draw_points, loss
from multisi.training.schedule import Schedule

PATIENCE = 20
"""Steps in a row without a finite loss or gradient after which training has diverged."""


class Training:
    """A run in progress; the averaged means are there at any time, also after an interruption.

    Arguments:
        means: The means to train; `averaged` is a copy of them.
        draw: Function of the step that gives `xs`, `(b, k, *event)`, in the means' units, and
            the condition `(b, c)` or `None`.
        schedule: How long and how fast.
        seed: Seed of the law of simplex points.
    """

    def __init__(
        self,
        means: ConditionalMeans,
        draw: Callable[[int], tuple[Tensor, Tensor | None]],
        schedule: Schedule,
        seed: int,
    ) -> None:
        self.means, self.draw, self.schedule, self.seed = means, draw, schedule, seed
        self.parameters = [p for p in means.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(self.parameters, lr=schedule.learning_rate, fused=True)
        self.averaged = copy.deepcopy(means).eval().requires_grad_(False)
        both = zip(self.averaged.parameters(), means.parameters(), strict=True)
        self._averages: list[tuple[Tensor, Tensor]] = list(both)
        self.step, self.seconds, self.loss = 0, 0.0, float("nan")

    def run(self, progress: bool = False) -> None:
        """Train to the end of the schedule.

        Raises:
            TrainingDivergedError: the loss stopped being finite and did not recover.
        """
        self.means.train()
        start, failed = time.perf_counter(), 0
        with bar(self.schedule.steps, "fit", "step", progress) as shown:
            while (passed := self.schedule.passed(self.step, self.seconds)) < 1:
                failed = 0 if self._one(self.schedule.rate(passed)) else failed + 1
                if failed >= PATIENCE:
                    raise TrainingDivergedError(
                        f"The loss has not been finite for {failed} steps, up to step "
                        f"{self.step}. Lower learning_rate, now {self.schedule.learning_rate:g}, "
                        "and look whether the network returns NaN."
                    )
                self.seconds = time.perf_counter() - start
                self._show(shown, passed)

    def _one(self, rate: float) -> bool:
        """One step; it is skipped where the loss or its gradient is not finite."""
        self.optimiser.param_groups[0]["lr"] = rate
        xs, condition = self.draw(self.step)
        source = generator(self.seed, self.step, 1)
        alpha, v = (part.to(xs) for part in draw_points(len(xs), xs.shape[1], source))
        value = loss(self.means, xs, alpha, v, condition)
        self.optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.step += 1
        if not torch.isfinite(value + norm):
            return False
        self.optimiser.step()
        self._update_average()
        current = value.item()
        self.loss = current if self.loss != self.loss else 0.98 * self.loss + 0.02 * current
        return True

    @torch.no_grad()
    def _update_average(self) -> None:
        """Exponential average whose memory grows with the run, up to a thousand steps."""
        decay = min(0.999, self.step / (10 + self.step))
        for average, current in self._averages:
            average.lerp_(current, 1 - decay)
        for average, current in zip(self.averaged.buffers(), self.means.buffers(), strict=True):
            average.copy_(current)

    def _show(self, shown: Any, passed: float) -> None:
        shown.update()
        if self.step % 50 == 0:
            shown.set_postfix(loss=f"{self.loss:.4f}", rate=f"{self.schedule.rate(passed):.1e}")
