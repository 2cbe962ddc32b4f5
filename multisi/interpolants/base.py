"""The interpolant: the weight of each marginal in the state at a point of the simplex."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Interpolant(ABC):
    r"""A map $w$ from the simplex to the cone, giving $x(\alpha) = \sum_k w_k(\alpha)\, x_k$.

    The conditional means are homogeneous, $g(\lambda x, \lambda\alpha) = g(x, \alpha)$, so one
    trained model serves every interpolant: the interpolant is chosen for each transport, not in
    training.

    References:
        Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows
        and diffusions (2023), arXiv:2303.08797.
        Albergo, Boffi, Lindsey, Vanden-Eijnden. Multimarginal generative modeling with
        stochastic interpolants (2023), arXiv:2310.03695.
    """

    needs_noise: bool = False
    """Whether column 0 of `alpha` and of the weights must be the standard-normal marginal."""

    kinks: tuple[float, ...] = ()
    """Values of a coordinate at which the weights are continuous but not smooth."""

    @abstractmethod
    def weights(self, alpha: Tensor) -> Tensor:
        r"""The weights $w(\alpha) \ge 0$, with $w(e_i) = e_i$, smooth inside every face.

        Arguments:
            alpha: Points of the simplex, shape `(..., k)`.

        Returns:
            Points of the cone, shape `(..., k)`.
        """

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"{type(self).__name__}({options})"
