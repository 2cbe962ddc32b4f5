"""Couplings by optimal transport between minibatches of all marginals."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.seeds import generator
from multisi.common.shapes import flat
from multisi.couplings.label_rows import LabelRows
from multisi.couplings.matching import Matching, Side, embedded, labels_of
from multisi.couplings.plan_pool import Columns, Pool
from multisi.couplings.rows import Joint, RowCoupling
from multisi.data.conditions import Conditions
from multisi.data.marginals import AnyMarginal, Marginal
from multisi.data.sources import Stream
from multisi.data.standardiser import Standardiser
from multisi.errors import ConfigError, DataError

PLANS: dict[str, Callable[[list[Tensor]], Tensor]] = {
    "barycentric": lambda matched: torch.stack(matched).mean(0),
    "star": lambda matched: matched[0],
    "chain": lambda matched: matched[-1],
}
"""The reference that the next marginal is matched with, given the marginals matched so far."""
_PAIRS = "pairs"
_ROWS, _WHOLE = 256, 1024
"""Rows of a plan; and most rows of datasets that are matched as a whole."""
_LABELLED, _NUMBERS = 4096, 2**24
"""Most rows of a plan within labels, and most numbers that they hold."""
_MANY = 8
"""Most datasets for which every pair has a plan by default: with more, plans cost too much."""


class OptimalTransport(RowCoupling):
    r"""Rows of all marginals are matched at least transport cost, one minibatch at a time.

    The marginals are matched one after the other. The rows of the next are permuted to minimise
    $\sum_i |x_k^{\sigma(i)} - r^i|^2$ in standardised units, where the reference $r$ is the mean
    of the marginals matched so far, or the first of them (`"star"`), or the last (`"chain"`).
    With `sweeps`, each marginal is then matched again with the mean of all others.

    Of three marginals or more, no joint plan is the best of every pair. With `"pairs"` each pair
    has its own plan, for points where only these two have a weight, and the plan by means is for
    points inside: maps between marginals are closer to optimal ones, but no longer agree when
    they are composed.

    Plans are solved in the background and kept in a pool; each row of a plan is drawn at most
    `reuse` times, each time with new points of the simplex. A draw is still a function of
    `(seed, step)` alone.

    Arguments:
        marginals: The marginals in order.
        plan: The reference of each match, `"barycentric"`, `"star"` or `"chain"`, or `"pairs"` for
            a plan of each pair as well; `None` for `"pairs"`, or `"barycentric"` where there are
            more than eight datasets.
        sweeps: How often to match each marginal again with the mean of the others.
        entropy: 0 for exact plans; otherwise the regularisation, in units of the mean cost, of
            entropic plans from which rows are sampled.
        epsilon: The regularisation by that of a Schrödinger bridge instead, in squared data
            units: plans of $|x - y|^2 / 2$ at $2\varepsilon$, in data units; 0 without.
        rows: Number of rows of a plan; `None` for 256, or where no dataset has more than 1,024
            rows for the most that one has, so that plans are those of the whole datasets; within
            labels, which are matched one by one, for up to 4,096: half of 256 for each label.
        reuse: How often a row of a plan may be drawn, on average in each of its pairs.
        pool: Number of plans from which rows are drawn together.
        labels: Whether to match within labels. Rows are then drawn as by the coupling
            `class-aware`, with the same labels as often as the marginals allow.
        condition: Weight of the distance between conditions relative to that between states, both
            scaled to mean one. Marginals without conditions get those of another at random, and
            stay independent of them.
        noise: Whether to match the noise as well. The flow is then straighter, but there is no
            score, and no SDE.
        units: What is standardised together, as for `fit`, whose units are the default.
        embed: A function of rows in data units, `(n, *event)`, that gives the vectors whose
            distances are compared, `(n, ...)`, such as `multisi.style.shapes`; `None` for the rows
            in standardised units.

    Raises:
        ConfigError: `plan` or `units` is unknown, a number is outside its range, `embed` is no
            function, or noise is to be matched in another space.
        DataError: `labels` is set and a dataset has no labels, or a dataset is a stream; or when
            rows are drawn, `embed` does not return finite numbers.
        ShapeError: when rows are drawn, `embed` does not return one vector per row.

    References:
        Tong et al. Improving and generalizing flow-based generative models with minibatch optimal
        transport (2023), arXiv:2302.00482.
        Cheng, Schwing. The curse of conditions: analyzing and improving optimal transport for
        conditional flow-based generation (2025), arXiv:2503.10636.

    Examples:
        >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        >>> xs = OptimalTransport([Marginal(x), Marginal(x + 5)]).sample(9, seed=0, step=0)
        >>> bool((xs[:, 1] - xs[:, 0] - 5).square().mean() < 0.3)
        True
    """

    def __init__(
        self,
        marginals: Sequence[AnyMarginal],
        plan: str | None = None,
        sweeps: int = 0,
        entropy: float = 0.0,
        epsilon: float = 0.0,
        rows: int | None = None,
        reuse: int = 64,
        pool: int = 64,
        labels: bool = False,
        condition: float = 100.0,
        noise: bool = False,
        units: str = "auto",
        embed: Callable[[Tensor], Any] | None = None,
    ) -> None:
        super().__init__(marginals)
        if any(isinstance(marginal.source, Stream) for marginal in self.data):
            raise DataError(
                "Plans match rows, and a stream has no fixed rows. Use coupling='independent', or "
                "a torch Dataset with __getitem__."
            )
        plan = _plan(plan, len(self.data))
        self._reference = PLANS["barycentric" if plan == _PAIRS else plan]
        self.sweeps = checks.integer(sweeps, "sweeps", least=0)
        self._epsilon = checks.number(epsilon, "epsilon")
        self._matching = Matching(
            checks.number(entropy, "entropy"),
            checks.number(condition, "condition"),
            4 * self._epsilon,
        )
        if self._epsilon and (entropy or embed is not None or noise):
            raise ConfigError(
                "epsilon is for rows in data units: leave out entropy, embed, noise."
            )
        labels = self.within_labels = _labelled(labels, marginals)
        self._draw = LabelRows(self.data) if labels else self._drawn
        self.matches_noise = checks.instance(noise, bool, "noise") and len(self.data) < len(
            marginals
        )
        self.noise_independent = not self.matches_noise
        self._embed = embed if embed is None else checks.function(embed, "embed")
        if embed is not None and self.matches_noise:
            raise ConfigError(
                "Noise is matched in the space of the rows. Leave out embed or noise."
            )
        self._units = Standardiser.of(marginals if self.matches_noise else self.data, units)
        if rows is None:
            rows = self._rows(labels)
        numbers = math.prod(self.data[0].event_shape) if self.matches_noise else 1
        self._conditions = Conditions.of(self.data)
        sides = len(self.data) + self.matches_noise
        self._pairs = list(itertools.combinations(range(sides), 2)) if plan == _PAIRS else []
        self._pairs = self._pairs if sides > 2 else []  # One pair is the plan of all.
        uses = checks.integer(reuse, "reuse") * max(1, len(self._pairs))
        self._pool = Pool(self.solve, rows, uses, pool, numbers + 2 * len(self._pairs))

    def _rows(self, labels: bool) -> int:
        """The number of rows of a plan: within labels, plans of many rows cost little."""
        most = max(len(marginal) for marginal in self.data)
        if most <= _WHOLE:
            return max(_ROWS, most)
        if not labels:
            return _ROWS
        kinds = min(len(torch.unique(m.labels)) for m in self.data if m.labels is not None)
        bearable = _NUMBERS // (len(self.data) * math.prod(self.data[0].event_shape))
        return max(_ROWS, min(most, bearable, _LABELLED, kinds * _ROWS // 2))

    def joint(self, n: int, *, seed: int, step: int, alpha: Tensor | None = None) -> Joint:
        """The rows and the noise of one draw, for points of shape `(n, k)` if they are given."""
        *rows, noise, pairs = self._pool.draw(n, seed, step)
        if self._pairs and alpha is not None:
            rows = self._between(rows, pairs, alpha)
        return Joint(rows, noise if self.matches_noise else self.noise(n, seed, step, 1))

    def _between(self, rows: list[Tensor], pairs: Tensor, alpha: Tensor) -> list[Tensor]:
        """The rows, with those of a pair's own plan where only this pair has a weight."""
        sides = len(self.data) + self.matches_noise
        there = alpha[:, -sides:] > 0
        two = there.sum(1) == 2
        of_noise, rows = int(self.matches_noise), list(rows)
        for place, ends in enumerate(self._pairs):
            here = two & there[:, ends[0]] & there[:, ends[1]]
            for side, matched in zip(ends, pairs[:, place].unbind(1), strict=True):
                if side >= of_noise:
                    k = side - of_noise
                    rows[k] = torch.where(here, matched, rows[k])
        return rows

    def solve(self, seed: int, number: int) -> Columns:
        """One plan: the indices of the matched rows of every dataset, and their noise."""
        source, count = generator(seed, number, 2), self._pool.rows
        rows = self._draw(count, source)
        noise = (
            self.noise(count, seed, number, 4)
            if self.matches_noise
            else torch.empty(count, 0, dtype=torch.float32)
        )
        columns = [m.take(i).cpu().double() for m, i in zip(self.data, rows, strict=True)]
        sides = [Side(x) for x in self._compared(columns, noise)]
        self._mark(sides[-len(rows) :], rows, source)
        if self.matches_noise:
            sides[0].condition = sides[1].condition
        order = self._match(sides, source)
        pairs = self._match_pairs(sides, rows, source)
        if self.matches_noise:
            noise = noise[order.pop(0)]
        return [*(row[i] for row, i in zip(rows, order, strict=True)), noise, pairs]

    def _compared(self, columns: list[Tensor], noise: Tensor) -> list[Tensor]:
        """The vectors of all sides whose distances are compared, float64."""
        if self._embed is not None:
            return [flat(embedded(self._embed, x)) for x in columns]
        if self.matches_noise:
            columns.insert(0, noise.double())
        if self._epsilon:
            return [flat(x) for x in columns]
        return [flat(x) for x in self._units.standardise_draws(torch.stack(columns, 1)).unbind(1)]

    def _drawn(self, n: int, source: torch.Generator) -> list[Tensor]:
        return [_spread(marginal, n, source) for marginal in self.data]

    def _match_pairs(
        self, sides: list[Side], rows: list[Tensor], source: torch.Generator
    ) -> Tensor:
        """The rows of every pair that its own plan matches, shape `(rows, pairs, 2)`."""
        index = [torch.arange(len(rows[0]))] * self.matches_noise + rows
        columns = [torch.empty(len(rows[0]), 0, 2, dtype=torch.int64)]
        told = {i for i, m in enumerate(self.data, self.matches_noise) if m.condition is not None}
        for i, j in self._pairs:
            pair = [sides[i], sides[j]]
            if not told & {i, j}:  # Then the condition is that of a row of another dataset.
                pair = [Side(side.x, labels=side.labels) for side in pair]
            order = self._matching(pair[0].x, pair[0].labels, pair, 1, source)
            columns.append(torch.stack([index[i], index[j][order]], 1)[:, None])
        return torch.cat(columns, 1)

    def _mark(self, sides: list[Side], rows: list[Tensor], source: torch.Generator) -> None:
        """Set the labels and the conditions of every side, where they are used."""
        if self.within_labels:
            for side, marginal, i in zip(sides, self.data, rows, strict=True):
                side.labels = None if marginal.labels is None else marginal.labels[i]
        if self._conditions is None or not self._matching.weight:
            return
        own = [
            None if m.condition is None else self._conditions.standardise(m.condition[i])
            for m, i in zip(self.data, rows, strict=True)
        ]
        given = next(condition for condition in own if condition is not None)
        for side, condition in zip(sides, own, strict=True):
            shuffle = torch.randperm(len(given), generator=source)
            side.condition = given[shuffle] if condition is None else condition

    def _match(self, sides: list[Side], source: torch.Generator) -> list[Tensor]:
        """For every side, the index of the row matched with each row of the first side."""
        order = [torch.arange(len(sides[0].x))]
        for k in range(1, len(sides)):
            matched = [side.x[i] for side, i in zip(sides, order, strict=False)]
            labels = labels_of(sides, order)
            order.append(self._matching(self._reference(matched), labels, sides, k, source))
        for _ in range(self.sweeps if len(sides) > 2 else 0):
            for k in range(1, len(sides)):
                others = [j for j in range(len(sides)) if j != k]
                reference = torch.stack([sides[j].x[order[j]] for j in others]).mean(0)
                labels = labels_of([sides[j] for j in others], [order[j] for j in others])
                order[k] = self._matching(reference, labels, sides, k, source)
        return order


def _labelled(labels: bool, marginals: Sequence[AnyMarginal]) -> bool:
    """Whether to match within labels, which every dataset must have then."""
    bare = [i for i, m in enumerate(marginals) if isinstance(m, Marginal) and m.labels is None]
    if checks.instance(labels, bool, "labels") and bare:
        raise DataError(
            f"Matching within labels needs labels for every dataset; marginals {bare} have "
            "none. Give Marginal(samples, labels=...), or leave out labels=True."
        )
    return labels


def _plan(plan: str | None, datasets: int) -> str:
    if plan is None:
        return _PAIRS if datasets <= _MANY else "barycentric"
    if plan not in (_PAIRS, *PLANS):
        raise ConfigError(f"plan must be one of {_PAIRS}, {', '.join(PLANS)}; got {plan!r}.")
    return plan


def _spread(marginal: Marginal, n: int, source: torch.Generator) -> Tensor:
    """Rows of a dataset; where it is small and has no weights, each row about equally often."""
    if len(marginal) > _WHOLE:
        return marginal.draw(n, source)
    return marginal.draw_evenly(n, source)
