"""The transport cost of a path, and of the map at its end."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from multisi import registry
from multisi.common import checks
from multisi.common.estimate import Estimate
from multisi.common.shapes import flat
from multisi.dynamics.route import path_along
from multisi.errors import ConfigError
from multisi.field.field import Field
from multisi.geometry import straight
from multisi.geometry.moments import BLOCKS, profile, scale_of
from multisi.geometry.states import states
from multisi.interpolants import Interpolant
from multisi.paths import Path
from multisi.sampling.transport import Transport

KINDS = ("energy", "length", "least", "map")


def transport_cost(
    field: Field,
    route: list[Tensor],
    *,
    path: str | Path | None = None,
    interpolant: str | Interpolant = "barycentric",
    kind: str = "energy",
    samples: Mapping[str, Any] | None = None,
    count: int = 4000,
    seed: int = 0,
) -> Estimate:
    r"""The cost of the flow along a path, $\int E |\dot x|^2\, dt$, in squared data units.

    Arguments:
        field: The field.
        route: The points that the path passes through, each of shape `(k,)`.
        path: A path or its name; straight from point to point by default.
        interpolant: An interpolant or its name.
        kind: `"energy"` for the cost at the speed and scale of the path, `"length"` for
            $\int \sqrt{E |\dot x|^2}\, dt$, `"least"` for the cost at constant speed with the best
            scale, or `"map"` for $E |X_1 - X_0|^2$.
        samples: Name to samples of a marginal that the path passes, for a field that neither has
            draws nor noise.
        count: Number of states at each time.
        seed: Seed of the states.

    Raises:
        ConfigError: `kind` is unknown, or an option has an invalid value.
        DataError: there is nothing to draw states from.
        MultisiError: the path or the interpolant breaks its contract.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
    chosen = registry.create("interpolant", interpolant, Interpolant)
    curve = path_along(route, path, chosen, noisy=False)
    field.check_noise(chosen, curve)
    count = BLOCKS * max(1, -(-checks.integer(count, "count", least=2) // BLOCKS))
    support = support_of(curve)
    source = states(field, support, samples, count, seed)
    if kind == "map":
        return _moved(field, source, route, curve, chosen)
    found = profile(field, source, curve, chosen, blocks=BLOCKS)
    figure = type(found).energy if kind == "energy" else getattr(type(found), kind)

    return jackknife(lambda blocks: float(figure(found.over(blocks))), BLOCKS)


def constant_speed(
    field: Field,
    path: Path,
    *,
    interpolant: str | Interpolant = "barycentric",
    samples: Mapping[str, Any] | None = None,
    count: int = 4000,
    seed: int = 0,
) -> Path:
    """The same path at constant speed, which never costs more; arguments as `transport_cost`."""
    chosen = registry.create("interpolant", interpolant, Interpolant)
    checks.instance(path, Path, "path")
    field.check_noise(chosen, path)
    source = states(field, support_of(path), samples, checks.integer(count, "count"), seed)
    return straight.constant_speed(path, profile(field, source, path, chosen, count=128).over())


def jackknife(figure: Any, blocks: int) -> Estimate:
    """A function of means over blocks, and its standard error by leaving out one block each.

    Arguments:
        figure: Function of the indices of blocks, shape `(n,)`.
        blocks: Number of blocks.
    """
    every = torch.arange(blocks)
    left = torch.tensor([figure(every[every != i]) for i in range(blocks)], dtype=torch.float64)
    error = ((blocks - 1) * left.var(correction=0)).sqrt()
    return Estimate(figure(every), error.item())


def support_of(path: Path) -> list[int]:
    """Indices of the marginals that have a weight somewhere on a path."""
    alpha = path(torch.linspace(0, 1, 33, dtype=torch.float64))
    return (alpha.reshape(-1, alpha.shape[-1]).amax(0) > 0).nonzero()[:, 0].tolist()


def _moved(
    field: Field, source: Any, route: list[Tensor], path: Path, interpolant: Interpolant
) -> Estimate:
    y, condition = source(route[0])
    move = Transport.of(
        field.conditional_means, path=path, interpolant=interpolant, condition=condition
    )
    with torch.no_grad():
        moved = move.run(y, [route[0], route[-1]], torch.Generator())[0]
    gap = flat(moved - y).double() * scale_of(field, y[:, None])
    return Estimate.of(gap.square().sum(1))
