"""Estimates from samples."""

import math
from dataclasses import dataclass

from torch import Tensor

from multisi.errors import DataError


@dataclass(frozen=True)
class Estimate:
    """A mean over samples, and its standard error; `float()` gives the value.

    Arguments:
        value: The mean.
        standard_error: Its standard error; NaN for a single sample.

    Examples:
        >>> float(Estimate(2.0, 0.1))
        2.0
    """

    value: float
    standard_error: float

    def __float__(self) -> float:
        return self.value

    @classmethod
    def of(cls, values: Tensor) -> "Estimate":
        """Mean and standard error of independent values, shape `(n,)`.

        Raises:
            DataError: `values` is empty.
        """
        if not len(values):
            raise DataError("An estimate needs at least 1 row; got 0. Pass more samples.")
        values = values.cpu().double()
        spread = values.std().item() / math.sqrt(len(values)) if len(values) > 1 else math.nan
        return cls(values.mean().item(), spread)
