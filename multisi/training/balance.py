r"""The balance between points whose errors differ in size.

Between marginals that are matched, the error that remains is small; towards noise that is left
independent it is large. With equal weights the gradient is noise from the second, and the first
is learned slowly. Errors are therefore divided by the root of what they usually are between the
same marginals, as by an estimate of their standard deviation. The minimiser is the same.
"""

import math

import torch
from torch import Tensor

_KEEP, _LEAST = 0.99, 1e-4
"""What a step leaves of the sums; the least usual error, as a share of the mean."""


def groups(alpha: Tensor, noise: bool) -> Tensor:
    """The number of the group of each point: which datasets mix there, and whether noise does.

    Points with one or two datasets have the group of these; all with more share the last one.

    Arguments:
        alpha: Points of the simplex, shape `(n, k)`.
        noise: Whether the first marginal is the noise.

    Returns:
        Numbers from 0 to $2 k^2$, shape `(n,)`.
    """
    there, k = alpha > 0, alpha.shape[1]
    with_noise = there[:, 0] & noise
    data = there.clone()
    data[:, 0] &= not noise
    first = data.byte().argmax(1)
    last = k - 1 - data.flip(1).byte().argmax(1)
    return torch.where(data.sum(1) > 2, 2 * k * k, 2 * (k * first + last) + with_noise)


class Balance:
    r"""Weights of rows by the usual error $u$ of their group: $w \propto u^{-1/2}$, mean one.

    Arguments:
        marginals: Number of marginals.
        like: A tensor with the type and device of the errors.

    Examples:
        >>> balance = Balance(2, torch.zeros(()))
        >>> group = torch.tensor([0, 1])
        >>> balance.add(balance.seen(group, torch.tensor([1.0, 4.0])))
        >>> balance.weights(group)[0] / balance.weights(group)[1]
        tensor(1.4577)
    """

    def __init__(self, marginals: int, like: Tensor) -> None:
        self.sums = like.new_zeros(2, 2 * marginals**2 + 1)
        self._weights = torch.ones_like(self.sums[0])

    def weights(self, group: Tensor) -> Tensor:
        """The weight of each row, shape `(n,)`, for numbers of groups."""
        return self._weights[group]

    def seen(self, group: Tensor, errors: Tensor) -> Tensor:
        """The sum of errors and the number of rows of each group, shape `(2, groups)`."""
        both, sums = torch.stack([errors, torch.ones_like(errors)]), torch.zeros_like(self.sums)
        if sums.device.type == "cpu":
            return sums.index_add_(1, group, both)
        # On a GPU, index_add_ adds in any order, and index_put_ does not.
        return sums.T.contiguous().index_put_((group,), both.T, accumulate=True).T

    def add(self, seen: Tensor) -> None:
        """Take account of what `seen` returned for a step."""
        self.restore(_KEEP * self.sums + seen)

    def restore(self, sums: Tensor) -> None:
        """Continue with the sums of another balance of the same marginals."""
        self.sums = sums.to(self.sums)
        errors, rows = self.sums
        mean = (errors.sum() / (rows.sum() + 1)).clamp_min(torch.finfo(errors.dtype).tiny)
        usual = ((errors / mean + 1) / (rows + 1)).clamp_min(_LEAST)
        weights = usual.rsqrt()
        self._weights = weights * ((rows.sum() + 1) / ((rows * weights).sum() + 1))

    def check(self, sums: Tensor | None) -> None:
        """Check sums of a checkpoint before they are used.

        Raises:
            ValueError: they cannot be those of this balance.
        """
        own = self.sums
        if sums is None or sums.shape != own.shape or sums.dtype != own.dtype:
            raise ValueError(f"the balance must be {own.dtype} of shape {tuple(own.shape)}")
        if not (0 <= sums.min() and sums.max() < math.inf):
            raise ValueError("the balance must be finite and not negative")
