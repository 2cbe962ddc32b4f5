"""The coupling: how rows of the marginals are drawn together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Coupling(ABC):
    r"""A joint law of $(x_1, \dots, x_K)$ with the given marginals.

    A draw is a function of `(seed, step)` alone, so that a run can be repeated and resumed.

    References:
        Multimarginal generative modeling with stochastic interpolants, arXiv:2310.03695.
    """

    noise_independent: bool = True
    """Whether the standard-normal marginal is independent of the others; the score needs it."""

    def condition(self, n: int, *, seed: int, step: int) -> Tensor | None:
        """What the network is told of that draw besides, shape `(n, c)`; nothing by default."""
        return None

    @abstractmethod
    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """Draw `n` joint samples, data in their own units, noise raw.

        Returns:
            `xs` of shape `(n, k, *event)`, one column a marginal, in their order.
        """
