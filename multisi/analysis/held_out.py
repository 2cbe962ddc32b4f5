"""The held-out rows of an evaluation, with what they carry, and the units of its figures."""

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multisi.common import checks, seeds
from multisi.common.features import places
from multisi.common.shapes import flat
from multisi.data.marginals import Marginal
from multisi.data.standardiser import Standardiser
from multisi.errors import ConfigError, DataError

_LAST_PLACES = 8
"""Units of the last place that are rounding."""


@dataclass(frozen=True)
class Rows:
    """Rows of one marginal: samples in data units, shape `(n, *event)`, and what they carry."""

    samples: Tensor
    labels: Tensor | None
    condition: Tensor | None


class HeldOut:
    """Held-out rows, chosen by their weights, and the moves and units of an evaluation.

    Arguments:
        data: Name to marginal, two or more.
        samples: Largest number of rows per marginal.
        seed: Seed of the choice, of drawn conditions and of the transport's noise.
        units: `"standardised"` or `"data"`.
        features: Names of the model's features, in order; `None` if it has none.
        condition_features: Names of the features of its condition, in order.

    Raises:
        ConfigError: `samples`, `seed` or `units` is invalid.
        DataError: there are fewer than two marginals or four rows, or other features.
    """

    def __init__(
        self,
        data: Mapping[str, Marginal],
        *,
        samples: int,
        seed: int = 0,
        units: str = "standardised",
        features: Sequence[str] | None = None,
        condition_features: Sequence[str] | None = None,
    ) -> None:
        self.units = checked_units(units)
        if len(data) < 2:
            raise DataError(
                f"held_out must have at least 2 data marginals; got {', '.join(data)}."
            )
        self.seed = seeds.check(seed)
        samples = checks.integer(samples, "samples", least=4)
        data = {name: aligned(m, features, condition_features) for name, m in data.items()}
        named = next(iter(data.values())).features if features is None else features
        self.features = None if named is None else tuple(named)
        self.rows = {
            name: self._chosen(name, marginal, samples, place)
            for place, (name, marginal) in enumerate(data.items())
        }
        self._conditional = next((m for m in data.values() if m.condition is not None), None)
        found = Standardiser.of(list(data.values()))
        self.shift, self.scale = found.shift.cpu().double(), found.scale.cpu().double()

    def _chosen(self, name: str, marginal: Marginal, samples: int, place: int) -> Rows:
        rows = marginal.choose_rows(samples, seeds.generator(self.seed, place))
        if len(rows) < 4:
            worth = "" if marginal.weights is None else ", which is what their weights are worth"
            raise DataError(
                f"Marginal {name!r} must have at least 4 rows; got {len(rows)}{worth}."
            )
        labels, condition = (
            None if carried is None else carried[rows]
            for carried in (marginal.labels, marginal.condition)
        )
        return Rows(marginal.look(rows), labels, condition)

    def move(
        self,
        transport: Callable[..., Any],
        x: Tensor,
        source: str,
        target: str,
        condition: Tensor | None,
        options: Mapping[str, Any],
    ) -> Tensor:
        """Rows at the target; a `condition` in `options` comes before that of the rows.

        Arguments:
            transport: The method `transport` of the model.
            x: Rows, shape `(b, *event)`.
            source: Name of their marginal.
            target: Name of the marginal to which they move.
            condition: Their conditions, shape `(b, c)`; `None` without.
            options: Options of `transport`.
        """
        given = {"seed": self.seed, **options}
        if given.get("condition") is None and condition is not None:
            given["condition"] = condition
        moved: Tensor = transport(x, source, target, **given)
        return moved

    def condition(self, source: str) -> Tensor | None:
        """A condition for each row of a marginal: its own, or one drawn from where there are any.

        Arguments:
            source: Name of the marginal.
        """
        rows = self.rows[source]
        if rows.condition is not None or self._conditional is None:
            return rows.condition
        random = seeds.generator(self.seed, len(self.rows), list(self.rows).index(source))
        drawn = self._conditional.draw(len(rows.samples), random)
        condition = self._conditional.condition
        return None if condition is None else condition[drawn]

    def measured(self, x: Tensor) -> Tensor:
        """Samples as vectors in the units of the figures, float64 on the CPU, shape `(b, d)`.

        Arguments:
            x: Samples in data units, shape `(b, *event)`.
        """
        rows = x.detach().cpu().double()
        return flat(rows if self.units == "data" else (rows - self.shift) / self.scale)

    @property
    def unit(self) -> Tensor:
        """The size in data units of the unit of the figures, shape `(*event)` or less."""
        return torch.ones_like(self.scale) if self.units == "data" else self.scale

    @functools.cached_property
    def rounding(self) -> Tensor:
        """The error of each feature that rounding can cause, in these units, shape `(d,)`.

        The samples have the type of the data, the means of a model are in float32 at worst.
        """
        samples = torch.cat([rows.samples.detach().cpu().double() for rows in self.rows.values()])
        precision = max(torch.finfo(rows.samples.dtype).eps for rows in self.rows.values())
        largest, within = samples.abs().amax(0), (samples - self.shift).abs().amax(0) + self.scale
        error = _LAST_PLACES * (largest * precision + within * torch.finfo(torch.float32).eps)
        return (error / self.unit).flatten()

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(next(iter(self.rows.values())).samples.shape[1:])


def checked_units(units: Any) -> str:
    """The units of figures.

    Raises:
        ConfigError: `units` is neither `"standardised"` nor `"data"`.
    """
    if units not in ("standardised", "data"):
        raise ConfigError(f"units must be 'standardised' or 'data'; got {units!r}.")
    return str(units)


def aligned(
    marginal: Marginal, features: Sequence[str] | None, condition_features: Sequence[str] | None
) -> Marginal:
    """A marginal with the columns of its samples and of its condition in the model's order.

    Raises:
        DataError: it has other columns.
    """
    if features is not None and marginal.features is not None:
        marginal = marginal.aligned(features)
    own = marginal.condition_features
    if marginal.condition is not None and own is not None and condition_features is not None:
        marginal = copy.copy(marginal)
        order = places(own, condition_features, "condition")
        marginal.condition = torch.as_tensor(marginal.condition)[:, order]
    return marginal
