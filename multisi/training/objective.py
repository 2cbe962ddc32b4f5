r"""The objective: the error of the velocity along tangents, after the projection.

$$L = E\,\Big|\sum_k v_k\, g_k(x(\alpha), \alpha) - \sum_k v_k x_k\Big|^2$$

over a law of simplex points $\alpha$ with tangents $v$. Its minimiser has the true velocity in
every direction that the law contains. With the projection written out, it is
$E\,|\sum_k a_k (\hat g_k - x_k)|^2$ with $a = v - \alpha\,(\alpha \cdot v)/|\alpha|^2$.

References:
    Albergo, Boffi, Lindsey, Vanden-Eijnden. Multimarginal generative modeling with stochastic
    interpolants (2023), arXiv:2310.03695.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from multisi.common.shapes import flat, flat_heads
from multisi.field.conditional_means import ConditionalMeans, projected_combination


@dataclass(frozen=True)
class Batch:
    r"""The data of one training step.

    Arguments:
        x: States $\sum_k \alpha_k x_k$, shape `(b, *event)`.
        alpha: Points of the simplex, shape `(b, k)`.
        of_heads: Coefficients $a$ of the heads, shape `(b, k)`.
        target: The target $\sum_k a_k x_k$ of the combined heads, shape `(b, *event)`.
        condition: An extra input of the network, shape `(b, c)`, or `None`.
        group: The group of each point, within which errors are alike, shape `(b,)`, or `None`.

    Examples:
        >>> xs, alpha = torch.tensor([[[0.0], [2.0]]]), torch.tensor([[0.5, 0.5]])
        >>> batch = Batch.of(xs, alpha, v=torch.tensor([[-1.0, 1.0]]))
        >>> batch.x, batch.target
        (tensor([[1.]]), tensor([[2.]]))
    """

    x: Tensor
    alpha: Tensor
    of_heads: Tensor
    target: Tensor
    condition: Tensor | None = None
    group: Tensor | None = None

    @classmethod
    def of(cls, xs: Tensor, alpha: Tensor, v: Tensor, condition: Tensor | None = None) -> "Batch":
        """The batch of joint draws.

        Arguments:
            xs: Joint draws, shape `(b, k, *event)`.
            alpha: Points of the simplex, shape `(b, k)`.
            v: Tangents, shape `(b, k)`.
            condition: An extra input of the network, shape `(b, c)`, or `None`.
        """
        return cls.mixed(xs, alpha, projected_combination(alpha, v)[0], condition)

    @classmethod
    def mixed(
        cls,
        xs: Tensor,
        alpha: Tensor,
        of_heads: Tensor,
        condition: Tensor | None = None,
        group: Tensor | None = None,
    ) -> "Batch":
        """As `of`, with the coefficients of the heads instead of tangents, and with groups."""
        both = torch.stack([alpha, of_heads], 1) @ flat_heads(xs)
        x, target = both.reshape(len(xs), 2, *xs.shape[2:]).unbind(1)
        return cls(x, alpha, of_heads, target, condition, group)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice) -> "Batch":
        x, alpha, of_heads, target = (
            tensor[rows] for tensor in (self.x, self.alpha, self.of_heads, self.target)
        )
        condition, group = (
            None if tensor is None else tensor[rows] for tensor in (self.condition, self.group)
        )
        return Batch(x, alpha, of_heads, target, condition, group)

    def split(self, parts: int) -> list["Batch"]:
        """The rows in at most `parts` batches of about equal size."""
        ends = [i * len(self) // parts for i in range(parts + 1)]
        return [self[a:b] for a, b in itertools.pairwise(ends) if b > a]


def loss(means: ConditionalMeans, batch: Batch) -> Tensor:
    r"""The objective: mean of $|\sum_k a_k (\hat g_k - x_k)|^2$ over rows and features.

    Arguments:
        means: The conditional means to train, of shape `(b, k, *event)`.
        batch: The data of the step.

    Returns:
        The loss, a single number of shape `()`.

    Examples:
        >>> means = ConditionalMeans(lambda x, alpha: torch.zeros(len(x), 2, *x.shape[1:]))
        >>> xs, alpha = torch.tensor([[[0.0], [2.0]]]), torch.tensor([[0.5, 0.5]])
        >>> loss(means, Batch.of(xs, alpha, v=torch.tensor([[-1.0, 1.0]])))
        tensor(4.)
    """
    return errors(means, batch).mean()


def errors(means: ConditionalMeans, batch: Batch) -> Tensor:
    """The mean of the squared error over the features of each row, shape `(b,)`."""
    heads = means.heads(batch.x, batch.alpha, batch.condition)
    mixed = torch.bmm(batch.of_heads[:, None], flat_heads(heads)).squeeze(1)
    # Threads share sums over all numbers, not those of a row: its bits depend on nothing else.
    return torch.nn.functional.mse_loss(mixed, flat(batch.target), reduction="none").mean(1)
