"""What networks for pictures have in common: shapes, padding, and modulation by alpha."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.forward_ad import unpack_dual
from torch.utils.checkpoint import checkpoint

from multisi.common import checks
from multisi.errors import ConfigError
from multisi.networks.parts import Embedding, check_condition


class PictureNetwork(nn.Module):
    """A network whose states are pictures, with one head per marginal.

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
        if len(event_shape) != 3 or 0 in event_shape:
            raise ConfigError(
                "This network takes pictures, (channels, height, width); samples have the shape "
                f"{tuple(event_shape)}. Reshape them, or use network='mlp'."
            )
        self.event_shape, self.marginals = tuple(event_shape), marginals
        self.condition = checks.integer(condition, "condition", least=0)
        self.checkpointed = checks.instance(checkpointed, bool, "checkpointed")
        self.embed = Embedding(marginals, embedding)
        self.tell = nn.Linear(condition, embedding) if condition else None

    def embedded(self, alpha: Tensor, condition: Any) -> Tensor:
        """Features of points and conditions, shape `(b, units)`, or one row for one point."""
        check_condition(condition, self.condition)
        found: Tensor = self.embed(alpha)
        return found if self.tell is None else found + self.tell(condition.to(found))

    def run(self, block: nn.Module, *inputs: Tensor) -> Tensor:
        """The output of a block, whose activations are kept or computed again."""
        if self.checkpointed and self.training and torch.is_grad_enabled():
            found: Tensor = checkpoint(block, *inputs, use_reentrant=False)
            return found
        found = block(*inputs)
        return found

    def shaped(self, heads: Tensor) -> Tensor:
        """Heads `(b, r, c, height, width)` of channels, without what `padded` added."""
        channels, height, width = self.event_shape
        rows = heads.shape[1] // channels
        heads = heads[:, :, :height, :width]
        return heads.reshape(len(heads), rows, channels, height, width)


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
