"""Move samples along a path: the options of a transport, and the batches it is done in."""

from typing import Any

import torch
from torch import Tensor

from multisi import noise as noises
from multisi import registry, simplex
from multisi.common import arrays, checks, seeds
from multisi.common.progress import bar
from multisi.dynamics.diffusion import Diffusion, noisy
from multisi.dynamics.probability_flow import ProbabilityFlow, points_of
from multisi.errors import ConfigError, PluginError, ShapeError, SimplexError
from multisi.field.conditional_means import ConditionalMeans
from multisi.interpolants import Interpolant
from multisi.paths import Path
from multisi.paths.bow import Bow
from multisi.paths.polyline import Polyline
from multisi.sampling.integrate import checked_grid, move, time_grid, trajectory, with_knots
from multisi.solvers import Solver

_FLOW, _DIFFUSION = "adams", "midpoint"
"""The solvers of the flow and of diffusions, where none is asked for."""
_PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_CHUNK = {"cpu": 2**15}
"""Numbers in the states that are moved at once, by kind of device: what caches hold."""
_ROWS = 2**14
"""Rows that are moved at once where each has a path of its own, and hence tables."""


class Counted(ConditionalMeans):
    """Conditional means that move a progress bar on at every network call."""

    def __init__(self, means: ConditionalMeans, bar: Any) -> None:
        super().__init__(means)
        self.bar, self.mixes = bar, means.mixes

    def ask(self, y: Tensor, alpha: Tensor, condition: Any, mix: Tensor | None = None) -> Tensor:
        """What the wrapped means say."""
        self.bar.update()
        means: ConditionalMeans = self.network
        return means.ask(y, alpha, condition, mix)


class Autocast(ConditionalMeans):
    """Conditional means whose network computes in a shorter type; the state keeps its own."""

    def __init__(self, means: ConditionalMeans, precision: str) -> None:
        super().__init__(means)
        if not isinstance(precision, str) or precision not in _PRECISIONS:
            raise ConfigError(
                f"precision must be one of {', '.join(_PRECISIONS)}; got {precision!r}."
            )
        self.kind, self.mixes = _PRECISIONS[precision], means.mixes

    def ask(self, y: Tensor, alpha: Tensor, condition: Any, mix: Tensor | None = None) -> Tensor:
        """What the wrapped means say, in the type of the state."""
        means: ConditionalMeans = self.network
        with torch.autocast(y.device.type, self.kind):
            return means.ask(y, alpha, condition, mix)


