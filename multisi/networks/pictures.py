"""What networks for pictures have in common: shapes, padding, and modulation by alpha."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual
from torch.utils.checkpoint import checkpoint

from multisi.common import checks
from multisi.errors import ConfigError
from multisi.networks.parts import Embedding, check_condition


class PictureNetwork(nn.Module, ABC):
    """A network whose states are pictures, with one head per marginal.

    Pictures may have any size: they are padded to sides that the network can use, and cut again. A
    condition of as many features as a picture is a picture too: its channels join those of the
    state.

    Attributes:
        multiple: What sides are padded to a multiple of.
        inputs: Number of channels that the network reads.

    Arguments:
        event_shape: Channels, height and width.
        marginals: Number of marginals.
        embedding: Units of the embedding of alpha.
        condition: Number of features of the condition, 0 without one.
        checkpointed: Whether activations of blocks are computed again in the backward pass.

    Raises:
        ConfigError: states are not pictures, or a size is not a positive integer.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        marginals: int,
        embedding: int,
        condition: int,
        checkpointed: bool,
    ) -> None:
        super().__init__()
        self.multiple = 1
        if len(event_shape) != 3 or 0 in event_shape:
            raise ConfigError(
                "This network takes pictures, (channels, height, width); samples have the shape "
                f"{tuple(event_shape)}. Reshape them, or use network='mlp'."
            )
        self.event_shape, self.marginals = tuple(event_shape), marginals
        self.condition = checks.integer(condition, "condition", least=0)
        self.checkpointed = checks.instance(checkpointed, bool, "checkpointed")
        self.embed = Embedding(marginals, embedding)
        seen = condition == math.prod(event_shape)
        self.inputs = event_shape[0] * (2 if seen else 1)
        self.tell = nn.Linear(condition, embedding) if condition and not seen else None

    def forward(
        self,
        x: Tensor,
        alpha: Tensor,
        condition: Tensor | None = None,
        mix: Tensor | None = None,
    ) -> Tensor:
        """Compute the heads.

        Arguments:
            x: States, shape `(b, channels, height, width)`.
            alpha: Points of the simplex, shape `(b, k)`.
            condition: The condition, shape `(b, c)`; `None` without one.
            mix: Coefficients of combinations of the heads, shape `(r, k)`; the last layer then
                computes these combinations only.

        Returns:
            The heads, shape `(b, k, *event)`, or with `mix` their combinations, shape
            `(b, r, *event)`.

        Raises:
            ShapeError: the condition has another number of features than the network.
        """
        check_condition(condition, self.condition)
        told = self.embed(alpha)
        if self.tell is not None and condition is not None:
            told = told + self.tell(condition.to(told))
        elif condition is not None:
            x = torch.cat([x, condition.to(x).reshape(x.shape)], 1)
        channels, height, width = self.event_shape
        drawn = self.draw(padded(x, self.multiple), told, mix)[:, :, :height, :width]
        rows = drawn.shape[1] // channels
        return drawn.reshape(len(x), rows, channels, height, width)

    @abstractmethod
    def draw(self, x: Tensor, told: Tensor, mix: Tensor | None) -> Tensor:
        """The channels of all heads, or of their combinations, `(b, r * channels, h, w)`.

        Arguments:
            x: Padded pictures, `(b, inputs, h, w)`.
            told: Features of alpha and the condition, `(b, units)`, or one row for one point.
            mix: Coefficients of combinations of the heads; `None` for the heads as they are.
        """

    def run(self, block: nn.Module, *inputs: Tensor) -> Tensor:
        """The output of a block, whose activations are kept or computed again."""
        if self.checkpointed and self.training and torch.is_grad_enabled():
            found: Tensor = checkpoint(block, *inputs, use_reentrant=False)
            return found
        found = block(*inputs)
        return found


def padded(x: Tensor, multiple: int) -> Tensor:
    """Pictures whose sides are multiples of a number: the last row and column are repeated."""
    bottom, right = (-side % multiple for side in x.shape[-2:])
    if not bottom and not right:
        return x
    return nn.functional.pad(x, (0, right, 0, bottom), mode="replicate")


def modulated(h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Features scaled by one plus a scale, and shifted: the axes of `h` are `(b, c, …)`."""
    more = (1,) * (h.ndim - 2)
    return torch.addcmul(
        shift.reshape(*shift.shape, *more), 1 + scale.reshape(*scale.shape, *more), h
    )


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of rows, `(b, heads, n, c)` each."""
    if torch.compiler.is_compiling() or unpack_dual(q).tangent is None:  # type: ignore[no-untyped-call]
        return nn.functional.scaled_dot_product_attention(q, k, v)
    # PyTorch's fused attention has no derivative forward.
    seen: Tensor = ((q @ k.mT) * q.shape[-1] ** -0.5).softmax(-1) @ v
    return seen
