"""The standardiser: an affine map between data units and standardised units."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from multisi.common.seeds import generator
from multisi.common.shapes import flat, leading
from multisi.data.marginals import AnyMarginal, Marginal
from multisi.errors import DataError

_PART, _LEAST, _NUMBERS = 65536, 256, 2**24
"""Rows per chunk of the moments; for samples out of memory, fewest rows and most numbers read."""
_ROUNDING = 1e-6
"""Below this share of data a state counts as pure noise."""


class Standardiser(nn.Module):
    r"""$y = (x - \mu) / \sigma$, shared by all data marginals so that mixtures keep their meaning.

    For vectors, $\mu$ and $\sigma$ have one entry per feature; for other events they are single
    numbers. A feature without variance has $\sigma = 1$. The noise marginal is already
    standardised, so it is not changed.

    Arguments:
        shift: $\mu$, broadcastable to `(*event)`.
        scale: $\sigma > 0$, of the same shape.
        noise: Whether marginal 0 is the noise.

    Raises:
        DataError: `shift` is not finite, or `scale` is not positive and finite.

    Example:
        >>> units = Standardiser(torch.tensor([1.0]), torch.tensor([2.0]), noise=True)
        >>> units.standardise(torch.tensor([[5.0]]), torch.tensor([0.5, 0.5]))
        tensor([[2.]])
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, shift: Tensor, scale: Tensor, noise: bool = False) -> None:
        super().__init__()
        if not (torch.isfinite(shift).all() and torch.isfinite(scale).all() and (scale > 0).all()):
            raise DataError(
                "A standardiser must have a finite shift and a positive, finite scale; got "
                f"{shift.tolist()} and {scale.tolist()}."
            )
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        self.noise = noise

    @classmethod
    def identity(cls, noise: bool = False) -> "Standardiser":
        """The standardiser with shift 0 and scale 1.

        Arguments:
            noise: Whether marginal 0 is the noise.
        """
        zero = torch.zeros((), dtype=torch.float64)
        return cls(zero, zero + 1, noise)

    @classmethod
    def of(cls, marginals: Sequence[AnyMarginal]) -> "Standardiser":
        """The standardiser with the mean and standard deviation of the data marginals' mixture.

        The marginals have equal shares in the mixture; the weights of rows are included.

        Arguments:
            marginals: The marginals in order; the noise, if there is one, comes first.

        Raises:
            DataError: a standard deviation is neither zero nor between 1e-30 and 1e30.
        """
        data = [marginal for marginal in marginals if isinstance(marginal, Marginal)]
        moments = [_moments(marginal) for marginal in data]
        shift = torch.stack([mean for mean, _ in moments]).mean(0)
        square = torch.stack([var + (mean - shift) ** 2 for mean, var in moments]).mean(0)
        scale = square.sqrt()
        rounding = max(torch.finfo(marginal.dtype).eps for marginal in data)
        scale = torch.where(scale <= 8 * rounding * shift.abs(), 0.0, scale)
        spread = scale[scale > 0]
        if not torch.isfinite(square).all() or (spread < 1e-30).any() or (spread > 1e30).any():
            raise DataError(
                "The standard deviation of the samples must lie between 1e-30 and 1e30, or be "
                f"zero; got {scale.min():.3g} to {scale.max():.3g}. Choose other units."
            )
        scale = torch.where(scale == 0, 1.0, scale)
        return cls(shift, scale, noise=len(data) < len(marginals))

    def standardise(self, x: Tensor, weights: Tensor) -> Tensor:
        r"""From $x = \sum_k w_k x_k$ in data units to $\sum_k \alpha_k y_k$, standardised.

        Here $\alpha = w / \sum_k w_k$. The result is computed in the type of `x`, so that large
        offsets lose no digits.

        Arguments:
            x: States, shape `(..., *event)`.
            weights: Points of the cone, shape `(..., k)`, whose leading axes are those of the
                states, or broadcast to them.

        Returns:
            The states in standardised units, shape `(..., *event)`.
        """
        shift, scale = self.affine(weights, x)
        return (x / _total(weights, x) - shift) / scale

    def restore(self, y: Tensor, weights: Tensor) -> Tensor:
        """The inverse of `standardise`.

        Arguments:
            y: States in standardised units, shape `(..., *event)`.
            weights: Points of the cone, shape `(..., k)`, as for `standardise`.

        Returns:
            The states in data units, shape `(..., *event)`.
        """
        shift, scale = self.affine(weights, y)
        return (y * scale + shift) * _total(weights, y)

    def standardise_draws(self, xs: Tensor) -> Tensor:
        """Joint draws in standardised units; the noise, in column 0, is not changed.

        Arguments:
            xs: Joint draws in data units, shape `(b, k, *event)`.
        """
        first = 1 if self.noise else 0
        data = (xs[:, first:] - self.shift.to(xs)) / self.scale.to(xs)
        return torch.cat([xs[:, :first], data], 1)

    def affine(self, weights: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and scale at points of the cone, broadcastable to the states.

        At the noise marginal, and only there, the shift is 0 and the scale is 1.

        Arguments:
            weights: Points of the cone, shape `(..., k)`, as for `standardise`.
            like: The states, shape `(..., *event)`.
        """
        shift, scale = self.shift.to(like), self.scale.to(like)
        if not self.noise:
            return shift, scale
        raw = weights[..., 1:].sum(-1) <= _ROUNDING * weights.sum(-1)
        raw = leading(raw.to(like.device), like)
        return torch.where(raw, 0.0, shift), torch.where(raw, 1.0, scale)


def _total(weights: Tensor, like: Tensor) -> Tensor:
    return leading(weights.sum(-1).to(like), like)


def _moments(marginal: Marginal) -> tuple[Tensor, Tensor]:
    """Mean and variance over the rows and, unless these are vectors, over the event; float64.

    Samples that are not in memory are estimated from some of the rows.
    """
    weights = marginal.shares
    if marginal.in_memory:
        rows = marginal.samples
    else:
        count = max(_LEAST, _NUMBERS // max(1, math.prod(marginal.event_shape)))
        source = generator(0)
        rows = marginal.look(marginal.draw(min(count, len(marginal)), source))
        weights = torch.full((len(rows),), 1 / len(rows), dtype=torch.float64)
    parts = list(zip(torch.split(rows, _PART), torch.split(weights, _PART), strict=True))

    def average(of: Callable[[Tensor], Tensor]) -> Tensor:
        total = torch.stack([w @ of(flat(x.double())) for x, w in parts]).sum(0)
        return total if len(marginal.event_shape) == 1 else total.mean()

    mean = average(lambda x: x)
    return mean, average(lambda x: (x - mean) ** 2)
