"""The network for vectors."""

import math

import torch
from einops import rearrange
from torch import Tensor, nn

from multisi import checks
from multisi.errors import ShapeError


class MLP(nn.Module):
    r"""A perceptron whose layers are scaled and shifted by functions of alpha.

    $h \leftarrow \mathrm{silu}\big((1 + s(\alpha)) \odot (W h + b) + t(\alpha)\big)$, where
    $s$ and $t$ are linear in a small embedding of $\alpha$. A condition is read beside the state.

    Arguments:
        event_shape: Shape of one sample; anything but vectors is flattened.
        marginals: How many marginals, hence heads, there are.
        width: Units of a hidden layer.
        depth: Number of hidden layers.
        embedding: Units of the embedding of alpha.
        condition: Features of the condition, 0 without one.

    Raises:
        ConfigError: a size below one.

    Example:
        >>> network = MLP((2,), marginals=3)
        >>> network(torch.zeros(5, 2), torch.full((5, 3), 1 / 3)).shape
        torch.Size([5, 3, 2])
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        marginals: int,
        width: int = 128,
        depth: int = 3,
        embedding: int = 64,
        condition: int = 0,
    ) -> None:
        super().__init__()
        for name, size in (("width", width), ("depth", depth), ("embedding", embedding)):
            checks.integer(size, name)
        self.event_shape = tuple(event_shape)
        self.marginals = marginals
        size = math.prod(self.event_shape)
        self.condition = checks.integer(condition, "condition", least=0)
        self.embed = nn.Sequential(
            nn.Linear(marginals, embedding), nn.SiLU(), nn.Linear(embedding, embedding), nn.SiLU()
        )
        self.modulate = nn.Linear(embedding, 2 * width * depth)
        self.layers = nn.ModuleList(
            nn.Linear(size + condition if i == 0 else width, width) for i in range(depth)
        )
        self.heads = nn.Linear(width, marginals * size)

    def forward(
        self,
        x: Tensor,
        alpha: Tensor,
        condition: Tensor | None = None,
        mix: Tensor | None = None,
    ) -> Tensor:
        """The heads, shape `(b, k, *event)`.

        Arguments:
            x: States, shape `(b, *event)`.
            alpha: Points of the simplex, shape `(b, k)`.
            condition: The condition, shape `(b, c)`, where the network has one.
            mix: Coefficients `(r, k)`, to be answered by these combinations of the heads,
                `(b, r, *event)`; the last layer is then no larger than they are.
        """
        told = 0 if condition is None else condition.shape[-1]
        if told != self.condition:
            raise ShapeError(
                f"The network takes a condition of {self.condition} features; got {told}."
            )
        if alpha.stride(0) == 0:  # One point for the whole batch: modulate once.
            alpha = alpha[:1]
        modulation = self.modulate(self.embed(alpha))
        scales, shifts = rearrange(modulation, "b (s l w) -> s l b w", s=2, l=len(self.layers))
        h = x.reshape(len(x), math.prod(self.event_shape))
        if condition is not None:
            h = torch.cat([h, condition.to(h)], 1)
        for layer, scale, shift in zip(self.layers, scales, shifts, strict=True):
            h = torch.nn.functional.silu(torch.addcmul(shift, 1 + scale, layer(h)))
        weight: Tensor = self.heads.weight
        bias: Tensor = self.heads.bias
        if mix is not None:
            each = weight.reshape(self.marginals, -1, weight.shape[1])
            weight = torch.einsum("rk,kdw->rdw", mix, each).flatten(0, 1)
            bias = (mix @ bias.reshape(self.marginals, -1)).flatten()
        heads = torch.nn.functional.linear(h, weight, bias)
        return heads.reshape(len(x), -1 if len(x) else self.marginals, *self.event_shape)