class Journey:
    """The options of a transport, made into objects; `run` then moves a batch.

    Arguments: as for `Model.transport`.
    """

    def __init__(
        self,
        means: ConditionalMeans,
        path: str | Path | None = None,
        interpolant: str | Interpolant = "barycentric",
        solver: str | Solver | None = None,
        steps: int = 32,
        noise: Any = 0.0,
        condition: Any = None,
        grid: Any = None,
        denoise: bool = False,
        batch_size: int | None = None,
        precision: str | None = None,
    ) -> None:
        self.means, self.condition, self.denoise = means, condition, denoise
        if precision is not None:
            self.means = Autocast(means, precision)
        self.steps = checks.integer(steps, "steps")
        self.noise = None if noises.is_zero(noise) else noises.of(noise)
        self.interpolant = registry.create("interpolant", interpolant, Interpolant)
        solver = (_FLOW if self.noise is None else _DIFFUSION) if solver is None else solver
        self.solver = registry.create("solver", solver, Solver)
        self.path = path
        if path is not None and not isinstance(path, str):
            checks.instance(path, Path, "path")
        self.grid = None if grid is None else checked_grid(grid)
        if self.grid is not None:
            self.steps = len(self.grid) - 1
        self.batch_size = batch_size
        if batch_size is not None:
            checks.integer(batch_size, "batch_size")
        if self.noise is not None and not self.solver.stochastic:
            raise ConfigError(
                f"{self.solver!r} integrates the flow only; use solver={_DIFFUSION!r} for noise."
            )

    def weights(self, alpha: Tensor) -> Tensor:
        """Weights of the interpolant, if they are in the cone.

        Raises:
            PluginError: they are not.
        """
        found = self.interpolant.weights(alpha)
        if not isinstance(found, Tensor) or found.shape != alpha.shape:
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise PluginError(
                f"{self.interpolant!r} must give weights of shape {tuple(alpha.shape)}, that of "
                f"the points; got {got}."
            )
        good = torch.isfinite(found).all(-1) & (found >= 0).all(-1) & (found.sum(-1) > 0)
        if not good.all():
            raise PluginError(
                f"{self.interpolant!r} must give weights that are finite, not negative and not "
                f"all zero; got {found[~good][0].tolist()}."
            )
        return found

    def run(
        self,
        y: Tensor,
        route: list[Tensor],
        generator: torch.Generator,
        return_path: bool = False,
        progress: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Carry states along the route, in parts that bound the memory.

        Arguments:
            y: States at the start, shape `(b, *event)`, in simplex coordinates.
            route: The points to pass, each `(k,)` or `(b, k)`.
            generator: Where random numbers come from.
            return_path: Return the states at all times, along a new first axis.
            progress: Show a bar.

        Returns:
            States, and the weights where they are, shape `(k,)` or `(b, k)` or, with
            `return_path`, `(steps + 1, 1, k)` or `(steps + 1, b, k)`.
        """
        rows_differ = any(point.ndim > 1 for point in route)
        whole = isinstance(self.path, Path) and self._has_rows(self.path, len(y))
        size = max(1, len(y)) if whole else self._part_size(y, rows_differ)
        parts = [slice(i, i + size) for i in range(0, max(1, len(y)), size)]
        calls = (self.solver.calls_per_step or 0) * self.steps * len(parts)
        told = arrays.condition(self.condition, len(y), y)
        moved, dynamics = [], None
        with bar(calls or None, "transport", "call", progress) as shown:
            means = Counted(self.means, shown) if progress else self.means
            for part in parts:
                if dynamics is None or rows_differ or isinstance(told, torch.Tensor):
                    legs = [point[part] if point.ndim > 1 else point for point in route]
                    dynamics = self._dynamics(means, legs, rows_differ, arrays.part_of(told, part))
                if isinstance(generator, seeds.RowGenerator):
                    generator.choose(part)
                moved.append(self._part(dynamics, y[part], generator, return_path, part.start))
        states, weights = zip(*moved, strict=True)
        axis = 1 if return_path else 0
        joined = torch.cat(weights, axis) if rows_differ or whole else weights[0]
        return torch.cat(states, axis), joined

    def _part_size(self, y: Tensor, rows_differ: bool) -> int:
        if self.batch_size is not None:
            return self.batch_size
        size = max(64, _CHUNK.get(y.device.type, 2**22) // max(1, y[:1].numel()))
        return min(size, _ROWS) if rows_differ else size

    @staticmethod
    def _has_rows(path: Path, count: int) -> bool:
        """Whether a path differs from row to row, of which it must have as many as the batch."""
        points = path(torch.zeros(1, dtype=torch.float64))
        differs = isinstance(points, Tensor) and points.ndim > 2
        if differs and points.shape[1] != count:
            raise ShapeError(f"{path!r} is of {points.shape[1]} rows; x has {count}.")
        return differs

    def _part(
        self,
        dynamics: ProbabilityFlow,
        y: Tensor,
        generator: torch.Generator,
        return_path: bool,
        first: int,
    ) -> tuple[Tensor, Tensor]:
        if self.grid is None:
            times = time_grid(dynamics, self.steps, self.solver.spread)
            asked = torch.arange(len(times))
        else:
            times, asked = with_knots(self.grid, dynamics.knots)
        weights = dynamics.weights(times[asked] if return_path else times[-1])
        weights = weights[:, None] if return_path and weights.ndim == 2 else weights
        if len(y) == 0:
            return y.expand(len(asked), *y.shape) if return_path else y, weights
        denoised = self.denoise and dynamics.stochastic
        before = times[:-1] if denoised else times
        options = (self.solver, generator, first)
        if len(before) == 1:
            states = y[None]
        elif return_path:
            states = trajectory(dynamics, y, before, *options)
        else:
            states = move(dynamics, y, before, *options)[None]
        if denoised:
            # Without noise, an Euler step to the end is the mean of what the state is made of.
            flow = ProbabilityFlow(
                dynamics.base, dynamics.path, dynamics.interpolant, dynamics.condition
            )
            euler = registry.create("solver", "euler", Solver)
            end = move(flow, states[-1], times[-2:], euler, generator, first)
            states = torch.cat([states, end[None]])
        return states[asked] if return_path else states[-1], weights

    def _dynamics(
        self, means: ConditionalMeans, route: list[Tensor], rows_differ: bool, condition: Any
    ) -> ProbabilityFlow:
        path: Path
        if isinstance(self.path, str):
            path = on_path(registry.create("path", self.path, Path, route), route)
        elif self.path is not None:
            if len(route) > 2:
                raise ConfigError(
                    "via and path exclude each other: let the path pass through the points."
                )
            path = on_path(self.path, route)
        else:
            path = Polyline(route)
            if self.noise is not None and (rows_differ or not noisy(path, self.interpolant)):
                path = Bow(route)
        self.weights(points_of(path, torch.linspace(0, 1, 9, dtype=torch.float64)))
        if self.noise is None:
            return ProbabilityFlow(means, path, self.interpolant, condition)
        return Diffusion(means, path, self.interpolant, self.noise, condition)


def on_path(path: Path, route: list[Tensor]) -> Path:
    """A path, if it is on the simplex and joins the points that were named.

    Raises:
        PluginError: it does not give one point a time.
        ShapeError: it is of another number of rows.
        SimplexError: it leaves the simplex, or ends elsewhere.
    """
    times, k = torch.linspace(0, 1, 33).double(), route[0].shape[-1]
    found = path(times)
    good = isinstance(found, Tensor) and found.ndim in (2, 3)
    if not good or len(found) != len(times) or found.shape[-1] != k:
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise PluginError(
            f"{path!r} must give a point of {k} coordinates a time, for {len(times)} times shape "
            f"({len(times)}, {k}); got {got}."
        )
    alpha = simplex.check(found.to(torch.float64), k, repr(path))
    for name, end, point in (("source", alpha[0], route[0]), ("target", alpha[-1], route[-1])):
        if end.ndim == point.ndim == 2 and len(end) != len(point):
            raise ShapeError(f"{path!r} is of {len(end)} rows; the {name} is of {len(point)}.")
        if not ((end - point).abs() <= 1e-6).all():
            raise SimplexError(
                f"{path!r} does not have the {name} as its end: expected {point.tolist()}, "
                f"got {end.tolist()}."
            )
    return path
