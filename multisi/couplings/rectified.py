"""The rectified coupling: rows that a trained model transports."""

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
    r"""Rows of one marginal with their images in all others under the transports of a model.

    $(x_1, \dots, x_K) = (T_{i \to 1}(x_i), \dots, T_{i \to K}(x_i))$, where every marginal in turn
    is the starting marginal $i$. A model that is trained on this coupling has straighter paths,
    which need fewer steps.

    Arguments:
        marginals: The marginals in order.
        model: A model of the same marginals.
        rows: Number of rows that are transported at once.
        reuse: How often a row may be drawn, each time with new points of the simplex.
        pool: Number of such sets of rows that are drawn from together.
        options: Options of the model's `transport`.

    Raises:
        ConfigError: `model` has other marginals, or a size is not an integer or is too small.

    References:
        Liu, Gong, Liu. Flow straight and fast: learning to generate and transfer data with
        rectified flow (2022), arXiv:2209.03003.
        Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows
        and diffusions (2023), arXiv:2303.08797, section 5.3.
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
        noise = getattr(model, "noise", None)
        own = [m.name if isinstance(m, Marginal) else noise for m in marginals]
        if names is None or list(names) != own:
            raise ConfigError(f"The model must have the marginals {own}; got {names}.")
        self.noise_independent = len(self.data) == len(marginals)
        self._model, self._options = model, options
        self._pool = Pool(self._move, rows, reuse, pool, self._numbers())

    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """Draw `n` joint samples, shape `(n, k, *event)`."""
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
            x = torch.randn(
                (rows, *self.data[0].event_shape), generator=source, dtype=torch.float32
            )
        name = self._model.marginals[number % len(self.marginals)]
        options = {"seed": seed, **self._options}
        return [torch.stack(list(self._model.couple(x, name, **options).values()), 1)]
