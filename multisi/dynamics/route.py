"""Dynamics along a route: a path through given points, and an interpolant."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from multisi import noise as noises
from multisi import registry, simplex
from multisi.common import checks
from multisi.dynamics.coordinates import points_of
from multisi.dynamics.diffusion import Diffusion, has_noise_inside
from multisi.dynamics.probability_flow import ProbabilityFlow
from multisi.errors import ConfigError, PluginError, ShapeError, SimplexError
from multisi.field.conditional_means import ConditionalMeans
from multisi.interpolants import Interpolant
from multisi.paths import Path
from multisi.paths.bow import Bow
from multisi.paths.polyline import Polyline


def dynamics_along(
    means: ConditionalMeans,
    route: Sequence[Tensor],
    *,
    path: str | Path | None = None,
    interpolant: str | Interpolant = "barycentric",
    noise: Any = None,
    condition: Any = None,
) -> ProbabilityFlow | Diffusion:
    """The flow along a route, or the diffusion if there is noise.

    Arguments:
        means: The conditional means.
        route: The points that the path passes through, each of shape `(k,)` or `(b, k)`.
        path: A path or its name; by default a polyline, or a bow where `noise` needs one.
        interpolant: An interpolant or its name.
        noise: How much noise, as for `Diffusion`; `None` for the flow.
        condition: An extra input of the network, one vector per row.

    Raises:
        ConfigError: `path` is not a path, or is given together with points between the ends.
        UnknownPluginError: no path or interpolant has this name.
        PluginError: the path does not return points, or the interpolant does not return weights.
        ScoreError: there is noise, and the score does not exist on the path.
        ShapeError: the path has another number of rows than the route.
        SimplexError: the path leaves the simplex, or does not join the ends of the route.
    """
    chosen = registry.create("interpolant", interpolant, Interpolant)
    curve = path_along(list(route), path, chosen, noisy=noise is not None)
    checked_weights(chosen, points_of(curve, torch.linspace(0, 1, 9, dtype=torch.float64)))
    if noise is None:
        return ProbabilityFlow(means, curve, chosen, condition)
    return Diffusion(means, curve, chosen, noises.of(noise), condition)


def path_along(
    route: list[Tensor], path: str | Path | None, interpolant: Interpolant, noisy: bool
) -> Path:
    """The path through the points of a route, as `dynamics_along` describes it."""
    if isinstance(path, str):
        return checked_path(registry.create("path", path, Path, route), route)
    if path is not None:
        if len(route) > 2:
            raise ConfigError(
                "via and path cannot be used together: leave out via, and use a path that passes "
                "through these points."
            )
        return checked_path(checks.instance(path, Path, "path"), route)
    rows_differ = any(point.ndim > 1 for point in route)
    straight = Polyline(route)
    if noisy and (rows_differ or not has_noise_inside(straight, interpolant)):
        return Bow(route)
    return straight


def checked_path(path: Path, route: list[Tensor]) -> Path:
    """The path, if it is on the simplex and joins the first and the last point of a route.

    Raises:
        PluginError: the path does not return one point for each time.
        ShapeError: the path has another number of rows than the route.
        SimplexError: the path leaves the simplex, or does not join the ends of the route.
    """
    times, k = torch.linspace(0, 1, 33, dtype=torch.float64), route[0].shape[-1]
    found = path(times)
    good = isinstance(found, Tensor) and found.ndim in (2, 3)
    if not good or len(found) != len(times) or found.shape[-1] != k:
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise PluginError(
            f"{path!r} must return a point of {k} coordinates for each time, shape "
            f"({len(times)}, {k}) for {len(times)} times; got {got}."
        )
    alpha = simplex.check(found.to(torch.float64), k, repr(path))
    for name, end, point in (("source", alpha[0], route[0]), ("target", alpha[-1], route[-1])):
        if end.ndim == point.ndim == 2 and len(end) != len(point):
            raise ShapeError(f"{path!r} has {len(end)} rows; the {name} has {len(point)}.")
        if not ((end - point).abs() <= 1e-6).all():
            raise SimplexError(
                f"{path!r} must lead from the source to the target: at the {name} expected "
                f"{point.tolist()}, got {end.tolist()}."
            )
    return path


def checked_weights(interpolant: Interpolant, alpha: Tensor) -> Tensor:
    """The weights of an interpolant at points of the simplex, if they are in the cone.

    Raises:
        PluginError: the weights have another shape, or are not in the cone.
    """
    found = interpolant.weights(alpha)
    if not isinstance(found, Tensor) or found.shape != alpha.shape:
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise PluginError(
            f"{interpolant!r} must return weights of shape {tuple(alpha.shape)}, that of the "
            f"points; got {got}."
        )
    good = torch.isfinite(found).all(-1) & (found >= 0).all(-1) & (found.sum(-1) > 0)
    if not good.all():
        raise PluginError(
            f"{interpolant!r} must return weights that are finite, not negative and not all zero; "
            f"got {found[~good][0].tolist()}."
        )
    return found
