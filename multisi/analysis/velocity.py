"""The velocity of states in data units."""

from typing import Any

import torch
from torch import Tensor

from multisi import registry
from multisi.common import checks
from multisi.common.derivatives import value_and_rate
from multisi.common.shapes import leading
from multisi.dynamics import ProbabilityFlow
from multisi.errors import ConfigError
from multisi.field import named_points
from multisi.field.conditional_means import check_finite
from multisi.field.field import Field
from multisi.interpolants import Interpolant
from multisi.paths import Path


def velocity(
    field: Field,
    rows: Tensor,
    path: Path,
    t: float,
    condition: Any = None,
    interpolant: str | Interpolant = "barycentric",
) -> Tensor:
    """The velocity at a time of a path, shape of `x`, for a condition in standardised units.

    Raises:
        ConfigError: `path` is not a `Path`, `t` is not a finite number of at least 0, or the
            interpolant is unknown or needs a noise marginal.
        DataError: `x` is not finite.
        ShapeError: `x` or `condition` has the wrong shape.
        SimplexError: the path is not on the simplex at `t`.
        SolverError: the velocity is not finite.
    """
    chosen = registry.create("interpolant", interpolant, Interpolant)
    checks.instance(path, Path, "path")
    field.check_noise(chosen, path)
    if checks.number(t, "t") > 1:
        raise ConfigError(f"t must be a time of the path, in [0, 1]; got {t!r}.")
    at = torch.tensor(t, dtype=torch.float64)
    with torch.no_grad():
        flow = ProbabilityFlow(field.conditional_means, path, chosen)
        weights, rate = value_and_rate(flow.weights, at)
        weights = named_points.on_cone(weights, field.marginals, rows, "alpha")
        y = field.standardise(rows, weights)
        flow.condition = condition
        scale = field.standardiser.affine(weights, rows)[1]
        # In data units x = s y, so dx/dt = s ẏ + ṡ y.
        total, growth = weights.sum(-1).to(rows), rate.sum(-1).to(rows)
        found = check_finite(flow.velocity(y, at), "The velocity")
        inner = found.to(rows.device).to(rows.dtype) * scale
        return leading(total, inner) * inner + leading(growth / total, inner) * rows
