"""A map whose error at one point of the simplex is mended by another map."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from multisi.fairness.maps import Affine, GroupMap, Quantile

Array = Any


class Refined(GroupMap):
    r"""A map $T$ and a map $R$ of what it leaves at a hub $h$.

    From $p$ to $q$ it is $T_{h \to q} R_{p \to q} T_{p \to h}$. $R$ is made of the groups as
    $T$ moves them to the hub, and moves them to their barycentre there. From a corner to the hub,
    this is $T$ and then $R$; all maps through the hub agree when they are composed, as those of
    $T$ and $R$ do.

    Arguments:
        first: The map $T$.
        rest: The map $R$.
        hub: The point $h$, shape `(k,)`.
    """

    def __init__(self, first: GroupMap, rest: GroupMap, hub: Array) -> None:
        self.first, self.rest, self.hub = first, rest, np.asarray(hub, float)
        self.iterations = first.iterations

    @classmethod
    def of(cls, first: GroupMap, rows: Sequence[Array], hub: Array) -> "Refined":
        """A map, its moments at the hub mended, and then its columns.

        Arguments:
            first: The map.
            rows: The rows of each group.
            hub: The point.
        """
        corners = np.eye(len(rows))
        rows = [first.move(x, corner, hub) for x, corner in zip(rows, corners, strict=True)]
        moments = Affine.of(rows)
        rows = [moments.move(x, corner, hub) for x, corner in zip(rows, corners, strict=True)]
        return cls(first, cls(moments, Quantile.of(rows), hub), hub)

    def move(self, x: Array, source: Array, target: Array) -> Array:
        """Rows at a point, moved to another one."""
        there = self.rest.move(self.first.move(x, source, self.hub), source, target)
        return self.first.move(there, self.hub, target)

    def tensors(self) -> dict[str, Array]:
        """The arrays of both maps, and the hub."""
        parts = {"first": self.first.tensors(), "rest": self.rest.tensors()}
        named = {f"{part}.{name}": a for part, own in parts.items() for name, a in own.items()}
        return {"hub": self.hub, **named}
