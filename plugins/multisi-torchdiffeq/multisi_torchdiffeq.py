"""The adaptive solvers of torchdiffeq for multisi's probability flow."""

import itertools
import math

import torch

import multisi
from multisi.errors import ConfigError, SolverError


class TorchDiffEq(multisi.Solver):
    """An adaptive method of torchdiffeq; it uses only the first and last time of the grid.

    The bound on network calls and the check for finite values also hold under `python -O`, which
    removes the assertions of torchdiffeq.

    Arguments:
        rtol: Relative tolerance.
        atol: Absolute tolerance, in standardised units.
        most_calls: Largest number of network calls.

    Raises:
        ConfigError: an option is not a finite number above 0.
    """

    method = "dopri5"
    stochastic = False

    def __init__(self, rtol=1e-5, atol=1e-5, most_calls=5000):
        for name, value in (("rtol", rtol), ("atol", atol), ("most_calls", most_calls)):
            if not (isinstance(value, int | float) and 0 < value < math.inf):
                raise ConfigError(f"{name} must be a finite number above 0; got {value!r}.")
        self.rtol, self.atol, self.most_calls = rtol, atol, most_calls

    def integrate(self, dynamics, y, times, *, generator):
        """The state at the last of `times`; each leg of the path is integrated separately.

        Raises:
            ConfigError: the dynamics are stochastic.
            SolverError: the tolerance is not met, or the state or the velocity is not finite.
        """
        import torchdiffeq

        if dynamics.stochastic:
            raise ConfigError(f"{self!r} integrates the flow only. Use noise=0.")
        if not torch.isfinite(y).all():
            raise SolverError(f"{self!r} needs a finite state; got NaN or infinity.")
        field = _Field(self, dynamics)
        inner = [knot for knot in dynamics.knots if times[0] < knot < times[-1]]
        ends = torch.tensor([times[0], *inner, times[-1]], dtype=torch.float64)
        for start, stop in itertools.pairwise(dynamics.arc.place(ends)):
            span = torch.stack([start, stop]).to(y.device)
            try:
                y = torchdiffeq.odeint(
                    field, y, span, method=self.method, rtol=self.rtol, atol=self.atol
                )[-1]
            except AssertionError as error:
                raise SolverError(
                    f"{self!r} did not meet its tolerance: {error}. Raise rtol or atol."
                ) from error
        return y


class _Field:
    """The velocity per unit of arc length; counts network calls and checks values."""

    def __init__(self, solver, dynamics):
        self.solver, self.dynamics, self.calls = solver, dynamics, 0

    def __call__(self, place, y):
        self.calls += 1
        if self.calls > self.solver.most_calls:
            raise SolverError(
                f"{self.solver!r} did not meet its tolerance within {self.solver.most_calls} "
                f"network calls; it reached {float(place):.4g} of the arc length. Raise "
                "most_calls, rtol or atol."
            )
        velocity = self.dynamics.arc_velocity(y, float(place))
        if not torch.isfinite(velocity).all():
            raise SolverError(
                f"The velocity is not finite at {float(place):.4g} of the arc length. Check "
                "whether the network returns finite values."
            )
        return velocity


class Dopri5(TorchDiffEq):
    """Dormand and Prince's method of order 5."""


class Dopri8(TorchDiffEq):
    """Dormand and Prince's method of order 8, for tight tolerances."""

    method = "dopri8"


class Bosh3(TorchDiffEq):
    """Bogacki and Shampine's method of order 3, for loose tolerances."""

    method = "bosh3"


class AdaptiveHeun(TorchDiffEq):
    """Heun's method of order 2 with adaptive steps, for rough fields."""

    method = "adaptive_heun"


@multisi.hookimpl
def multisi_register_solvers():
    """The solvers of this package."""
    return {
        "dopri5": Dopri5,
        "dopri8": Dopri8,
        "bosh3": Bosh3,
        "adaptive-heun": AdaptiveHeun,
    }
