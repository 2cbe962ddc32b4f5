"""Transformers for multisi: over the patches of images, and over sets of points."""

import math

import torch
from einops import rearrange
from torch import nn

import multisi
from multisi.errors import ConfigError, ShapeError


class Block(nn.Module):
    """Attention and a perceptron, each scaled, shifted and gated by functions of alpha."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.project = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.mix = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )
        self.modulate = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, h, told):
        """Tokens `(b, n, width)` after the block; `told` is `(b, width)`."""
        a, b, c, d, e, f = self.modulate(told)[:, None].chunk(6, -1)
        h = h + c * self.attend(self.norms[0](h) * (1 + a) + b)
        return h + f * self.mix(self.norms[1](h) * (1 + d) + e)

    def attend(self, h):
        """Each token's mean of the others, by likeness."""
        q, k, v = rearrange(self.project(h), "b n (s h d) -> s b h n d", s=3, h=self.heads)
        likeness = torch.einsum("bhnd,bhmd->bhnm", q, k) / math.sqrt(q.shape[-1])
        mixed = torch.einsum("bhnm,bhmd->bhnd", likeness.softmax(-1), v)
        return self.join(rearrange(mixed, "b h n d -> b n (h d)"))


class Transformer(nn.Module):
    """Tokens in, one head a marginal out, modulated by alpha as in DiT (arXiv:2212.09748).

    Arguments:
        size: Numbers of a token.
        tokens: How many tokens have a place of their own; 0 for a set.
        marginals: How many marginals there are.
        width: Features of a token inside.
        depth: Number of blocks.
        heads: Attention heads, which share the width.
        condition: Features of the condition, 0 without one.
    """

    def __init__(self, size, tokens, marginals, width, depth, heads, condition):
        super().__init__()
        if width % heads:
            raise ConfigError(f"width must be a multiple of heads; got {width} and {heads}.")
        self.marginals, self.condition = marginals, condition
        self.enter = nn.Linear(size, width)
        self.places = nn.Parameter(0.02 * torch.randn(tokens, width)) if tokens else None
        self.tell = nn.Sequential(
            nn.Linear(marginals + condition, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, marginals * size)

    def forward(self, tokens, alpha, condition):
        """Heads `(b, k, n, size)` for tokens `(b, n, size)`."""
        count = 0 if condition is None else condition.shape[-1]
        if count != self.condition:
            raise ShapeError(f"expected a condition of {self.condition} features; got {count}.")
        told = alpha if condition is None else torch.cat([alpha, condition.to(alpha)], -1)
        told = self.tell(told)
        h = self.enter(tokens)
        if self.places is not None:
            h = h + self.places
        for block in self.blocks:
            h = block(h, told)
        return rearrange(self.leave(self.norm(h)), "b n (k s) -> b k n s", k=self.marginals)


class PatchTransformer(nn.Module):
    """A transformer over the square patches of an image `(channels, height, width)`.

    Arguments:
        event_shape: Shape of an image.
        marginals: How many marginals there are.
        patch: Side of a patch; it must divide height and width.
        width: Features of a token.
        depth: Number of blocks.
        heads: Attention heads.
        condition: Features of the condition, 0 without one.

    Raises:
        ShapeError: images of another shape, or that do not divide into patches.
        ConfigError: a width that is no multiple of the heads.

    Example:
        >>> network = PatchTransformer((3, 8, 8), marginals=2)
        >>> network(torch.zeros(5, 3, 8, 8), torch.full((5, 2), 0.5)).shape
        torch.Size([5, 2, 3, 8, 8])
    """

    def __init__(self, event_shape, marginals, patch=4, width=128, depth=4, heads=4, condition=0):
        super().__init__()
        if len(event_shape) != 3 or event_shape[1] % patch or event_shape[2] % patch:
            raise ShapeError(
                "patch-transformer needs images (channels, height, width) that patches of "
                f"{patch} divide; got {tuple(event_shape)}."
            )
        channels, self.height, side = event_shape
        self.patch = patch
        tokens = (self.height // patch) * (side // patch)
        self.body = Transformer(
            channels * patch**2, tokens, marginals, width, depth, heads, condition
        )

    def forward(self, x, alpha, condition=None):
        """The heads, shape `(b, k, channels, height, width)`."""
        p, rows = self.patch, self.height // self.patch
        tokens = rearrange(x, "b c (h p) (w q) -> b (h w) (c p q)", p=p, q=p)
        heads = self.body(tokens, alpha, condition)
        return rearrange(heads, "b k (h w) (c p q) -> b k c (h p) (w q)", h=rows, p=p, q=p)


class SetTransformer(nn.Module):
    """A transformer over the members of a set `(members, features)`, whose order does not matter.

    Arguments:
        event_shape: Shape of a set; a vector is a set of numbers, each with a place.
        marginals: How many marginals there are.
        width: Features of a token.
        depth: Number of blocks.
        heads: Attention heads.
        condition: Features of the condition, 0 without one.

    Raises:
        ShapeError: samples that are neither sets nor vectors.
        ConfigError: a width that is no multiple of the heads.

    Example:
        >>> network = SetTransformer((10, 3), marginals=2)
        >>> network(torch.zeros(5, 10, 3), torch.full((5, 2), 0.5)).shape
        torch.Size([5, 2, 10, 3])
    """

    def __init__(self, event_shape, marginals, width=128, depth=4, heads=4, condition=0):
        super().__init__()
        if len(event_shape) not in (1, 2):
            raise ShapeError(
                "set-transformer needs sets (members, features), or vectors; "
                f"got {tuple(event_shape)}."
            )
        self.event_shape = tuple(event_shape)
        vector = len(event_shape) == 1
        size, tokens = (1, event_shape[0]) if vector else (event_shape[1], 0)
        self.body = Transformer(size, tokens, marginals, width, depth, heads, condition)

    def forward(self, x, alpha, condition=None):
        """The heads, shape `(b, k, *event)`."""
        tokens = x[..., None] if len(self.event_shape) == 1 else x
        heads = self.body(tokens, alpha, condition)
        return heads.reshape(*heads.shape[:2], *self.event_shape)


@multisi.hookimpl
def multisi_register_networks():
    """The networks of this package."""
    return {"patch-transformer": PatchTransformer, "set-transformer": SetTransformer}
