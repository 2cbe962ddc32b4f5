"""The coupling that a trained model makes."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from multisi.common.seeds import generator
from multisi.couplings.base import Coupling
from multisi.couplings.plan_pool import Columns, Pool
from multisi.data.marginals import AnyMarginal, Marginal
from multisi.errors import ConfigError


class Rectified(Coupling):
    r"""Rows of one marginal with their counterparts in all others, by a model's own transports.

    $(x_1, \dots, x_K) = (T_{i \to 1}(x_i), \dots, T_{i \to K}(x_i))$ with the starting marginal
    $i$ in turn. A model that is trained on this coupling has straighter paths, which need fewer
    steps.

    Arguments:
        marginals: The marginals in order.
        model: A model of the same marginals.
        rows: Rows that are moved at once.
        reuse: How often they may be drawn, each time with fresh points of the simplex.
        pool: Lots of rows that are drawn from together.
        options: Options of the model's `transport`.

    Raises:
        ConfigError: a model of other marginals.

    References:
        Flow straight and fast, arXiv:2209.03003; arXiv:2303.08797, section 5.3.
    """

    def __init__(
        self,
        marginals: Sequence[AnyMarginal],
        model: Any,
        rows: int = 1024,
        reuse: int = 64,
        pool: int = 8,
        **options: Any,
    ) -> None:
        self.marginals = marginals
        self.data = [m for m in marginals if isinstance(m, Marginal)]
        names = getattr(model, "marginals", None)
        own = [m.name if isinstance(m, Marginal) else model.noise for m in marginals if names]
        if names is None or list(names) != own:
            raise ConfigError(f"The model must have the marginals {own}; got {names}.")
        self.noise_independent = len(self.data) == len(marginals)
        self._model, self._options = model, options
        self._pool = Pool(self._move, rows, reuse, pool, self._numbers())

    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """`n` rows, shape `(n, k, *event)`."""
        return self._pool.draw(n, seed, step)[0]

    def _numbers(self) -> int:
        return len(self.marginals) * math.prod(self.data[0].event_shape)

    def _move(self, seed: int, number: int) -> Columns:
        source = generator(seed, number, 2)
        rows = self._pool.rows
        start = self.marginals[number % len(self.marginals)]
        if isinstance(start, Marginal):
            x = start.take(start.draw(rows, source))
        else:
            x = torch.randn((rows, *self.data[0].event_shape), generator=source)
        name = self._model.marginals[number % len(self.marginals)]
        options = {"seed": seed, **self._options}
        return [torch.stack(list(self._model.couple(x, name, **options).values()), 1)]
