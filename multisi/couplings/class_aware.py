"""The class-aware coupling: rows with the same label are drawn together."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from multisi.common import checks
from multisi.couplings.label_rows import LabelRows
from multisi.couplings.optimal_transport import OptimalTransport
from multisi.couplings.rows import Joint, RowBlocks, RowCoupling
from multisi.data.marginals import AnyMarginal, Marginal
from multisi.errors import DataError


class ClassAware(RowCoupling):
    r"""Rows with the same label are drawn together, as often as the marginals allow.

    Let $q_k(\ell)$ be the share of label $\ell$ in dataset $k$ and $m(\ell) = \min_k q_k(\ell)$.
    With probability $\sum_\ell m(\ell)$ all datasets draw one common label, with law proportional
    to $m$; otherwise each draws its own label, with law proportional to $q_k - m$. Every marginal
    keeps its law, the weights of its rows included. Where the shares agree, all rows of a joint
    draw have the same label. Noise is drawn independently.

    Rows of one label that lie close to each other are drawn together, as by the coupling `ot` with
    `labels=True`: maps are then smoother, and keep more than the label.

    Arguments:
        marginals: The marginals in order; every dataset has labels.
        match: Whether rows are matched within their label, and not drawn independently.
        units: The units of the match, as for `fit`, whose units are the default.
        embed: A function of rows whose values are compared in place of the rows, as for `ot`.

    Raises:
        ConfigError: `match` is neither True nor False, `units` is unknown, or `embed` is no
            function.
        DataError: a dataset has no labels, or no label occurs in every dataset.

    Examples:
        >>> import torch
        >>> x, labels = torch.arange(8.0).reshape(8, 1), torch.arange(8) % 2
        >>> coupling = ClassAware([Marginal(x, labels), Marginal(x + 10, labels)])
        >>> xs = coupling.sample(100, seed=0, step=0)[..., 0]
        >>> bool((xs[:, 0] % 2 == xs[:, 1] % 2).all())
        True
    """

    def __init__(
        self,
        marginals: Sequence[AnyMarginal],
        match: bool = True,
        units: str = "auto",
        embed: Callable[[Tensor], Any] | None = None,
    ) -> None:
        super().__init__(marginals)
        if bare := [i for i, marginal in enumerate(marginals) if _bare(marginal)]:
            raise DataError(
                f"A class-aware coupling needs labels for every dataset; marginals {bare} have "
                "none. Give Marginal(samples, labels=...), or use coupling='independent'."
            )
        matched = checks.instance(match, bool, "match")
        options: dict[str, Any] = {"labels": True, "units": units, "embed": embed}
        self._plans = OptimalTransport(marginals, **options) if matched else None
        self._blocks = RowBlocks(LabelRows(self.data))

    def joint(self, n: int, *, seed: int, step: int, alpha: Tensor | None = None) -> Joint:
        """The rows and the noise of one draw, for points of shape `(n, k)` if they are given."""
        if self._plans is not None:
            return self._plans.joint(n, seed=seed, step=step, alpha=alpha)
        return Joint(self._blocks(n, seed, step), self.noise(n, seed, step, 1))


def _bare(marginal: AnyMarginal) -> bool:
    return isinstance(marginal, Marginal) and marginal.labels is None
