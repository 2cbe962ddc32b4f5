"""The convolutional network for pictures."""

import math
from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from multisi.common import checks
from multisi.errors import ConfigError
from multisi.networks.parts import check_memory, mixed, preset_of
from multisi.networks.pictures import PictureNetwork, attend, modulated

PRESETS = {
    "small": (32, (1, 2), 1),
    "medium": (64, (1, 2, 2), 2),
    "large": (128, (1, 2, 2, 2), 3),
}
"""The channels, their multiples and the blocks of each level, by name."""
_SMALLEST = 4
"""Least side of the pictures of the last level."""
_LOOKED_AT = 1024
"""Most pixels of a level between all of which there is attention by default."""
_GROUP, _HEAD = 16, 32
"""Channels that are normalised together, and of a head of attention, at most."""


class UNet(PictureNetwork):
    r"""Blocks of convolutions from fine to coarse and back, with attention at the coarsest level.

    Every block is scaled and shifted by functions of alpha, $h \leftarrow h + \mathrm{conv}\,
    \mathrm{silu}\big((1 + s(\alpha)) \odot \mathrm{norm}(\mathrm{conv}\,\mathrm{silu}\,
    \mathrm{norm}\,h) + t(\alpha)\big)$. Pictures may have any size: sides that cannot be halved
    are padded, and cut again.

    With the presets and three marginals of 3 × 64 × 64 there are .7, 6.5 and 49 million weights.

    Arguments:
        event_shape: Channels, height and width.
        marginals: Number of marginals; there is one head per marginal.
        channels: Channels of the first level; `None` for those of the preset.
        multiples: Channels of each level, in those of the first; `None` for those of the preset,
            as many as keep the sides of the last level at 4 at least.
        blocks: Blocks of each level on the way down; `None` for those of the preset.
        attention: Whether there is attention at the last level; `None` for levels of at most 1,024
            pixels.
        dropout: Share of features that are left out in training.
        condition: Number of features of the condition, 0 without one.
        preset: The sizes where none are given: `"small"`, `"medium"` or `"large"`.
        checkpointed: Whether activations of blocks are computed again in the backward pass, which
            takes a third longer and far less memory.

    Raises:
        ConfigError: samples are not pictures, a size is not a positive integer, needs more memory
            than there is, or `preset` is unknown.

    References:
        Ronneberger, Fischer, Brox. U-Net (2015), arXiv:1505.04597.
        Dhariwal, Nichol. Diffusion models beat GANs on image synthesis (2021), arXiv:2105.05233.

    Examples:
        >>> network = UNet((1, 9, 7), marginals=2, channels=8)
        >>> network(torch.zeros(5, 1, 9, 7), torch.full((5, 2), 0.5)).shape
        torch.Size([5, 2, 1, 9, 7])
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        marginals: int,
        channels: int | None = None,
        multiples: Sequence[int] | None = None,
        blocks: int | None = None,
        attention: bool | None = None,
        dropout: float = 0.0,
        condition: int = 0,
        preset: str = "small",
        checkpointed: bool = False,
    ) -> None:
        preset_channels, preset_multiples, preset_blocks = preset_of(PRESETS, preset)
        first = checks.integer(preset_channels if channels is None else channels, "channels")
        count = checks.integer(preset_blocks if blocks is None else blocks, "blocks")
        if multiples is None:
            most = math.log2(max(1.0, min(event_shape[1:], default=1) / _SMALLEST))
            multiples = preset_multiples[: 1 + int(most)]
        widths = [first * checks.integer(m, "multiples") for m in multiples]
        check_memory(40.0 * count * sum(float(w) ** 2 for w in widths), "channels or blocks")
        super().__init__(event_shape, marginals, 4 * first, condition, checkpointed)
        drop = checks.number(dropout, "dropout")
        if not widths or drop >= 1:
            raise ConfigError(
                "multiples needs one level at least, and dropout is less than 1; got "
                f"{multiples!r} and {dropout!r}."
            )
        self.multiple = 2 ** (len(widths) - 1)
        self.first = nn.Conv2d(self.inputs, first, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        kept, width = [first], first
        for level, wide in enumerate(widths):
            for _ in range(count):
                self.down.append(Block(width, wide, 4 * first, drop))
                width = wide
                kept.append(width)
            if level < len(widths) - 1:
                self.down.append(Halve(width))
                kept.append(width)
        self.middle = nn.ModuleList(Block(width, width, 4 * first, drop) for _ in range(2))
        if attention is None:
            attention = math.prod(event_shape[1:]) <= _LOOKED_AT * self.multiple**2
        self.look = Attention(width) if checks.instance(attention, bool, "attention") else None
        for level, wide in reversed(list(enumerate(widths))):
            for _ in range(count + 1):
                self.up.append(Block(width + kept.pop(), wide, 4 * first, drop))
                width = wide
            if level:
                self.up.append(Double(width))
        self.norm = _norm(width)
        self.heads = nn.Conv2d(width, marginals * event_shape[0], 3, padding=1)

    def draw(self, x: Tensor, told: Tensor, mix: Tensor | None) -> Tensor:
        """The channels of all heads, or of their combinations."""
        h = self.first(x)
        kept = [h]
        for block in self.down:
            h = self.run(block, h, told)
            kept.append(h)
        h = self.run(self.middle[0], h, told)
        if self.look is not None:
            h = self.run(self.look, h)
        h = self.run(self.middle[1], h, told)
        for block in self.up:
            wide = isinstance(block, Block)
            h = self.run(block, torch.cat([h, kept.pop()], 1) if wide else h, told)
        last = mixed(self.heads, mix, self.marginals)
        return nn.functional.conv2d(nn.functional.silu(self.norm(h)), *last, padding=1)


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, inside: int, outside: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([_norm(inside), _norm(outside)])
        self.read = nn.Conv2d(inside, outside, 3, padding=1)
        self.write = nn.Conv2d(outside, outside, 3, padding=1)
        self.modulate = nn.Linear(embedding, 2 * outside)
        self.drop = nn.Dropout(dropout)
        self.skip = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)  # type: ignore[arg-type]

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        """Features of the block, `(b, outside, height, width)`."""
        inner = self.read(nn.functional.silu(self.norms[0](h)))
        inner = modulated(self.norms[1](inner), *self.modulate(told).chunk(2, 1))
        found: Tensor = self.skip(h) + self.write(self.drop(nn.functional.silu(inner)))
        return found


class Attention(nn.Module):
    """Attention between all pixels, added to them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.heads = channels // math.gcd(channels, _HEAD)
        self.read = nn.Conv2d(channels, 3 * channels, 1)
        self.write = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)  # type: ignore[arg-type]

    def forward(self, h: Tensor) -> Tensor:
        """Features, `(b, channels, height, width)`."""
        q, k, v = rearrange(
            self.read(self.norm(h)), "b (n g c) y x -> n b g (y x) c", n=3, g=self.heads
        )
        seen = attend(q, k, v)
        found: Tensor = h + self.write(
            rearrange(seen, "b g (y x) c -> b (g c) y x", y=h.shape[2], x=h.shape[3])
        )
        return found


class Halve(nn.Module):
    """A convolution that halves the sides."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.read = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        """Features of half the sides."""
        found: Tensor = self.read(h)
        return found


class Double(nn.Module):
    """Pixels are repeated, and a convolution follows."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.read = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        """Features of twice the sides."""
        found: Tensor = self.read(nn.functional.interpolate(h, scale_factor=2.0, mode="nearest"))
        return found


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // math.gcd(channels, _GROUP), channels)
