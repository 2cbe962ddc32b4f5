r"""The probability flow along a path: the ODE."""

import torch
from torch import Tensor

from multisi.dynamics.base import Dynamics


class ProbabilityFlow(Dynamics):
    r"""The ODE $\dot y = \sum_k \dot\alpha_k(t)\, g_k(y, \alpha(t))$ along a path.

    Arguments:
        conditional_means: The conditional means $g_k$.
        path: A path on the simplex.
        interpolant: The interpolant whose weights are taken along the path.
        condition: An extra input of the network, one vector per row; `None` without one.

    References:
        Albergo, Boffi, Lindsey, Vanden-Eijnden. Multimarginal generative modeling with
        stochastic interpolants (2023), arXiv:2310.03695.

    Examples:
        >>> import multisi
        >>> means = multisi.ConditionalMeans(lambda x, alpha: x.new_zeros(len(x), 2, 3))
        >>> path = multisi.paths.Segment([torch.eye(2)[0], torch.eye(2)[1]])
        >>> flow = ProbabilityFlow(means, path, multisi.interpolants.Barycentric())
        >>> flow.velocity(torch.ones(1, 3), 0.5)
        tensor([[0., 0., 0.]])
    """

    stochastic = False

    def diffusion(self, t: Tensor | float) -> Tensor:
        """Zero at times `t`."""
        return torch.zeros_like(torch.as_tensor(t, dtype=torch.float64))

    def score_coefficients(self, t: Tensor, alpha: Tensor) -> Tensor:
        """Zero: the drift of the flow has no score term."""
        return torch.zeros((), dtype=alpha.dtype)

    def drift_exists(self, t: Tensor) -> Tensor:
        """True at all times."""
        return torch.ones_like(t, dtype=torch.bool)
