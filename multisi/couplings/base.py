"""The coupling: the joint law by which rows of the marginals are drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Coupling(ABC):
    r"""A joint law of $(x_1, \dots, x_K)$ with the given marginals.

    A draw is a function of `(seed, step)` alone, so that a run can be repeated and resumed.

    References:
        Albergo, Boffi, Lindsey, Vanden-Eijnden. Multimarginal generative modeling with
        stochastic interpolants (2023), arXiv:2310.03695.
    """

    noise_independent: bool = True
    """Whether the noise marginal is independent of the others, as the score requires."""

    ends: float = 0.0
    """Share of the training's points at the corners, by default: for pairs that one step joins."""

    def condition(self, n: int, *, seed: int, step: int) -> Tensor | None:
        """The condition of the draw that `sample` returns for the same arguments.

        Arguments:
            n: Number of rows.
            seed: Seed of the run.
            step: Number of the training step.

        Returns:
            One vector per row, shape `(n, c)`, or `None`, the default, for no condition.
        """
        return None

    def sample_at(self, alpha: Tensor, *, seed: int, step: int) -> tuple[Tensor, Tensor | None]:
        """Joint samples for given points of the simplex, and their condition.

        By default these are `sample` and `condition`. A coupling may join the marginals that have
        a weight in another way at each face of the simplex, as long as it is one joint law for
        all points of a path that samples are moved along.

        Arguments:
            alpha: Points of the simplex, shape `(n, k)`, on the CPU.
            seed: Seed of the run.
            step: Number of the training step.

        Returns:
            `xs` of shape `(n, k, *event)`, and vectors of shape `(n, c)` or `None`.
        """
        n = len(alpha)
        return self.sample(n, seed=seed, step=step), self.condition(n, seed=seed, step=step)

    @abstractmethod
    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """Draw `n` joint samples, data in data units, noise from the standard normal.

        Arguments:
            n: Number of rows.
            seed: Seed of the run.
            step: Number of the training step.

        Returns:
            `xs` of shape `(n, k, *event)`, one column per marginal, in their order.
        """
