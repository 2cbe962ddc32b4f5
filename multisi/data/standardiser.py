"""The standardiser: an affine map between data units and standardised units."""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from multisi.common.shapes import leading
from multisi.data.constants import Constants
from multisi.data.marginals import AnyMarginal, Marginal
from multisi.data.moments import Moments, scale_shape
from multisi.errors import DataError

_ALIKE = 0.5
"""Units are one if the least standard deviation is this share of the largest."""
_ROUNDING, _TINY = 1e-6, 1e-9
"""A state counts as pure noise below this share of data, and as data below this share of noise."""


class Standardiser(nn.Module):
    r"""$y = (x - \mu) / \sigma$, shared by all data marginals so that mixtures keep their meaning.

    For vectors, $\mu$ and $\sigma$ have one entry per feature, unless there are many features of
    one kind; for other events they are single numbers, or have one entry per channel where
    channels differ in size. Where the deviations of all features of a vector differ by a factor of
    two at most, they are replaced by their root mean square: such features are like coordinates,
    whose distances keep their meaning. A feature without variance has $\sigma = 1$, and keeps its
    value. The noise marginal is already standardised, so it is not changed.

    Arguments:
        shift: $\mu$, broadcastable to `(*event)`.
        scale: $\sigma > 0$, of the same shape.
        noise: Whether marginal 0 is the noise.
        constant: The values of the features that are the same in all samples of all data
            marginals, NaN for other features, shape `(*event)`; `None` without any.

    Raises:
        DataError: `shift` is not finite, or `scale` is not positive and finite.

    Examples:
        >>> units = Standardiser(torch.tensor([1.0]), torch.tensor([2.0]), noise=True)
        >>> units.standardise(torch.tensor([[5.0]]), torch.tensor([0.5, 0.5]))
        tensor([[2.]])
    """

    shift: Tensor
    scale: Tensor
    constant: Tensor | None

    def __init__(
        self, shift: Tensor, scale: Tensor, noise: bool = False, constant: Tensor | None = None
    ) -> None:
        super().__init__()
        if not (torch.isfinite(shift).all() and torch.isfinite(scale).all() and (scale > 0).all()):
            raise DataError(
                "A standardiser must have a finite shift and a positive, finite scale; got "
                f"{shift.tolist()} and {scale.tolist()}."
            )
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        self.register_buffer("constant", constant)
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
    def of(cls, marginals: Sequence[AnyMarginal], units: str = "auto") -> "Standardiser":
        """The standardiser with the mean and standard deviation of the data marginals' mixture.

        The marginals have equal shares in the mixture; the weights of rows are included.

        Arguments:
            marginals: The marginals in order; the noise, if there is one, comes first.
            units: What has its own mean and standard deviation: `"features"`, `"channels"`,
                `"whole"` for the whole sample, or `"auto"`: features of vectors, unless they are
                of like size, or there are 16 or more of one kind, such as pixels; of other
                samples the channels, if one of them has a standard deviation below a quarter of
                that of the whole; else the whole.

        Raises:
            ConfigError: `units` is none of these, or samples have no channels.
            DataError: a standard deviation is neither zero nor between 1e-30 and 1e30.
        """
        data = [marginal for marginal in marginals if isinstance(marginal, Marginal)]
        moments = Moments.of(data)
        shape = scale_shape(units, moments)
        shift, square = moments.over(shape)
        scale = torch.where(moments.varies_in(shape), square.sqrt(), 0.0)
        spread = scale[scale > 0]
        if not torch.isfinite(square).all() or (spread < 1e-30).any() or (spread > 1e30).any():
            raise DataError(
                "The standard deviation of the samples must lie between 1e-30 and 1e30, or be "
                f"zero; got {scale.min():.3g} to {scale.max():.3g}. Choose other units."
            )
        if units == "auto" and len(spread) and spread.min() >= _ALIKE * spread.max():
            scale = torch.where(scale > 0, spread.square().mean().sqrt(), scale)
        scale = torch.where(scale == 0, 1.0, scale)
        return cls(shift, scale, noise=len(data) < len(marginals), constant=moments.constant)

    def agrees(self, other: "Standardiser") -> bool:
        """Whether another standardiser of samples of the same shape is the same, up to rounding.

        Arguments:
            other: The other standardiser.
        """
        gaps = other.shift.cpu() - self.shift.cpu(), other.scale.cpu() - self.scale.cpu()
        return all(bool((gap.abs() <= 1e-6 * self.scale.cpu()).all()) for gap in gaps)

    @functools.cached_property
    def constants(self) -> Constants | None:
        """The constant features in standardised units; `None` without any."""
        if self.constant is None:
            return None
        mask, values = ~self.constant.isnan(), self.constant.nan_to_num()
        return Constants(mask, (values - self.shift) / self.scale, self.noise)

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
        y = (x / _total(weights, x) - shift) / scale
        if self.constants is None:
            return y
        return self.constants.in_state(y, weights / weights.sum(-1, keepdim=True))

    def restore(self, y: Tensor, weights: Tensor) -> Tensor:
        """The inverse of `standardise`.

        Arguments:
            y: States in standardised units, shape `(..., *event)`.
            weights: Points of the cone, shape `(..., k)`, as for `standardise`.

        Returns:
            The states in data units, shape `(..., *event)`.
        """
        shift, scale = self.affine(weights, y)
        x = y * scale + shift
        if self.constant is not None:  # Exactly, where only data have a weight.
            x = torch.where(self._exact(weights, y), self.constant.to(y), x)
        return x * _total(weights, y)

    def kept(self, x: Tensor, source: Tensor, y: Tensor, target: Tensor, still: Tensor) -> Tensor:
        """States with what does not change from the samples they come from, bit for bit.

        That are rows that stay where they are, and the constant features, unless noise has a
        weight at the source or at the target.

        Arguments:
            x: Samples, shape `(b, *event)`.
            source: Their points of the cone, shape `(k,)` or `(b, k)`.
            y: States that they were moved to, shape `(..., b, *event)`.
            target: Points of the cone of these states, shape `(..., k)`, as for `standardise`.
            still: Which rows stay, shape `()` or `(b,)`.
        """
        y = torch.where(leading(still, x).to(x.device), x, y)
        if self.constant is None:
            return y
        mask = self._exact(source, y) & self._exact(target, y)
        ratio = target.sum(-1) / source.sum(-1)
        ratio = torch.where((ratio - 1).abs() < 1e-9, 1.0, ratio)  # Sums are rounded.
        return torch.where(mask, x * leading(ratio, y).to(y), y)

    def standardise_draws(self, xs: Tensor) -> Tensor:
        """Joint draws in standardised units; the noise, in column 0, is not changed.

        Arguments:
            xs: Joint draws in data units, shape `(b, k, *event)`.
        """
        first = 1 if self.noise else 0
        data = (xs[:, first:] - self.shift.to(xs)) / self.scale.to(xs)
        both = torch.cat([xs[:, :first], data], 1)
        if self.constants is None:
            return both
        return self.constants.in_heads(both, torch.eye(xs.shape[1], dtype=xs.dtype))

    def _exact(self, weights: Tensor, like: Tensor) -> Tensor:
        """Which features are constant, and not mixed with noise, at points of the cone."""
        constant = ~torch.as_tensor(self.constant).isnan().to(like.device)
        if not self.noise:
            return constant
        clean = weights[..., 0] <= _TINY * weights.sum(-1)
        return constant & leading(clean, like).to(like.device)

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
