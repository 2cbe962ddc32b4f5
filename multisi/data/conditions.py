"""The conditions of a model: their units, their names, and the form that networks take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from multisi.common import frames
from multisi.common.arrays import Given
from multisi.common.features import places
from multisi.data.marginals import AnyMarginal, Marginal
from multisi.data.standardiser import Standardiser
from multisi.errors import DataError, ShapeError


@dataclass(frozen=True)
class Conditions:
    """The units and the names of the features of a condition, which is standardised like data.

    Arguments:
        standardiser: The map between the units of the user and standardised units.
        features: Names of the features, in order; `None` if they have none.
    """

    standardiser: Standardiser
    features: tuple[str, ...] | None = None

    @classmethod
    def of(cls, marginals: Sequence[AnyMarginal]) -> "Conditions | None":
        """Those of the marginal that has a condition; `None` without any.

        Raises:
            DataError: a feature of the condition is too large or too small.
        """
        for m in marginals:
            if isinstance(m, Marginal) and m.condition is not None:
                rows = Marginal(m.condition, weights=m.weights)
                try:
                    return cls(Standardiser.of([rows], "features"), m.condition_features)
                except DataError as error:
                    raise DataError(f"The condition of {m.name!r}: {error}") from None
        return None

    @property
    def size(self) -> int:
        """Number of features."""
        return self.standardiser.shift.numel()

    def standardise(self, rows: Tensor) -> Tensor:
        """Conditions in standardised units, float64, shape `(n, c)`.

        A feature that had one value in training has it here too: the network knows no other.
        """
        found = (rows.double() - self.standardiser.shift) / self.standardiser.scale
        constants = self.standardiser.constants
        return found if constants is None else torch.where(constants.mask, constants.level, found)

    def given(self, value: Any, rows: int, like: Tensor) -> Tensor:
        """A condition of the user in standardised units, with the type and device of `like`.

        Arguments:
            value: One vector for each row, shape `(rows, c)`, or one for all, shape `(c,)`, which
                may also be a dict or a Series of names to numbers.
            rows: Number of rows.
            like: A tensor with the type and the device of the network.

        Raises:
            ShapeError: `value` has another shape.
            DataError: `value` is not an array of finite real numbers, or has other columns.
        """
        value = self._in_order(frames.plain(value))
        found = Given.of(value, self.features, "condition").rows.cpu()
        if found.ndim == 1:
            found = found[None]
        if found.ndim != 2 or found.shape[1] != self.size or len(found) not in (1, rows):
            raise ShapeError(
                f"condition must be one vector of {self.size} features, shape ({self.size},), or "
                f"one for each row, shape ({rows}, {self.size}); got "
                f"{tuple(Given.of(value, what='condition').rows.shape)}."
            )
        return self.standardise(found).to(like).expand(rows, -1)

    def _in_order(self, value: Any) -> Any:
        """A dict of names to numbers as a list in the order of the features; others unchanged."""
        if not isinstance(value, Mapping):
            return value
        numbers = list(value.values())
        if self.features is None:
            return numbers
        return [numbers[i] for i in places([*map(str, value)], self.features, "condition")]
