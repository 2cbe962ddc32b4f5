"""Move samples along a path: the grid of times, the solver, and a look at what came out."""

from typing import Any

import torch
from torch import Tensor

from multisi import checks, registry, simplex
from multisi.dynamics import Diffusion, ProbabilityFlow, noisy
from multisi.errors import ConfigError, PluginError, SimplexError, SolverError
from multisi.interpolants import Interpolant
from multisi.means import ConditionalMeans
from multisi.paths import Path
from multisi.paths.bow import Bow
from multisi.paths.polyline import Polyline
from multisi.progress import bar
from multisi.solvers import Solver

_FINE = 512
"""Points a leg at which its arc length is measured."""
_CHUNK = {"cpu": 2**15}
"""Numbers in the states that are moved at once, by kind of device: what caches hold."""


class Counted(ConditionalMeans):
    """Conditional means that move a progress bar on at every network call."""

    def __init__(self, means: ConditionalMeans, bar: Any) -> None:
        super().__init__(means)
        self.bar = bar

    def heads(self, y: Tensor, alpha: Tensor, condition: Any = None) -> Tensor:
        """The heads of the wrapped means."""
        self.bar.update()
        means: ConditionalMeans = self.network
        return means.heads(y, alpha, condition)


class Journey:
    """The options of a transport, made into objects; `run` then moves a batch.

    Arguments: as for `Model.transport`.
    """

    def __init__(
        self,
        means: ConditionalMeans,
        path: str | Path | None = None,
        interpolant: str | Interpolant = "barycentric",
        solver: str | Solver = "midpoint",
        steps: int = 32,
        noise: float = 0.0,
        condition: Any = None,
    ) -> None:
        self.means, self.condition = means, condition
        self.steps = checks.integer(steps, "steps")
        self.noise = checks.number(noise, "noise")
        self.interpolant = registry.create("interpolant", interpolant, Interpolant)
        self.solver = registry.create("solver", solver, Solver)
        self.path = path
        if path is not None and not isinstance(path, str):
            checks.instance(path, Path, "path")

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
        whole = isinstance(self.path, Path) and self.path(torch.zeros(1)).ndim > 2
        size = (
            max(1, len(y))
            if whole
            else max(64, _CHUNK.get(y.device.type, 2**22) // max(1, y[:1].numel()))
        )
        parts = [slice(i, i + size) for i in range(0, max(1, len(y)), size)]
        calls = (self.solver.calls_per_step or 0) * self.steps * len(parts)
        moved = []
        with bar(calls or None, "transport", "call", progress) as shown:
            means = Counted(self.means, shown) if progress else self.means
            for part in parts:
                legs = [point[part] if point.ndim > 1 else point for point in route]
                dynamics = self._dynamics(means, legs, rows_differ)
                moved.append(self._part(dynamics, y[part], generator, return_path))
        states, weights = zip(*moved, strict=True)
        axis = 1 if return_path else 0
        joined = torch.cat(weights, axis) if rows_differ or whole else weights[0]
        return torch.cat(states, axis), joined

    def _part(
        self, dynamics: ProbabilityFlow, y: Tensor, generator: torch.Generator, return_path: bool
    ) -> tuple[Tensor, Tensor]:
        times = time_grid(dynamics, self.steps)
        if len(y) == 0:
            y = y.expand(len(times), *y.shape) if return_path else y
            return y, dynamics.weights(times if return_path else times[-1])
        if not return_path:
            y = move(dynamics, y, times, self.solver, generator)
            return y, dynamics.weights(times[-1])
        weights = dynamics.weights(times)
        weights = weights[:, None] if weights.ndim == 2 else weights
        return trajectory(dynamics, y, times, self.solver, generator), weights

    def _dynamics(
        self, means: ConditionalMeans, route: list[Tensor], rows_differ: bool
    ) -> ProbabilityFlow:
        path: Path
        if isinstance(self.path, str):
            path = registry.create("path", self.path, Path, route)
        elif self.path is not None:
            path = _checked(self.path, route)
        else:
            path = Polyline(route)
            if self.noise > 0 and (rows_differ or not noisy(path, self.interpolant)):
                path = Bow(route)
        if self.noise == 0:
            return ProbabilityFlow(means, path, self.interpolant, self.condition)
        return Diffusion(means, path, self.interpolant, self.noise, self.condition)


def _checked(path: Path, route: list[Tensor]) -> Path:
    """A path that a user made: on the simplex, and between the points that were named."""
    if len(route) > 2:
        raise ConfigError("via and path exclude each other: let the path pass through the points.")
    alpha = simplex.check(path(torch.linspace(0, 1, 33).double()), route[0].shape[-1], repr(path))
    for name, end, point in (("source", alpha[0], route[0]), ("target", alpha[-1], route[-1])):
        if not torch.allclose(end, point, atol=1e-6):
            raise SimplexError(
                f"{path!r} does not have the {name} as its end: expected {point.tolist()}, "
                f"got {end.tolist()}."
            )
    return path


def time_grid(dynamics: ProbabilityFlow, steps: int) -> Tensor:
    r"""`steps + 1` times from 0 to 1, evenly spaced in the arc length of the coordinates.

    The knots of the path are among them; steps are shared out over its legs by length. Where the
    path differs from row to row the times are even on each leg, so that no row depends on others.

    Raises:
        ConfigError: fewer steps than one, or than the path has legs.
    """
    legs = len(dynamics.path.knots) - 1
    if steps < legs:
        raise ConfigError(f"A path of {legs} legs needs at least {legs} steps; got {steps}.")
    knots = torch.tensor(dynamics.path.knots, dtype=torch.float64)
    fine = torch.linspace(0, 1, _FINE + 1, dtype=torch.float64)
    times = knots[:-1, None] + knots.diff()[:, None] * fine
    alpha = dynamics.alpha(times.clamp(0, 1))
    if alpha.ndim == 3:
        lengths = alpha.diff(dim=1).norm(dim=-1)
    else:
        lengths = torch.ones_like(times[:, 1:])
    totals = lengths.sum(1)
    lengths = torch.where(totals[:, None] > 0, lengths, torch.ones_like(lengths))
    grid = [knots[:1]]
    for leg, count in enumerate(_share_out(steps, totals)):
        travelled = torch.cat([fine[:1], lengths[leg].cumsum(0) / lengths[leg].sum()])
        shares = torch.linspace(0, 1, count + 1, dtype=torch.float64)[1:]
        grid.append(_interpolate(shares, travelled, times[leg]))
        grid[-1][-1] = knots[leg + 1]
    return torch.cat(grid)


def _share_out(steps: int, lengths: Tensor) -> list[int]:
    """Whole numbers of at least one, with the given sum, close to proportional to `lengths`."""
    counts = torch.ones(len(lengths), dtype=torch.int64)
    for _ in range(steps - len(lengths)) if len(lengths) > 1 else ():
        counts[(lengths / counts).argmax()] += 1
    if len(lengths) == 1:
        counts[0] = steps
    return counts.tolist()


def _interpolate(at: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Piecewise-linear interpolation of increasing `x`."""
    right = torch.searchsorted(x, at).clamp(1, len(x) - 1)
    left = right - 1
    width = (x[right] - x[left]).clamp_min(torch.finfo(x.dtype).tiny)
    return torch.lerp(y[left], y[right], (at - x[left]) / width)


def move(
    dynamics: ProbabilityFlow,
    y: Tensor,
    times: Tensor,
    solver: Solver,
    generator: torch.Generator,
) -> Tensor:
    """The state at the last time, checked.

    Raises:
        SolverError: a value that is not finite came up; with the step, the time and the rows.
        PluginError: the solver returned something else than a state of the same shape.
    """
    state = generator.get_state()
    end = solver.integrate(dynamics, y, times, generator=generator)
    if not isinstance(end, Tensor) or end.shape != y.shape:
        got = tuple(end.shape) if isinstance(end, Tensor) else type(end).__name__
        raise PluginError(f"{solver!r} must return a state of shape {tuple(y.shape)}; got {got}.")
    if not torch.isfinite(end).all():
        generator.set_state(state)
        raise SolverError(_blame(dynamics, y, times, solver, generator, end))
    return end


def trajectory(
    dynamics: ProbabilityFlow,
    y: Tensor,
    times: Tensor,
    solver: Solver,
    generator: torch.Generator,
) -> Tensor:
    """The states at all times, shape `(n + 1, b, *event)`."""
    states = [y]
    for i in range(len(times) - 1):
        states.append(move(dynamics, states[-1], times[i : i + 2], solver, generator))
    return torch.stack(states)


def _blame(
    dynamics: ProbabilityFlow,
    y: Tensor,
    times: Tensor,
    solver: Solver,
    generator: torch.Generator,
    end: Tensor,
) -> str:
    """Integrate again step by step, until the first value that is not finite."""
    where = f"by t = {times[-1].item():.4g}"
    for i in range(len(times) - 1):
        y = solver.integrate(dynamics, y, times[i : i + 2], generator=generator)
        if not torch.isfinite(y).all():
            end, where = y, f"in step {i + 1} of {len(times) - 1}, t = {times[i + 1].item():.4g}"
            break
    bad = (~torch.isfinite(end.reshape(len(end), -1)).all(1)).nonzero()[:, 0]
    return (
        f"The state stopped being finite {where}: {len(bad)} of {len(end)} rows, the first is row "
        f"{bad[0].item()}. Look whether the input lies far from the source marginal and whether "
        "the network itself returns finite values."
    )
