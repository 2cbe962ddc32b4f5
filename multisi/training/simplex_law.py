"""The law of the simplex points in training, each with a tangent."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from multisi import registry
from multisi.common import checks
from multisi.common.derivatives import value_and_rate
from multisi.errors import ConfigError
from multisi.field import named_points
from multisi.paths import Path

_KIND = torch.float32


class SimplexLaw:
    r"""Points of the simplex with tangents: a mixture of edges, bows, faces, ends and paths.

    Points on an edge are uniform, with the tangent $e_j - e_i$ or $e_i - e_j$. A bow is a path
    between two datasets that bends towards the noise, at most as far as the default path of SDEs;
    its tangent is that of the path, or points to the noise. A face has a uniform number of corners
    from three to all; its points are uniform, with a tangent between two of its corners. On a path
    the time is uniform and the tangent is $\dot\alpha(t)$, or points to the noise where it has a
    weight, as SDEs need. Ends are the corners, with the tangent of an edge: there the field is
    the whole way, which one step takes.

    Arguments:
        edges: Share of points on edges, for transport between two marginals.
        bows: Share of points on bows, for SDEs between datasets; without noise it is ignored.
        faces: Share of points on faces, for barycentres and paths through the interior.
        paths: Share of points on the paths in `along`; by default as large as all other shares.
        ends: Share of points at the corners, for transport in few steps.
        along: Paths: `Path` objects, or pairs `(source, target)` of points as for `transport`.

    Raises:
        ConfigError: a share is not a finite number of at least 0, all shares are zero, or only
            one of `paths` and `along` is set.

    Examples:
        >>> law = SimplexLaw(edges=1, bows=0, faces=0)
        >>> alpha, v = law.draw(8, ["a", "b", "c"], False, torch.Generator().manual_seed(0))
        >>> bool(((alpha > 0).sum(1) == 2).all() and (v.sum(1) == 0).all())
        True
    """

    def __init__(
        self,
        edges: float = 0.6,
        bows: float = 0.2,
        faces: float = 0.2,
        paths: float | None = None,
        along: Sequence[Any] = (),
        ends: float = 0.0,
    ) -> None:
        self.along = list(along)
        shares = {"edges": edges, "bows": bows, "faces": faces, "ends": ends}
        self.shares = {name: checks.number(share, name) for name, share in shares.items()}
        default = (sum(self.shares.values()) or 1.0) if self.along else 0.0
        self.shares["paths"] = default if paths is None else checks.number(paths, "paths")
        if not sum(self.shares.values()) > 0 or bool(self.shares["paths"]) != bool(self.along):
            raise ConfigError(
                "A law needs a share above zero, and a share of paths needs paths (along=[...]) "
                f"and the reverse; got the shares {self.shares} and {len(self.along)} paths."
            )

    def draw(
        self, n: int, names: Sequence[str], noise: bool, source: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """`n` points and their tangents, each of shape `(n, k)`, float32.

        Arguments:
            n: Number of points.
            names: Names of the marginals in order.
            noise: Whether the first marginal is the noise.
            source: Generator of the random numbers.

        Raises:
            ConfigError: every part with a share is missing, such as bows without noise; or an
                item of `along` is neither a path nor a pair of known points.
            SimplexError: a point of `along` is not on the simplex.
        """
        laws = {"edges": _edges, "bows": _bows, "faces": _faces, "ends": _ends}
        laws["paths"] = functools.partial(self._paths, noise)
        there = {"edges": True, "bows": noise and len(names) > 2, "faces": len(names) > 2}
        shares = torch.tensor(
            [s * there.get(name, True) for name, s in self.shares.items()], dtype=_KIND
        )
        if not shares.sum() > 0:
            raise ConfigError(
                f"There is nothing to draw for the marginals {list(names)} with the shares "
                f"{self.shares}. Bows need noise and two datasets, faces three marginals."
            )
        kinds = torch.multinomial(shares, n, replacement=True, generator=source)
        alpha, v = torch.empty(2, n, len(names), dtype=_KIND)
        for kind, law in enumerate(laws.values()):
            rows = (kinds == kind).nonzero()[:, 0]
            if len(rows):
                alpha[rows], v[rows] = law(len(rows), names, source)
        return alpha, v

    def _paths(
        self, noise: bool, n: int, names: Sequence[str], source: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        which = torch.randint(len(self.along), (n,), generator=source)
        t = torch.rand(n, generator=source, dtype=torch.float64)
        alpha, v = torch.empty(2, n, len(names), dtype=_KIND)
        for i, given in enumerate(self.along):
            rows = (which == i).nonzero()[:, 0]
            path = given if isinstance(given, Path) else _segment(given, names)
            at = t[rows]
            alpha[rows], v[rows] = (part.float() for part in value_and_rate(path, at))
        if noise:
            turned = (alpha[:, 0] > 0) & (torch.rand(n, generator=source) < 0.5)
            v = torch.where(turned[:, None], _up(alpha), v)
        return alpha, v


def _segment(ends: Any, names: Sequence[str]) -> Path:
    if not isinstance(ends, tuple | list) or len(ends) != 2:
        raise ConfigError(f"along must be a list of paths and pairs of points; got {ends!r}.")
    both = [named_points.resolve(end, tuple(names), None, "along") for end in ends]
    return registry.create("path", "segment", Path, both)


def _edges(n: int, names: Sequence[str], source: torch.Generator) -> tuple[Tensor, Tensor]:
    k = len(names)
    i = torch.randint(k, (n, 1), generator=source)
    j = (i + torch.randint(1, k, (n, 1), generator=source)) % k
    t = torch.rand(n, 1, generator=source, dtype=_KIND)
    alpha = torch.zeros(n, k, dtype=_KIND).scatter_(1, i, 1 - t).scatter_(1, j, t)
    return alpha, torch.zeros(n, k, dtype=_KIND).scatter_(1, i, -1.0).scatter_(1, j, 1.0)


def _ends(n: int, names: Sequence[str], source: torch.Generator) -> tuple[Tensor, Tensor]:
    v = _edges(n, names, source)[1]
    return v.clamp_max(0).neg(), v


def _bows(n: int, names: Sequence[str], source: torch.Generator) -> tuple[Tensor, Tensor]:
    k = len(names)
    i = torch.randint(k - 1, (n, 1), generator=source)
    j = 1 + (i + torch.randint(1, k - 1, (n, 1), generator=source)) % (k - 1)
    t, depth = torch.rand(2, n, 1, generator=source, dtype=_KIND)
    # The default path of SDEs has depth 1/2: the coordinate of the noise is sin²(πt) / 2.
    s = depth / 2 * torch.sin(math.pi * t) ** 2
    rate = depth / 2 * math.pi * torch.sin(2 * math.pi * t)
    edge = torch.zeros(n, k, dtype=_KIND).scatter_(1, 1 + i, 1 - t).scatter_(1, j, t)
    along = torch.zeros(n, k, dtype=_KIND).scatter_(1, 1 + i, -1.0).scatter_(1, j, 1.0)
    up = _up(edge)
    on_path = torch.rand(n, 1, generator=source, dtype=_KIND) < 0.5
    return edge + s * up, torch.where(on_path, (1 - s) * along + rate * up, up)


def _up(alpha: Tensor) -> Tensor:
    """The tangents from points to the noise."""
    return torch.cat([1 - alpha[:, :1], -alpha[:, 1:]], 1)


def _faces(n: int, names: Sequence[str], source: torch.Generator) -> tuple[Tensor, Tensor]:
    k = len(names)
    order = torch.rand(n, k, generator=source, dtype=_KIND).argsort(1)
    size = torch.randint(3, k + 1, (n, 1), generator=source)
    alpha = torch.rand(n, k, generator=source, dtype=_KIND).clamp_min(1e-12).log().neg()
    alpha = alpha * (torch.arange(k) < size)
    alpha = torch.zeros(n, k, dtype=_KIND).scatter_(1, order, alpha / alpha.sum(1, keepdim=True))
    v = (
        torch.zeros(n, k, dtype=_KIND)
        .scatter_(1, order[:, :1], -1.0)
        .scatter_(1, order[:, 1:2], 1.0)
    )
    return alpha, v
