"""Checks of curves: continuity and correct derivatives."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from multisi.common.derivatives import value_and_rate
from multisi.testing.battery import demand, numbers

_FINE = 4096
_JUMP = 0.1
_STEP = 1e-5


def continuous(curve: Callable[[Tensor], Tensor], where: str) -> None:
    """Check that a curve over [0, 1] is continuous."""
    values = curve(torch.linspace(0, 1, _FINE + 1, dtype=torch.float64))
    ends = curve(torch.tensor([1e-12, 1 - 1e-12], dtype=torch.float64))
    jump = max(
        values.diff(dim=0).abs().max().item(),
        (ends[0] - values[0]).abs().max().item(),
        (ends[1] - values[-1]).abs().max().item(),
    )
    demand(jump <= _JUMP, f"must be continuous; {where} there is a jump of {jump:.3g}.")


def differentiable(curve: Callable[[Tensor], Tensor], times: Sequence[float], where: str) -> None:
    """Check that `torch.func.jvp` gives the derivative of a curve at some times."""
    t = torch.tensor(times, dtype=torch.float64)
    _, rate = value_and_rate(curve, t)
    secant = (curve(t + _STEP) - curve(t - _STEP)) / (2 * _STEP)
    error = (rate - secant).flatten(1).abs().amax(1) / (1 + secant.flatten(1).abs().amax(1))
    worst = int(torch.nan_to_num(error, torch.inf).argmax())
    demand(
        error[worst] <= 1e-3,
        f"must be smooth, with derivatives by torch.func.jvp; {where}, at t = {times[worst]:.4g}, "
        f"expected {numbers(secant[worst])}; got {numbers(rate[worst])}.",
    )
