"""The transformer over patches of pictures."""

import torch
from einops import rearrange
from torch import Tensor, nn

from multisi.common import checks
from multisi.errors import ConfigError
from multisi.networks.parts import check_memory, mixed, preset_of
from multisi.networks.pictures import PictureNetwork, attend, modulated

PRESETS = {"small": (192, 6, 3), "medium": (384, 8, 6), "large": (768, 12, 12)}
"""The width, the depth and the heads of attention, by name."""
_PATCHES = 64
"""Most patches of a picture by default."""


class Transformer(PictureNetwork):
    r"""A diffusion transformer: attention between patches, scaled, shifted and gated by alpha.

    $h \leftarrow h + a(\alpha)\, \mathrm{attention}\big((1 + s(\alpha))\, \mathrm{norm}\,h +
    t(\alpha)\big)$, and the same with a perceptron; all gates $a$ are zero at first. Pictures may
    have any size: they are padded to whole patches, and cut again.

    With the presets, patches of 8 × 8 and three marginals of 3 × 64 × 64 there are 4.2, 22 and 129
    million weights.

    Arguments:
        event_shape: Channels, height and width.
        marginals: Number of marginals; there is one head per marginal.
        width: Features of a patch; `None` for those of the preset.
        depth: Number of blocks; `None` for that of the preset.
        attention_heads: Heads of attention, a divisor of the width; `None` for the preset's.
        patch: Side of a patch; `None` for the least power of two with at most 64 patches.
        condition: Number of features of the condition, 0 without one.
        preset: The sizes where none are given: `"small"`, `"medium"` or `"large"`.
        checkpointed: Whether activations of blocks are computed again in the backward pass, which
            takes a third longer and far less memory.

    Raises:
        ConfigError: samples are not pictures, a picture is smaller than a patch, a size is not a
            positive integer or does not fit the others, needs more memory than there is, or
            `preset` is unknown.

    References:
        Peebles, Xie. Scalable diffusion models with transformers (2023), arXiv:2212.09748.

    Examples:
        >>> network = Transformer((1, 9, 7), marginals=2, width=16, depth=1, attention_heads=2)
        >>> network(torch.zeros(5, 1, 9, 7), torch.full((5, 2), 0.5)).shape
        torch.Size([5, 2, 1, 9, 7])
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        marginals: int,
        width: int | None = None,
        depth: int | None = None,
        attention_heads: int | None = None,
        patch: int | None = None,
        condition: int = 0,
        preset: str = "small",
        checkpointed: bool = False,
    ) -> None:
        given = {"width": width, "depth": depth, "attention_heads": attention_heads}
        units, layers, groups = (
            checks.integer(default if value is None else value, name)
            for (name, value), default in zip(
                given.items(), preset_of(PRESETS, preset), strict=True
            )
        )
        if units % groups:
            raise ConfigError(
                f"width must be a multiple of attention_heads; got {units} and {groups}."
            )
        check_memory(18.0 * layers * float(units) ** 2, "width or depth")
        super().__init__(event_shape, marginals, units, condition, checkpointed)
        channels, *sides = event_shape
        self.multiple = _patch(sides) if patch is None else checks.integer(patch, "patch")
        if self.multiple > min(sides):
            raise ConfigError(
                f"Pictures of {sides[0]} x {sides[1]} pixels are smaller than a patch of "
                f"{self.multiple}. Use a smaller patch, or larger pictures."
            )
        rows, columns = (-(-side // self.multiple) for side in sides)
        self.read = nn.Linear(self.inputs * self.multiple**2, units)
        self.places = nn.Parameter(0.02 * torch.randn(rows * columns, units))
        self.blocks = nn.ModuleList(TransformerBlock(units, groups) for _ in range(layers))
        self.norm = nn.LayerNorm(units, elementwise_affine=False)
        self.modulate = nn.Linear(units, 2 * units)
        self.heads = nn.Linear(units, marginals * channels * self.multiple**2)

    def draw(self, x: Tensor, told: Tensor, mix: Tensor | None) -> Tensor:
        """The channels of all heads, or of their combinations."""
        p, rows = self.multiple, x.shape[2] // self.multiple
        h = self.read(rearrange(x, "b c (y p) (x q) -> b (y x) (c p q)", p=p, q=p)) + self.places
        for block in self.blocks:
            h = self.run(block, h, told)
        h = along(self.norm(h), *self.modulate(told).chunk(2, 1))
        h = nn.functional.linear(h, *mixed(self.heads, mix, self.marginals))
        return rearrange(h, "b (y x) (n p q) -> b n (y p) (x q)", y=rows, p=p, q=p)


class TransformerBlock(nn.Module):
    """Attention between patches and a perceptron for each, both gated by alpha."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.read = nn.Linear(width, 3 * width)
        self.write = nn.Linear(width, width)
        self.think = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )
        self.modulate = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        """Features of patches, `(b, n, width)`."""
        scale, shift, gate, *rest = self.modulate(told).chunk(6, 1)
        read = self.read(along(self.norm(h), scale, shift))
        q, k, v = rearrange(read, "b n (t g c) -> t b g n c", t=3, g=self.groups)
        seen = self.write(rearrange(attend(q, k, v), "b g n c -> b n (g c)"))
        h = h + gate[:, None] * seen
        found: Tensor = h + rest[2][:, None] * self.think(along(self.norm(h), *rest[:2]))
        return found


def along(h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Features `(b, n, c)` scaled by one plus a scale, and shifted."""
    return modulated(h.mT, scale, shift).mT


def _patch(sides: list[int]) -> int:
    patch = 1
    while -(-sides[0] // patch) * -(-sides[1] // patch) > _PATCHES and patch < min(sides):
        patch *= 2
    return patch
