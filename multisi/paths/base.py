"""The path: a curve on the simplex."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Path(ABC):
    r"""A curve $\alpha(t)$ on the simplex, $t \in [0, 1]$, smooth between its `knots`.

    Examples:
        >>> import torch
        >>> class Slow(Path):
        ...     def __call__(self, t):
        ...         share = torch.sin(torch.pi / 2 * t) ** 2
        ...         return torch.stack([1 - share, share], -1)
        >>> Slow()(torch.tensor([0.0, 0.5]))
        tensor([[1.0000, 0.0000],
                [0.5000, 0.5000]])
    """

    needs_noise: bool = False
    """Whether marginal 0 must be the standard-normal marginal."""

    knots: tuple[float, ...] = (0.0, 1.0)
    """Times where the curve may have a kink; time grids always contain them."""

    @abstractmethod
    def __call__(self, t: Tensor) -> Tensor:
        """The points at times `t`.

        Arguments:
            t: Times in [0, 1], shape `(...)`.

        Returns:
            Points of the simplex, shape `(..., k)`, or `(..., b, k)` for a path that differs from
            row to row of a batch.
        """

    def __repr__(self) -> str:
        return f"{type(self).__name__}(knots={self.knots})"
