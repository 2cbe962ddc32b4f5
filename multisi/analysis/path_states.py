"""Samples of the true law along a path, drawn without integration."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi import simplex
from multisi.common import seeds
from multisi.dynamics import Dynamics
from multisi.errors import DataError
from multisi.field.field import Field

_GAUSS = tuple(torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(16))


class PathStates:
    """Standardised joint samples of independent marginals, interpolated at points of a path.

    Arguments:
        field: The field, for its marginals and its standardiser.
        samples: Name to samples of the data marginals on the path, each of shape `(n, *event)`.
        flow: Dynamics along the path.
        count: Number of states at each point.
        seed: Seed of the draws.

    Raises:
        DataError: samples of a marginal on the path are missing or not finite.
    """

    def __init__(
        self,
        field: Field,
        samples: Mapping[str, Any],
        flow: Dynamics,
        count: int,
        seed: int,
    ) -> None:
        self._random = seeds.generator(seeds.check(seed))
        like = field.conditional_means.reference
        support = [k for k in flow.support if k > 0]
        if missing := [field.marginals[k] for k in support if field.marginals[k] not in samples]:
            raise DataError(
                f"Samples are needed of {', '.join(missing)}, which the path passes; got "
                f"samples of {', '.join(samples) or 'none'}."
            )
        self._columns: dict[int, Tensor] = {}
        for k in support:
            rows = field.given(samples[field.marginals[k]], field.marginals[k]).rows
            corner = simplex.corner(k, len(field.marginals))
            self._columns[k] = field.standardise(rows, corner)
        self._event, self._like = next(iter(self._columns.values())).shape[1:], like
        self._count = count

    def __call__(self, alpha: Tensor) -> Tensor:
        """States at a point of the simplex, shape `(count, *event)`."""
        shape = (self._count, *self._event)
        z = torch.randn(shape, generator=self._random, dtype=torch.float64)
        y = alpha[0].item() * z.to(self._like)
        for k, rows in self._columns.items():
            index = torch.randint(len(rows), (self._count,), generator=self._random)
            y = y + alpha[k].item() * rows[index.to(rows.device)]
        return y


def nodes(flow: Dynamics) -> list[tuple[Tensor, float]]:
    """Times and quadrature weights of the Gauss-Legendre rule on every leg."""
    places, shares = _GAUSS
    knots = torch.tensor(flow.knots, dtype=torch.float64)
    found = []
    for start, stop in itertools.pairwise(knots):
        times = torch.lerp(start, stop, (places + 1) / 2)
        weights = (stop - start) * shares / 2
        found += list(zip(times, weights.tolist(), strict=True))
    return found
