r"""The objective: the error of the velocity along tangents, after the projection.

$$L = E\,\Big|\sum_k v_k\, g_k(x(\alpha), \alpha) - \sum_k v_k x_k\Big|^2$$

over a law of simplex points $\alpha$ with tangents $v$. Its minimiser has the true velocity in
every direction that the law contains (arXiv:2310.03695). With the projection folded in, it is
$E\,|\sum_k a_k (\hat g_k - x_k)|^2$ with $a = v - \alpha\,(\alpha \cdot v)/|\alpha|^2$.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from multisi.common.shapes import flat, flat_heads
from multisi.field.conditional_means import ConditionalMeans, projected_combination


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    Arguments:
        x: States, shape `(b, *event)`.
        alpha: Where they are on the simplex, shape `(b, k)`.
        of_heads: Coefficients $a$ of the heads, shape `(b, k)`.
        target: What the heads should combine to, shape `(b, *event)`.
        condition: An extra input of the network, shape `(b, c)`, or `None`.
    """

    x: Tensor
    alpha: Tensor
    of_heads: Tensor
    target: Tensor
    condition: Tensor | None = None

    @classmethod
    def of(cls, xs: Tensor, alpha: Tensor, v: Tensor, condition: Tensor | None = None) -> "Batch":
        """The batch for joint draws `(b, k, *event)`, points `(b, k)` and tangents `(b, k)`."""
        return cls.mixed(xs, alpha, projected_combination(alpha, v)[0], condition)

    @classmethod
    def mixed(
        cls, xs: Tensor, alpha: Tensor, of_heads: Tensor, condition: Tensor | None = None
    ) -> "Batch":
        """The same with the coefficients of the heads in place of tangents."""
        both = torch.stack([alpha, of_heads], 1) @ flat_heads(xs)
        x, target = both.reshape(len(xs), 2, *xs.shape[2:]).unbind(1)
        return cls(x, alpha, of_heads, target, condition)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice) -> "Batch":
        x, alpha, of_heads, target = (
            tensor[rows] for tensor in (self.x, self.alpha, self.of_heads, self.target)
        )
        condition = None if self.condition is None else self.condition[rows]
        return Batch(x, alpha, of_heads, target, condition)

    def split(self, parts: int) -> list["Batch"]:
        """The same rows in so many parts of about equal size."""
        ends = [i * len(self) // parts for i in range(parts + 1)]
        return [self[a:b] for a, b in itertools.pairwise(ends) if b > a]


def loss(means: ConditionalMeans, batch: Batch) -> Tensor:
    """Mean square error of the velocity over a batch and its features, a single number.

    Arguments:
        means: The conditional means to train.
        batch: What to learn from.
    """
    heads = means.heads(batch.x, batch.alpha, batch.condition)
    mixed = torch.bmm(batch.of_heads[:, None], flat_heads(heads)).squeeze(1)
    return torch.nn.functional.mse_loss(mixed, flat(batch.target))
