"""The standardiser: one affine map between data units and the units of the network."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from multisi.common.seeds import generator
from multisi.data.marginals import Marginal
from multisi.errors import DataError

_PART, _LEAST, _NUMBERS = 65536, 256, 2**24
"""Rows whose moments are taken at once; and how many rows, or numbers, stand for all."""
_NOTHING = 1e-6
"""Share of the data in a state that is the noise's but for rounding; paths are held to it."""


class Standardiser(nn.Module):
    r"""$y = (x - \mu) / \sigma$, shared by all data marginals so that mixtures keep their meaning.

    For vectors $\mu$ and $\sigma$ have one entry a feature; for anything else they are single
    numbers. Constant features keep $\sigma = 1$.

    Arguments:
        shift: $\mu$, broadcastable to the event.
        scale: $\sigma > 0$, of the same shape.

    Raises:
        DataError: a shift that is not finite, or a scale that is not positive or not finite.

    Example:
        >>> units = Standardiser(torch.tensor([1.0]), torch.tensor([2.0]))
        >>> units.enter(torch.tensor([[5.0]]), torch.tensor([0.5, 0.5]), noise=True)
        tensor([[2.]])
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        if not (torch.isfinite(shift).all() and torch.isfinite(scale).all() and (scale > 0).all()):
            raise DataError(
                "Units must have a finite shift and a positive, finite scale; got "
                f"{shift.tolist()} and {scale.tolist()}."
            )
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)

    @classmethod
    def identity(cls) -> "Standardiser":
        """The one that changes nothing."""
        return cls(torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64))

    @classmethod
    def of(cls, marginals: Sequence[Marginal]) -> "Standardiser":
        """Mean and deviation of the marginals' equal mixture, row weights honoured.

        Raises:
            DataError: a spread that float32 cannot hold.
        """
        moments = [_moments(marginal) for marginal in marginals]
        shift = torch.stack([mean for mean, _ in moments]).mean(0)
        square = torch.stack([var + (mean - shift) ** 2 for mean, var in moments]).mean(0)
        scale = square.sqrt()
        rounding = max(torch.finfo(marginal.dtype).eps for marginal in marginals)
        scale = torch.where(scale <= 8 * rounding * shift.abs(), 0.0, scale)
        spread = scale[scale > 0]
        if not torch.isfinite(square).all() or (spread < 1e-30).any() or (spread > 1e30).any():
            raise DataError(
                "The standard deviation of the samples must lie between 1e-30 and 1e30, or be "
                f"zero; got {scale.min():.3g} to {scale.max():.3g}. Choose other units."
            )
        scale = torch.where(scale == 0, 1.0, scale)
        return cls(shift, scale)

    def affine(self, weights: Tensor, like: Tensor, noise: bool) -> tuple[Tensor, Tensor]:
        """Shift and scale at points of the cone, broadcastable to the states.

        With `noise`, marginal 0 is raw: there, and only there, the shift is 0 and the scale 1.

        Arguments:
            weights: Shape `(..., k)`, whose leading axes are those of the states, or broadcast.
            like: The states, shape `(..., *event)`.
            noise: Whether there is a noise marginal.
        """
        raw = (weights[..., 1:].sum(-1) <= _NOTHING * weights.sum(-1)) & noise
        raw = raw.to(like.device).reshape(raw.shape + (1,) * (like.ndim - raw.ndim))
        return torch.where(raw, 0.0, self.shift.to(like)), torch.where(
            raw, 1.0, self.scale.to(like)
        )

    def enter(self, x: Tensor, weights: Tensor, noise: bool) -> Tensor:
        r"""From $x = \sum_k w_k x_k$ in data units to simplex coordinates in standard ones.

        It is computed where `x` is and in its type, so that large offsets lose no digits.
        """
        shift, scale = self.affine(weights, x, noise)
        return (x / _total(weights, x) - shift) / scale

    def leave(self, y: Tensor, weights: Tensor, noise: bool) -> Tensor:
        """The inverse of `enter`."""
        shift, scale = self.affine(weights, y, noise)
        return (y * scale + shift) * _total(weights, y)


def _total(weights: Tensor, like: Tensor) -> Tensor:
    total = weights.sum(-1).to(like)
    return total.reshape(total.shape + (1,) * (like.ndim - total.ndim))


def _moments(marginal: Marginal) -> tuple[Tensor, Tensor]:
    """Mean and variance over rows and, for anything but vectors, over the event; float64.

    Of samples that are not in memory some rows stand for all.
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
        each = [w @ of(x.double().reshape(len(x), -1)) for x, w in parts]
        total = torch.stack(each).sum(0)
        return total if len(marginal.event_shape) == 1 else total.mean()

    mean = average(lambda x: x)
    return mean, average(lambda x: (x - mean) ** 2)
