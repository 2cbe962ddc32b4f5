"""A transformer for multisi, over sets of points and the entries of vectors."""

import math

import torch
from einops import rearrange
from torch import nn

import multisi
from multisi.errors import ConfigError, ShapeError


class Block(nn.Module):
    """Attention and a perceptron, each scaled, shifted and gated by functions of alpha.

    Arguments:
        width: Features of a token.
        heads: Number of attention heads.
    """

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

    def forward(self, h, embedding):
        """The tokens after the block, shape `(b, n, width)`.

        Arguments:
            h: Tokens, shape `(b, n, width)`.
            embedding: Embedding of alpha and the condition, shape `(b, width)`.
        """
        a, b, c, d, e, f = self.modulate(embedding)[:, None].chunk(6, -1)
        h = h + c * self.attend(self.norms[0](h) * (1 + a) + b)
        return h + f * self.mix(self.norms[1](h) * (1 + d) + e)

    def attend(self, h):
        """Multi-head self-attention of tokens `(b, n, width)`."""
        q, k, v = rearrange(self.project(h), "b n (s h d) -> s b h n d", s=3, h=self.heads)
        scores = torch.einsum("bhnd,bhmd->bhnm", q, k) / math.sqrt(q.shape[-1])
        mixed = torch.einsum("bhnm,bhmd->bhnd", scores.softmax(-1), v)
        return self.join(rearrange(mixed, "b h n d -> b n (h d)"))


class Transformer(nn.Module):
    """A transformer from tokens to one head per marginal, modulated by alpha as in DiT.

    Arguments:
        size: Length of a token.
        tokens: Number of tokens with position embeddings; 0 for sets.
        marginals: Number of marginals.
        width: Features of a token inside the network.
        depth: Number of blocks.
        heads: Number of attention heads, which must divide the width.
        condition: Features of the condition; 0 for none.

    Raises:
        ConfigError: `width` is not a multiple of `heads`.

    References:
        Peebles, Xie. Scalable diffusion models with transformers (2022), arXiv:2212.09748.
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
        """The heads, shape `(b, k, n, size)`, for tokens `(b, n, size)` and alpha `(b, k)`.

        Raises:
            ShapeError: the condition has another number of features.
        """
        count = 0 if condition is None else condition.shape[-1]
        if count != self.condition:
            raise ShapeError(
                f"condition must have {self.condition} features; got {count}. Pass the condition "
                "that the network was created for."
            )
        inputs = alpha if condition is None else torch.cat([alpha, condition.to(alpha)], -1)
        embedding = self.tell(inputs)
        h = self.enter(tokens)
        if self.places is not None:
            h = h + self.places
        for block in self.blocks:
            h = block(h, embedding)
        return rearrange(self.leave(self.norm(h)), "b n (k s) -> b k n s", k=self.marginals)


class SetTransformer(nn.Module):
    """A transformer over the members of a set `(members, features)`, whose order does not matter.

    Arguments:
        event_shape: Shape of a set, or of a vector, whose entries are tokens with positions.
        marginals: Number of marginals.
        width: Features of a token.
        depth: Number of blocks.
        heads: Number of attention heads.
        condition: Features of the condition; 0 for none.

    Raises:
        ShapeError: `event_shape` is neither that of a set nor that of a vector.
        ConfigError: `width` is not a multiple of `heads`.

    Examples:
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
    return {"set-transformer": SetTransformer}
