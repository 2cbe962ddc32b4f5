"""The network for vectors."""

import math

import torch
from torch import Tensor, nn

from multisi.common import checks
from multisi.networks.parts import Embedding, check_condition, check_memory, mixed, preset_of

PRESETS = {"small": (64, 3, 32), "medium": (128, 3, 64), "large": (512, 4, 128)}
"""The width, the depth and the units of the embedding, by name."""
_MANY = 32
"""Number of features from which on waves make a network rough."""
_LAYER = 2**14
"""What a layer needs besides its weights, as a number of weights."""


class MLP(nn.Module):
    r"""A perceptron whose layers are scaled and shifted by functions of alpha.

    $h \leftarrow \mathrm{silu}\big((1 + s(\alpha)) \odot (W h + b) + t(\alpha)\big)$, where
    $s$ and $t$ are linear in an embedding of $\alpha$ and $\log \alpha$. The inputs of the first
    layer are the state $x$, the waves $\sin B x$ and $\cos B x$ with learned frequencies $B$, and
    the condition.

    Samples of many features are few for their dimension. A network then learns single samples by
    heart, unless it is kept smooth: it gets no waves. In training the state may be blurred by
    normal noise as well, which suits flattened pictures; what the noise covers is left where it is
    by a transport.

    Arguments:
        event_shape: Shape of one sample, `event`; samples other than vectors are flattened.
        marginals: Number of marginals; there is one head per marginal.
        width: Units of each hidden layer; `None` for that of the preset.
        depth: Number of hidden layers; `None` for that of the preset.
        embedding: Units of the embedding of alpha; `None` for those of the preset.
        frequencies: Number of frequencies, 0 for none; `None` for 32, or none from 32 features on.
        condition: Number of features of the condition, 0 without one.
        preset: The sizes to use where none are given: `"small"`, `"medium"` or `"large"`; `None`
            for a size that suits the number of features.
        blur: Standard deviation of the noise that blurs the state in training, in standardised
            units. `fit` blurs flattened pictures by .45 where no marginal is noise.

    Raises:
        ConfigError: a size is not an integer, is too small, or needs more memory than there is;
            or `preset` is unknown.

    Examples:
        >>> network = MLP((2,), marginals=3)
        >>> network(torch.zeros(5, 2), torch.full((5, 3), 1 / 3)).shape
        torch.Size([5, 3, 2])
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        marginals: int,
        width: int | None = None,
        depth: int | None = None,
        embedding: int | None = None,
        frequencies: int | None = None,
        condition: int = 0,
        preset: str | None = None,
        blur: float = 0.0,
    ) -> None:
        super().__init__()
        size = math.prod(event_shape)
        given = {"width": width, "depth": depth, "embedding": embedding}
        width, depth, embedding = (
            checks.integer(default if value is None else value, name)
            for (name, value), default in zip(given.items(), _sizes(preset, size), strict=True)
        )
        self.event_shape = tuple(event_shape)
        self.marginals = marginals
        self.condition = checks.integer(condition, "condition", least=0)
        many = size >= _MANY
        waves = (0 if many else 32) if frequencies is None else frequencies
        waves = checks.integer(waves, "frequencies", least=0)
        self.blur = checks.number(blur, "blur")
        each = width * (width + 2 * embedding) + _LAYER
        weights = width * (size + 2 * waves) + depth * each + size * (waves + marginals * width)
        check_memory(weights, "width, depth or number of frequencies")
        self.frequencies = nn.Linear(size, waves, bias=False) if waves else None
        if self.frequencies is not None:
            nn.init.normal_(self.frequencies.weight, std=size**-0.5)
        self.embed = Embedding(marginals, embedding)
        self.modulate = nn.ModuleList(nn.Linear(embedding, 2 * width) for _ in range(depth))
        read = size + 2 * waves + self.condition
        self.layers = nn.ModuleList(nn.Linear(width if i else read, width) for i in range(depth))
        self.heads = nn.Linear(width, marginals * size)

    def forward(
        self,
        x: Tensor,
        alpha: Tensor,
        condition: Tensor | None = None,
        mix: Tensor | None = None,
    ) -> Tensor:
        """Compute the heads.

        Arguments:
            x: States, shape `(b, *event)`.
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
        embedded = self.embed(alpha)
        h = self._read(x, condition)
        for layer, modulate in zip(self.layers, self.modulate, strict=True):
            scale, shift = modulate(embedded).chunk(2, 1)
            h = torch.nn.functional.silu(torch.addcmul(shift, 1 + scale, layer(h)))
        last = mixed(self.heads, mix, self.marginals)
        heads = torch.nn.functional.linear(h, *last)
        return heads.reshape(len(x), -1 if len(x) else self.marginals, *self.event_shape)

    def _read(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """The inputs of the first layer, shape `(b, ...)`."""
        check_condition(condition, self.condition)
        h = x.reshape(len(x), math.prod(self.event_shape))
        if self.training and self.blur:
            h = h + self.blur * torch.randn_like(h)
        parts = [h]
        if self.frequencies is not None:
            waves = self.frequencies(h)
            parts += [waves.sin(), waves.cos()]
        if condition is not None:
            parts.append(condition.to(h))
        return torch.cat(parts, 1) if len(parts) > 1 else h


def _sizes(preset: str | None, size: int) -> tuple[int, int, int]:
    """Width, depth and units of the embedding, by preset or for a number of features."""
    if preset is None:
        return PRESETS["medium"] if size < 2 * _MANY else (256, 4, 128)
    found: tuple[int, int, int] = preset_of(PRESETS, preset)
    return found
