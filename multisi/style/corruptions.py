"""Corruptions of pictures, for restoration by a data-dependent coupling."""

import math
from dataclasses import dataclass

import torch
from einops import reduce, repeat
from torch import Tensor

from multisi.common import checks
from multisi.errors import ConfigError, ShapeError


@dataclass(frozen=True)
class Masked:
    """Pixels are replaced by a value, each with the same probability.

    Arguments:
        share: The probability that a pixel, with all its channels, is masked.
        fill: The value of masked pixels; one that pictures do not have shows which they are.

    Raises:
        ConfigError: `share` is not between 0 and 1, or `fill` is not a number.

    Examples:
        >>> x = torch.ones(2, 1, 8, 8)
        >>> Masked(0.5)(x, torch.Generator().manual_seed(0)).unique().tolist()
        [-1.0, 1.0]
    """

    share: float
    fill: float = -1.0

    def __post_init__(self) -> None:
        if not 0 < checks.number(self.share, "share") < 1:
            raise ConfigError(f"share must be between 0 and 1; got {self.share!r}.")
        if not math.isfinite(self.fill):
            raise ConfigError(f"fill must be a finite number; got {self.fill!r}.")

    def __call__(self, x: Tensor, source: torch.Generator) -> Tensor:
        """Masked pictures, shape `(n, c, h, w)`.

        Arguments:
            x: Pictures, shape `(n, c, h, w)`.
            source: Generator of the masks.
        """
        check(x)
        drawn = torch.rand(len(x), 1, *x.shape[2:], generator=source, device=source.device)
        return torch.where(drawn.to(x.device) < self.share, self.fill, x)


@dataclass(frozen=True)
class Reduced:
    """Squares of pixels are replaced by their mean: pictures of lower resolution.

    Arguments:
        factor: Pixels on a side of a square.

    Raises:
        ConfigError: `factor` is not an integer of 2 or more.
        ShapeError: when pictures are reduced, their sides are not multiples of it.

    Examples:
        >>> Reduced(2)(torch.arange(4.0).reshape(1, 1, 2, 2), torch.Generator())
        tensor([[[[1.5000, 1.5000],
                  [1.5000, 1.5000]]]])
    """

    factor: int

    def __post_init__(self) -> None:
        checks.integer(self.factor, "factor", least=2)

    def __call__(self, x: Tensor, source: torch.Generator) -> Tensor:
        """Reduced pictures of the same size, shape `(n, c, h, w)`.

        Arguments:
            x: Pictures, shape `(n, c, h, w)`.
            source: Not used.
        """
        f = self.factor
        if any(side % f for side in check(x).shape[2:]):
            raise ShapeError(f"Sides must be multiples of {f}; got {tuple(x.shape[2:])}.")
        means = reduce(x, "n c (h p) (w q) -> n c h w", "mean", p=f, q=f)
        return repeat(means, "n c h w -> n c (h p) (w q)", p=f, q=f)


@dataclass(frozen=True)
class Blurred:
    """Pictures after a normal blur, by weights of the pixels inside.

    As `embed` of a coupling it lets pictures be matched that are alike but for small shifts.

    Arguments:
        spread: Standard deviation of the blur in pixels.

    Raises:
        ConfigError: `spread` is not a positive number.

    Examples:
        >>> Blurred(1.0)(torch.ones(1, 1, 8, 8), torch.Generator()).shape
        torch.Size([1, 1, 8, 8])
    """

    spread: float

    def __post_init__(self) -> None:
        checks.number(self.spread, "spread", positive=True)

    def __call__(self, x: Tensor, source: torch.Generator | None = None) -> Tensor:
        """Blurred pictures, shape `(n, c, h, w)`.

        Arguments:
            x: Pictures, shape `(n, c, h, w)`.
            source: Not used.
        """
        return blurred(check(x), [self.spread, self.spread])


@dataclass(frozen=True)
class Noisy:
    """Pictures with normal noise.

    Arguments:
        spread: Standard deviation of the noise.

    Raises:
        ConfigError: `spread` is not a positive number.

    Examples:
        >>> Noisy(0.5)(torch.ones(1, 1, 8, 8), torch.Generator().manual_seed(0)).shape
        torch.Size([1, 1, 8, 8])
    """

    spread: float

    def __post_init__(self) -> None:
        checks.number(self.spread, "spread", positive=True)

    def __call__(self, x: Tensor, source: torch.Generator) -> Tensor:
        """Noisy pictures, shape `(n, c, h, w)`.

        Arguments:
            x: Pictures, shape `(n, c, h, w)`.
            source: Generator of the noise.
        """
        noise = torch.randn(check(x).shape, generator=source, device=source.device)
        return x + self.spread * noise.to(x)


def blurred(pictures: Tensor, spreads: list[float]) -> Tensor:
    """Pictures after a normal blur of each axis, by weights of the pixels inside.

    Arguments:
        pictures: Pictures, shape `(n, c, h, w)`.
        spreads: Standard deviations in pixels, of rows and of columns.
    """
    for axis, spread in zip((2, 3), spreads, strict=True):
        places = torch.arange(pictures.shape[axis]).to(pictures)
        weights = (-0.5 * ((places[:, None] - places) / spread) ** 2).exp()
        weights = weights / weights.sum(1, keepdim=True)
        pictures = (pictures.movedim(axis, -1) @ weights.T).movedim(-1, axis)
    return pictures


def check(x: Tensor) -> Tensor:
    """The pictures themselves.

    Raises:
        ShapeError: they are not of the shape `(n, c, h, w)`.
    """
    if x.ndim != 4:
        raise ShapeError(f"Pictures must have the shape (n, c, h, w); got {tuple(x.shape)}.")
    return x
