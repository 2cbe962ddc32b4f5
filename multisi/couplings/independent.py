"""The independent coupling."""

from collections.abc import Sequence

import torch
from torch import Tensor

from multisi.couplings.base import Coupling
from multisi.marginals import AnyMarginal, Marginal
from multisi.seeds import generator


class Independent(Coupling):
    r"""Every marginal is drawn on its own.

    $\rho(x_1, \dots, x_K) = \prod_k \rho_k(x_k)$.

    Rows are drawn with replacement, by weight where a marginal has weights.

    Arguments:
        marginals: The marginals in order.

    Example:
        >>> from multisi import Marginal, StandardNormal
        >>> coupling = Independent([StandardNormal(), Marginal(torch.rand(9, 2))])
        >>> coupling.sample(4, seed=0, step=0).shape
        torch.Size([4, 2, 2])
    """

    def __init__(self, marginals: Sequence[AnyMarginal]) -> None:
        self.marginals = marginals
        self.data = [m for m in marginals if isinstance(m, Marginal)]

    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """`n` rows, shape `(n, k, *event)`."""
        source = generator(seed, step)
        rows = iter(self._rows(n, source))
        event = self.data[0].event_shape
        columns = [
            marginal.samples[next(rows)]
            if isinstance(marginal, Marginal)
            else torch.randn((n, *event), generator=source)
            for marginal in self.marginals
        ]
        return torch.stack(columns, 1)

    def condition(self, n: int, *, seed: int, step: int) -> Tensor | None:
        """The conditions of the rows of that draw, if a dataset has any, shape `(n, c)`."""
        if all(marginal.condition is None for marginal in self.data):
            return None
        rows = self._rows(n, generator(seed, step))
        return next(
            m.condition[i] for m, i in zip(self.data, rows, strict=True) if m.condition is not None
        )

    def _rows(self, n: int, source: torch.Generator) -> list[Tensor]:
        """Indices of the rows to take from each dataset."""
        return [draw_rows(marginal, n, source) for marginal in self.data]


def draw_rows(marginal: Marginal, n: int, source: torch.Generator) -> Tensor:
    """Indices of `n` rows drawn with replacement, by weight where there are weights."""
    if marginal.weights is None:
        return torch.randint(len(marginal), (n,), generator=source)
    total = marginal.weights.cumsum(0)
    point = torch.rand(n, generator=source, dtype=total.dtype) * total[-1]
    return torch.searchsorted(total, point, right=True).clamp_max(len(marginal) - 1)
