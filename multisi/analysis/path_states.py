"""Samples of the true law along a path, drawn without integration."""

import copy
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi import simplex
from multisi.analysis.held_out import aligned
from multisi.common import seeds
from multisi.data.marginals import Marginal
from multisi.dynamics import Dynamics
from multisi.errors import DataError, ShapeError
from multisi.field.field import Field

_GAUSS = tuple(torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(16))


class PathStates:
    """Standardised joint samples of independent marginals, interpolated at points of a path.

    Arguments:
        field: The field, for its marginals and its standardiser.
        samples: Name to samples of the data marginals on the path, each of shape `(n, *event)`;
            weights and a condition of a `Marginal` count.
        flow: Dynamics along the path.
        count: Number of states at each point.
        seed: Seed of the draws.

    Raises:
        DataError: samples of a marginal on the path are missing or not finite, or the model takes
            a condition and no samples have one.
        ShapeError: samples have different event shapes.
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
        self._marginals = _prepared(field, samples)
        self._columns: dict[int, Tensor] = {}
        for k in support:
            marginal = self._marginals[k]
            rows = field.given(marginal.look(torch.arange(len(marginal))), marginal.name).rows
            corner = simplex.corner(k, len(field.marginals))
            self._columns[k] = field.standardise(rows, corner)
        shapes = {field.marginals[k]: tuple(x.shape[1:]) for k, x in self._columns.items()}
        if len(set(shapes.values())) > 1:
            raise ShapeError(f"All samples must have one event shape; got the shapes {shapes}.")
        self._event, self._like = next(iter(shapes.values())), like
        self._count, self._conditions = count, field.conditions
        if self._conditions and all(m.condition is None for m in self._marginals.values()):
            raise DataError(
                "The model takes a condition, and no samples have one. Give those of one marginal "
                "as Marginal(samples, condition=...)."
            )

    def __call__(self, alpha: Tensor) -> tuple[Tensor, Tensor | None]:
        """States at a point of the simplex, shape `(count, *event)`, and their conditions."""
        shape = (self._count, *self._event)
        z = torch.randn(shape, generator=self._random, dtype=torch.float64)
        y = alpha[0].item() * z.to(self._like)
        drawn = {}
        for k, rows in self._columns.items():
            drawn[k] = index = self._marginals[k].draw(self._count, self._random)
            y = y + alpha[k].item() * rows[index.to(rows.device)]
        return y, self._condition(drawn)

    def _condition(self, drawn: Mapping[int, Tensor]) -> Tensor | None:
        """Standardised conditions of the drawn rows, or drawn where a marginal has them."""
        for k, marginal in self._marginals.items():
            if self._conditions is not None and marginal.condition is not None:
                rows = drawn.get(k)
                rows = marginal.draw(self._count, self._random) if rows is None else rows
                return self._conditions.standardise(marginal.condition[rows]).to(self._like)
        return None


def _prepared(field: Field, samples: Mapping[str, Any]) -> dict[int, Marginal]:
    """Index to samples as a marginal, with the columns in the order of the field."""
    found, told = {}, None if field.conditions is None else field.conditions.features
    for k, name in enumerate(field.marginals):
        if name in samples and k > 0:
            try:
                given = samples[name]
                given = copy.copy(given) if isinstance(given, Marginal) else Marginal(given)
            except (DataError, ShapeError) as error:
                raise type(error)(f"Samples of {name!r}: {error}") from error
            given.name = name
            found[k] = aligned(given, field.features, told)
    return found


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
