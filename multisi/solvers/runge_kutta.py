"""Runge-Kutta methods in the arc length, with fixed or adaptive steps."""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.shapes import leading
from multisi.dynamics import Dynamics
from multisi.errors import SolverError
from multisi.solvers.base import Solver, flow_only, last


class RungeKutta4(Solver):
    """The classical Runge-Kutta method: order 4, four network calls per step.

    References:
        Hairer, Nørsett, Wanner. Solving ordinary differential equations I (1993),
        doi:10.1007/978-3-540-78862-1, section II.1.
    """

    calls_per_step = 4
    stochastic = False

    def integrate(
        self,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """The state at the last of `times`."""
        return last(self.record(dynamics, y, times, generator=generator), y)

    def record(
        self,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """The states after the first, by four stages per step."""
        flow_only(self, dynamics)
        places = dynamics.arc.place(times)
        shares = torch.tensor([0.0, 0.5, 0.5, 1.0], dtype=torch.float64)
        at = dynamics.arc.time(torch.lerp(places[:-1, None], places[1:, None], shares).flatten())

        def changes(part: slice) -> Tensor:
            # A slice of stages may begin and end within a step: compute whole steps, then cut.
            step, end = part.start // 4, -(-part.stop // 4)
            start, stop = places[:-1][step:end], places[1:][step:end]
            tangents = dynamics.arc.tangents(start, stop, shares)  # (steps, 4, [b,] k)
            tangents = tangents * leading(stop - start, tangents)
            return tangents.flatten(0, 1)[part.start - 4 * step :][: part.stop - part.start]

        # Rates rather than exact differences of alpha, with which the order would be 2.
        slope = dynamics.increments(y, at, changes, torch.zeros_like(at))
        for i in range(0, len(at), 4):
            a = slope(i, y)
            b = slope(i + 1, y + a / 2)
            c = slope(i + 2, y + b / 2)
            y = y + (a + 2 * (b + c) + slope(i + 3, y + c)) / 6
            yield y


class Adaptive(Solver):
    """The Dormand-Prince method of order 5, with steps as long as the tolerance allows.

    In each step, the error of every row, relative to `atol + rtol * |y|`, has a root mean square
    of at most 1. The steps, but not the accuracy, therefore depend on the whole batch. The grid of
    times sets the first step only.

    Arguments:
        rtol: Relative tolerance.
        atol: Absolute tolerance, in standardised units.
        most_calls: Number of network calls after which the solver gives up.

    Raises:
        ConfigError: a tolerance is not above 0, or `most_calls` is not a positive integer.
        SolverError: when called, the tolerance was not met within `most_calls` network calls.

    References:
        Dormand, Prince. A family of embedded Runge-Kutta formulae (1980),
        doi:10.1016/0771-050X(80)90013-3.
    """

    stochastic = False

    def __init__(self, rtol: float = 1e-4, atol: float = 1e-4, most_calls: int = 2000) -> None:
        self.rtol = checks.number(rtol, "rtol", positive=True)
        self.atol = checks.number(atol, "atol", positive=True)
        self.most_calls = checks.integer(most_calls, "most_calls")

    def integrate(
        self,
        dynamics: Dynamics,
        y: Tensor,
        times: Tensor,
        *,
        generator: torch.Generator,
    ) -> Tensor:
        """The state at the last of `times`.

        Raises:
            SolverError: the tolerance was not met within `most_calls` network calls.
        """
        flow_only(self, dynamics)
        calls = 0
        inner = [t for t in dynamics.knots if times[0] < t < times[-1]]
        ends = torch.tensor([times[0], *inner, times[-1]], dtype=torch.float64)
        places = dynamics.arc.place(ends).tolist()
        step = (places[-1] - places[0]) / (len(times) - 1)
        for start, stop in itertools.pairwise(places):
            place = start
            while place < stop:
                whole = step >= (stop - place) * (1 - 1e-9)
                h = stop - place if whole else step
                if calls + 7 > self.most_calls or place + h == place:
                    raise SolverError(
                        f"{self!r} did not meet its tolerance within {calls} network calls; it "
                        f"reached {place:.4g} of the arc length. Raise most_calls, rtol or atol, "
                        "or check whether the network returns finite values."
                    )
                new, error = _dormand_prince(dynamics, y, place, h)
                calls += 7
                size = self._size(error, y, new)
                if size <= 1:
                    place, y = (stop if whole else place + h), new
                step = h * min(5.0, max(0.2, 0.9 * max(size, 1e-10) ** -0.2))
        return y

    def _size(self, error: Tensor, y: Tensor, new: Tensor) -> float:
        """The largest error of a row relative to the tolerance; infinite if it is NaN."""
        bound = self.atol + self.rtol * torch.maximum(y.abs(), new.abs())
        rows = (error / bound).reshape(len(y), -1).square().mean(1).sqrt()
        size = rows.max().item() if len(rows) else 0.0
        return size if size < float("inf") else float("inf")


_STAGES = (
    (0.0, ()),
    (1 / 5, (1 / 5,)),
    (3 / 10, (3 / 40, 9 / 40)),
    (4 / 5, (44 / 45, -56 / 15, 32 / 9)),
    (8 / 9, (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729)),
    (1.0, (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656)),
    (1.0, (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def _dormand_prince(
    dynamics: Dynamics, y: Tensor, place: float, h: float
) -> tuple[Tensor, Tensor]:
    """The state after a step, and an estimate of its error."""
    start = torch.tensor([place], dtype=torch.float64)
    stages = torch.tensor([share for share, _ in _STAGES], dtype=torch.float64)
    alpha = dynamics.alpha(dynamics.arc.time(start + stages * h))
    moves = h * dynamics.arc.tangents(start, start + h, stages)[0]
    slopes: list[Tensor] = []
    state = y
    for i, (_, shares) in enumerate(_STAGES):
        state = _sum(y, shares, slopes)
        slopes.append(dynamics.combine(state, alpha[i], moves[i]))
    return state, _sum(torch.zeros_like(y), _ERROR, slopes)


def _sum(y: Tensor, shares: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    for share, slope in zip(shares, slopes, strict=True):
        y = torch.add(y, slope, alpha=share) if share else y
    return y
