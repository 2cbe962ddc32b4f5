"""Integrate dynamics by any solver, and check the results."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from multisi.common.arrays import bad_rows
from multisi.common.seeds import RowGenerator
from multisi.dynamics import Dynamics
from multisi.errors import PluginError, SolverError
from multisi.solvers import Solver


def integrate(
    dynamics: Dynamics,
    y: Tensor,
    times: Tensor,
    solver: Solver,
    generator: torch.Generator,
    first: int = 0,
) -> Tensor:
    """The state at the last time, checked; `first` is the number of the first row, for errors.

    Raises:
        SolverError: a value is not finite; the message gives the step, the time and the rows.
        PluginError: the solver does not return a state of the same shape, or draws numbers that
            depend on the batch where rows are numbered.
    """
    state = generator.get_state()
    end = solver.integrate(dynamics, y, times, generator=generator)
    _check_state(end, y, solver)
    if not torch.isfinite(end).all():
        generator.set_state(state)
        for i, on_the_way in enumerate(_record(dynamics, y, times, solver, generator), 1):
            _check_finite(on_the_way, _step(i, times), first)
        _check_finite(end, f"by t = {times[-1].item():.4g}", first)
    _check_draws(solver, generator)
    return end


def trajectory(
    dynamics: Dynamics,
    y: Tensor,
    times: Tensor,
    solver: Solver,
    generator: torch.Generator,
    first: int = 0,
) -> Tensor:
    """The states at all times, shape `(n + 1, b, *event)`; errors as for `integrate`."""
    states = [y, *_record(dynamics, y, times, solver, generator)]
    for i, state in enumerate(states):
        _check_finite(state, _step(i, times), first)
    _check_draws(solver, generator)
    return torch.stack(states)


def _record(
    dynamics: Dynamics, y: Tensor, times: Tensor, solver: Solver, generator: torch.Generator
) -> Iterator[Tensor]:
    for state in solver.record(dynamics, y, times, generator=generator):
        _check_state(state, y, solver)
        yield state


def _check_state(end: Any, y: Tensor, solver: Solver) -> None:
    if not isinstance(end, Tensor) or end.shape != y.shape:
        got = tuple(end.shape) if isinstance(end, Tensor) else type(end).__name__
        raise PluginError(f"{solver!r} must return a state of shape {tuple(y.shape)}; got {got}.")


def _check_draws(solver: Solver, generator: torch.Generator) -> None:
    if isinstance(generator, RowGenerator) and generator.bypassed:
        raise PluginError(
            f"{solver!r} draws noise that depends on the batch, but the noise of numbered rows "
            "(rows=...) must not. In the solver, draw with "
            "multisi.noise.standard_normal(y, generator) in place of torch.randn."
        )


def _step(i: int, times: Tensor) -> str:
    return f"in step {i} of {len(times) - 1}, t = {times[i].item():.4g}"


def _check_finite(state: Tensor, where: str, first: int) -> None:
    if len(bad := bad_rows(state)):
        raise SolverError(
            f"The state stopped being finite {where}: {len(bad)} of {len(state)} rows, the first "
            f"is row {first + bad[0].item()}. Check whether the input lies far from the source "
            "marginal and whether the network returns finite values."
        )
