"""The rectified coupling: rows that a trained model transports."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.features import places
from multisi.common.seeds import generator
from multisi.couplings.base import Coupling
from multisi.couplings.plan_pool import Columns, Pool
from multisi.data.marginals import AnyMarginal, Marginal
from multisi.errors import ConfigError


class Rectified(Coupling):
    r"""Rows of each marginal with their images in all others under the transports of a model.

    $(x_1, \dots, x_K) = (T_{i \to 1}(x_i), \dots, T_{i \to K}(x_i))$, where the hub $i$ is drawn
    for each row among the marginals with a weight at its point of the simplex: on an edge, from
    its two ends. Maps between marginals do not agree when they are composed, and images of a
    third marginal would be joined in another way than the ends themselves; this way the pairs of
    an edge are those of the model, and each end is data in half of them. A model that is trained
    on this coupling has straighter paths, which need fewer steps. Columns are aligned with the
    model by name. A model with a condition moves each row with its own, or with one drawn from
    the marginal that has conditions.

    Arguments:
        marginals: The marginals in order.
        model: A model of the same marginals.
        rows: Number of rows of each marginal that are transported at once.
        reuse: How often a row may be drawn on average, each time with new points of the simplex.
        pool: Number of such sets of rows that are drawn from together.
        options: Options of the model's `transport`.

    Raises:
        ConfigError: `model` has other marginals, or takes a condition where no marginal has one
            or the other way round; or a size is not an integer or is too small.
        DataError: `model` has other features.

    References:
        Liu, Gong, Liu. Flow straight and fast: learning to generate and transfer data with
        rectified flow (2022), arXiv:2209.03003.
        Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows
        and diffusions (2023), arXiv:2303.08797, section 5.3.
    """

    ends = 0.2

    def __init__(
        self,
        marginals: Sequence[AnyMarginal],
        model: Any,
        rows: int = 1024,
        reuse: int = 64,
        pool: int = 16,
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
        self._conditional = next((m for m in self.data if m.condition is not None), None)
        told, places_of = getattr(model, "conditions", None), self._places
        if (told is None) != (self._conditional is None):
            raise ConfigError(
                "The model and one of the marginals must have a condition, or neither; got "
                f"{'none' if told is None else 'one'} in the model."
            )
        features = getattr(model, "features", None)
        self._columns = places_of(self.data[0].features, features, "samples")
        names = None if self._conditional is None else self._conditional.condition_features
        self._told = places_of(names, told and told.features, "condition")
        self._model, self._options, k = model, options, len(marginals)
        # One of k tuples of a draw is used.
        uses, numbers = k * checks.integer(reuse, "reuse"), k * k * self._numbers()
        self._pool = Pool(self._move, rows, uses, pool, numbers)

    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """Draw `n` joint samples from any hub, shape `(n, k, *event)`."""
        return self._from_hubs(self._any(n), seed, step)[0]

    def condition(self, n: int, *, seed: int, step: int) -> Tensor | None:
        """The conditions of the rows of the same draw, shape `(n, c)`; `None` without any."""
        return self._from_hubs(self._any(n), seed, step)[1]

    def sample_at(self, alpha: Tensor, *, seed: int, step: int) -> tuple[Tensor, Tensor | None]:
        """Joint samples from hubs that have a weight, and their conditions."""
        return self._from_hubs(alpha > 0, seed, step)

    def _any(self, n: int) -> Tensor:
        return torch.ones(n, len(self.marginals), dtype=torch.bool)

    def _from_hubs(self, allowed: Tensor, seed: int, step: int) -> tuple[Tensor, Tensor | None]:
        """Joint samples from one of the allowed hubs of each row, and their conditions."""
        source, rows = generator(seed, step, 5), torch.arange(len(allowed))
        hub = torch.multinomial(allowed.float(), 1, generator=source)[:, 0]
        xs, *told = (part[rows, hub] for part in self._pool.draw(len(allowed), seed, step))
        return xs, told[0] if told else None

    @staticmethod
    def _places(own: Any, model: Any, what: str) -> Tensor | None:
        """The places of the model's features among those of the marginals, if both have names."""
        return None if own is None or model is None else torch.tensor(places(own, model, what))

    def _numbers(self) -> int:
        return len(self.marginals) * math.prod(self.data[0].event_shape)

    def _move(self, seed: int, number: int) -> Columns:
        """The images of rows of every hub, shape `(rows, hubs, k, *event)`, and conditions."""
        source = generator(seed, number, 2)
        moved = [self._moved(hub, seed, source) for hub in range(len(self.marginals))]
        xs, conditions = zip(*moved, strict=True)
        told = [c for c in conditions if c is not None]
        return [torch.stack(xs, 1)] + ([torch.stack(told, 1)] if told else [])

    def _moved(self, hub: int, seed: int, source: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Rows of one marginal with their images in all, and their conditions."""
        rows, start, chosen = self._pool.rows, self.marginals[hub], None
        if isinstance(start, Marginal):
            chosen = start.draw(rows, source)
            x = start.take(chosen)
        else:
            shape = (rows, *self.data[0].event_shape)
            x = torch.randn(shape, generator=source, dtype=torch.float32)
        options, condition = {"seed": seed, **self._options}, None
        if self._conditional is not None and self._conditional.condition is not None:
            drawn = chosen if start is self._conditional else None
            drawn = self._conditional.draw(rows, source) if drawn is None else drawn
            condition = self._conditional.condition[drawn]
            options["condition"] = condition if self._told is None else condition[:, self._told]
        if self._columns is not None:
            x = x[:, self._columns]
        moved = self._model.couple(x, self._model.marginals[hub], **options)
        xs = torch.stack(list(moved.values()), 1)
        if self._columns is not None:
            xs = xs[..., self._columns.argsort()]
        return xs, condition
