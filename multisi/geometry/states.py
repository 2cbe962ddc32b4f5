"""States at points of the simplex, from which moments of the field are estimated."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from multisi.analysis.held_out import aligned
from multisi.common import checks, devices, seeds
from multisi.data.marginals import Marginal
from multisi.errors import ConfigError, DataError
from multisi.field.field import Field
from multisi.field.gaussian_mixture import GaussianMixtureMeans
from multisi.sampling.transport import Transport

_STEPS = 16


class States(Protocol):
    """Where states come from: `count` of them with the law at each point that is asked for."""

    def __call__(self, alpha: Tensor) -> tuple[Tensor, Tensor | None]:
        """States at a point `(k,)`, shape `(count, *event)`, and their conditions."""


class Joint:
    """Mixtures of joint draws in standardised units: nothing is integrated.

    Arguments:
        xs: Joint draws, shape `(count, k, *event)`.
        condition: The conditions of the rows, shape `(count, c)`; `None` without any.
    """

    def __init__(self, xs: Tensor, condition: Tensor | None = None) -> None:
        self.xs, self.condition = xs, condition

    def __call__(self, alpha: Tensor) -> tuple[Tensor, Tensor | None]:
        """The mixtures at a point."""
        return torch.einsum("k,bk...->b...", alpha.to(self.xs), self.xs), self.condition


class Moved:
    """Samples of one marginal, which the flow has moved straight to the point.

    Arguments:
        field: The field.
        rows: Rows of the marginal in standardised units, shape `(count, *event)`.
        corner: Where they are on the simplex, shape `(k,)`.
        condition: The conditions of the rows, shape `(count, c)`; `None` without any.
    """

    def __init__(
        self, field: Field, rows: Tensor, corner: Tensor, condition: Tensor | None = None
    ) -> None:
        self.rows, self.corner, self.condition = rows, corner, condition
        self._move = Transport.of(field.conditional_means, steps=_STEPS, condition=condition)

    def __call__(self, alpha: Tensor) -> tuple[Tensor, Tensor | None]:
        """The rows at a point."""
        point = alpha.detach().to(self.corner)
        if torch.equal(point, self.corner):
            return self.rows, self.condition
        with torch.no_grad():
            route, random = [self.corner, point], torch.Generator()
            return self._move.run(self.rows, route, random)[0], self.condition


def states(
    field: Field, support: list[int], samples: Mapping[str, Any] | None, count: int, seed: int
) -> States:
    """The best source of states that there is, for points on one face.

    Joint draws of the coupling that the model was fitted with, or of independent mixtures whose
    means are exact; else `samples` of one of the marginals, which the flow moves; else noise,
    which it moves.

    Arguments:
        field: The field.
        support: Indices of the marginals that have a weight at some point.
        samples: Name to samples in data units, as for `Model.evaluate`; `None` without any.
        count: Number of states at a point.
        seed: Seed of the draws.

    Raises:
        ConfigError: the states do not fit in the memory of this machine, or `samples` are none.
        DataError: there is none of these.
        ShapeError: samples have the wrong shape.
    """
    source = seeds.generator(seeds.check(seed), 0, 5)
    samples = samples if samples is None else checks.options(samples, "samples")
    _check_memory(field, count)
    if samples is None and field.draws is not None:
        alpha = torch.zeros(len(field.marginals), dtype=torch.float64)
        alpha[support] = 1 / len(support)
        return Joint(*field.draws(alpha, count, seed))
    if samples is None and isinstance(field.conditional_means, GaussianMixtureMeans):
        return Joint(field.conditional_means.sample(count, source))
    if samples is not None:
        return _given(field, support, samples, count, source)
    if field.noise is None or field.event_shape is None:
        raise DataError(
            "The model was read from a file, which has no data, and it has no noise marginal to "
            "draw from. Give samples of the source: samples={name: rows}."
        )
    z = torch.randn((count, *field.event_shape), generator=source, dtype=torch.float64)
    corner = torch.eye(len(field.marginals), dtype=torch.float64)[0]
    return Moved(field, z.to(field.conditional_means.reference), corner)


def _check_memory(field: Field, count: int) -> None:
    """Refuse more states than the machine can hold, before anything is made for them."""
    needed = 16 * count * len(field.marginals) * math.prod(field.event_shape or (1,))
    memory = devices.memory()
    if memory is not None and needed > memory:
        raise ConfigError(
            f"count={count:,} states need {needed / 2**30:,.1f} GiB; this machine has "
            f"{memory / 2**30:,.1f} GiB. Use fewer."
        )


def _given(
    field: Field, support: list[int], samples: Mapping[str, Any], count: int, source: Any
) -> Moved:
    """Rows of the first marginal of a face of which there are samples."""
    known = [k for k in support if field.marginals[k] in samples]
    if not known:
        names = [field.marginals[k] for k in support]
        raise DataError(f"Samples of one of {names} are needed; got {list(samples) or 'none'}.")
    name = field.marginals[known[0]]
    given = samples[name] if isinstance(samples[name], Marginal) else Marginal(samples[name])
    told = None if field.conditions is None else field.conditions.features
    marginal = aligned(given, field.features, told)
    chosen = marginal.draw(count, source)
    corner = torch.eye(len(field.marginals), dtype=torch.float64)[known[0]]
    rows = field.standardise(field.given(marginal.take(chosen), name).rows, corner)
    condition = None if marginal.condition is None else marginal.condition[chosen]
    if condition is not None and field.conditions is not None:
        condition = field.conditions.standardise(condition).to(rows)
    return Moved(field, rows, corner, condition)
