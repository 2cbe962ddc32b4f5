r"""Features with one value in all data marginals, which the network neither sees nor moves."""

from dataclasses import dataclass

import torch
from torch import Tensor

from multisi.common.shapes import leading


@dataclass(frozen=True)
class Constants:
    r"""The constant features of the data marginals, in standardised units.

    Where all data marginals have one value $c$, the conditional means are $c$, and 0 stands for
    that of the noise. The state is then $(1 - \alpha_0)\, c$.

    Arguments:
        mask: Which features are constant, shape `(*event)`.
        level: Their values, shape `(*event)`; those of other features are not used.
        noise: Whether marginal 0 is the noise.
    """

    mask: Tensor
    level: Tensor
    noise: bool

    def in_state(self, y: Tensor, alpha: Tensor) -> Tensor:
        """States `(..., *event)` with the constants, at points `(..., k)` of the simplex."""
        return self._with(y, 1 - alpha[..., 0] if self.noise else torch.ones_like(alpha[..., 0]))

    def in_heads(self, heads: Tensor, of_heads: Tensor) -> Tensor:
        """Combinations `(b, r, *event)` of the heads with the constants.

        Arguments:
            heads: The combinations, shape `(b, r, *event)`.
            of_heads: Their coefficients, shape `(r, k)`; the identity for the heads themselves.
        """
        return self._with(heads, of_heads[None, :, 1 if self.noise else 0 :].sum(-1))

    def _with(self, y: Tensor, share: Tensor) -> Tensor:
        level, mask = self.level.to(y), self.mask.to(y.device)
        return torch.where(mask, leading(share.to(y), y) * level, y)
