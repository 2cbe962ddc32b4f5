"""The transport of samples along a path: its options and its batches."""

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multisi import noise as noises
from multisi import registry
from multisi.common import arrays, checks, seeds
from multisi.common.progress import bar
from multisi.common.shapes import leading
from multisi.dynamics import Dynamics, ProbabilityFlow
from multisi.dynamics.route import dynamics_along
from multisi.errors import ConfigError, ShapeError
from multisi.field.conditional_means import ConditionalMeans
from multisi.field.wrapped_means import autocast, counted
from multisi.interpolants import Interpolant
from multisi.paths import Learned, Path
from multisi.sampling.grid import checked_grid, time_grid, with_knots
from multisi.sampling.integrate import integrate, trajectory
from multisi.solvers import Solver

_FLOW, _DIFFUSION = "adams", "midpoint"
"""The default solvers of the flow and of diffusions."""
_CHUNK = {"cpu": 2**15}
"""Most numbers in the states that are moved at once, by kind of device: as many as caches hold."""
_ROWS = 2**14
"""Most rows that are moved at once where each row has its own path and coefficients."""


@dataclass(frozen=True, kw_only=True)
class Transport:
    """The checked options of a transport; `Transport.of` creates it, and `run` moves a batch."""

    means: ConditionalMeans
    path: str | Path | None
    interpolant: Interpolant
    solver: Solver
    steps: int
    grid: Tensor | None
    noise: noises.Noise | None
    condition: Any
    denoise: bool
    batch_size: int | None

    @classmethod
    def of(
        cls,
        means: ConditionalMeans,
        *,
        path: str | Path | None = None,
        interpolant: str | Interpolant = "barycentric",
        solver: str | Solver | None = None,
        steps: int = 32,
        grid: Any = None,
        noise: Any = 0.0,
        condition: Any = None,
        denoise: bool = False,
        batch_size: int | None = None,
        precision: str | None = None,
    ) -> "Transport":
        """Check the options that `Model.transport` takes.

        Raises:
            ConfigError: an option has a wrong value, or the solver cannot integrate the noise.
        """
        noise = None if noises.is_zero(noise) else noises.of(noise)
        solver = (_FLOW if noise is None else _DIFFUSION) if solver is None else solver
        chosen = registry.create("solver", solver, Solver)
        if noise is not None and not chosen.stochastic:
            raise ConfigError(
                f"{chosen!r} integrates the flow only; use solver={_DIFFUSION!r} for noise."
            )
        if path is not None and not isinstance(path, str):
            checks.instance(path, Path, "path")
        steps, times = checks.integer(steps, "steps"), None
        if grid is not None:
            times = checked_grid(grid)
            steps = len(times) - 1
        return cls(
            means=means if precision is None else autocast(means, precision),
            path=path,
            interpolant=registry.create("interpolant", interpolant, Interpolant),
            solver=chosen,
            steps=steps,
            grid=times,
            noise=noise,
            condition=condition,
            denoise=denoise,
            batch_size=None if batch_size is None else checks.integer(batch_size, "batch_size"),
        )

    def run(
        self,
        y: Tensor,
        route: list[Tensor],
        generator: torch.Generator,
        return_path: bool = False,
        progress: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Move states along the route, in parts that bound the memory.

        Arguments:
            y: States at the start, shape `(b, *event)`, in simplex coordinates.
            route: The points that the path passes through, each of shape `(k,)` or `(b, k)`.
            generator: Source of random numbers.
            return_path: Whether to return the states at all times, along a new first axis.
            progress: Whether to show a progress bar.

        Returns:
            The states, and their weights, shape `(k,)` or `(b, k)` or, with `return_path`,
            `(steps + 1, 1, k)` or `(steps + 1, b, k)`.
        """
        rows_differ = any(point.ndim > 1 for point in route)
        whole = isinstance(self.path, Path) and self._has_rows(self.path, len(y))
        size = max(1, len(y)) if whole else self._part_size(y, rows_differ)
        parts = [slice(i, i + size) for i in range(0, max(1, len(y)), size)]
        calls = (self.solver.calls_per_step or 0) * self.steps * len(parts)
        condition = self.condition
        moved, dynamics = [], None
        with bar(calls or None, "transport", "call", progress) as shown:
            means = counted(self.means, shown.update) if progress else self.means
            for part in parts:
                if dynamics is None or rows_differ:
                    legs = [point[part] if point.ndim > 1 else point for point in route]
                    dynamics = self._dynamics(means, legs)
                given = dynamics.given(arrays.rows_of(condition, part))
                if isinstance(generator, seeds.RowGenerator):
                    generator.choose(part)
                moved.append(self._part(given, y[part], generator, return_path, part.start))
        states, weights = zip(*moved, strict=True)
        axis = 1 if return_path else 0
        joined = torch.cat(weights, axis) if rows_differ or whole else weights[0]
        return torch.cat(states, axis), joined

    def still(self, route: list[Tensor]) -> Tensor:
        """Which rows stay where they are, shape `()` or `(b,)`: a flow without any way to go."""
        if self.noise is not None or self.path is not None:
            return torch.tensor(False)
        same = [(point == route[0]).all(-1) for point in route[1:]]
        found: Tensor = functools.reduce(torch.logical_and, same)
        return found

    def _part_size(self, y: Tensor, rows_differ: bool) -> int:
        if self.batch_size is not None:
            return self.batch_size
        size = max(64, _CHUNK.get(y.device.type, 2**22) // max(1, y[:1].numel()))
        return min(size, _ROWS) if rows_differ else size

    @staticmethod
    def _has_rows(path: Path, count: int) -> bool:
        """Whether a path differs from row to row.

        Raises:
            ShapeError: the path differs, and has another number of rows than the batch.
        """
        points = path(torch.zeros(1, dtype=torch.float64))
        differs = isinstance(points, Tensor) and points.ndim > 2
        if differs and points.shape[1] != count:
            raise ShapeError(f"{path!r} has {points.shape[1]} rows; x has {count}.")
        return differs

    def _dynamics(self, means: ConditionalMeans, route: list[Tensor]) -> Dynamics:
        return dynamics_along(
            means, route, path=self.path, interpolant=self.interpolant, noise=self.noise
        )

    def _part(
        self,
        dynamics: Dynamics,
        y: Tensor,
        generator: torch.Generator,
        return_path: bool,
        first: int,
    ) -> tuple[Tensor, Tensor]:
        if self.grid is None:
            times = time_grid(dynamics, self.steps, self.solver.spread)
            requested = torch.arange(len(times))
        else:
            times, requested = with_knots(self.grid, dynamics.knots)
        weights = dynamics.weights(times[requested] if return_path else times[-1])
        weights = weights[:, None] if return_path and weights.ndim == 2 else weights
        if len(y) == 0:
            return y.expand(len(requested), *y.shape) if return_path else y, weights
        denoised = self.denoise and dynamics.stochastic
        before = times[:-1] if denoised else times
        if len(before) == 1:
            states = y[None]
        elif return_path:
            states = trajectory(dynamics, y, before, self.solver, generator, first)
        else:
            states = integrate(dynamics, y, before, self.solver, generator, first)[None]
        if denoised:
            end = _without_noise(dynamics, states[-1], times[-2:], generator, first)
            states = torch.cat([states, end[None]])
        if return_path and isinstance(self.path, Learned):
            scale = self.path.scale(times[requested]).to(states)
            return states[requested] * leading(scale, states), weights
        return states[requested] if return_path else states[-1], weights


def _without_noise(
    dynamics: Dynamics, y: Tensor, times: Tensor, generator: torch.Generator, first: int
) -> Tensor:
    """The conditional mean of the target: an Euler step of the flow to the end."""
    flow = ProbabilityFlow(
        dynamics.conditional_means, dynamics.path, dynamics.interpolant, dynamics.condition
    )
    euler = registry.create("solver", "euler", Solver)
    return integrate(flow, y, times, euler, generator, first)
