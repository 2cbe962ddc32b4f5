"""What networks have in common: the embedding of alpha, mixed heads, conditions, and sizes."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from multisi.common import devices
from multisi.errors import ConfigError, ShapeError

_NEAR = 1e-3
"""Distance from a face of the simplex below which the embedding hardly separates points."""


class Embedding(nn.Sequential):
    r"""Features of points of the simplex: linear in $\alpha$ and $\log \alpha$, then a SiLU.

    Arguments:
        marginals: Number of marginals.
        units: Number of features.
    """

    def __init__(self, marginals: int, units: int) -> None:
        super().__init__(nn.Linear(2 * marginals, units), nn.SiLU())

    def forward(self, alpha: Tensor) -> Tensor:
        """Features `(b, units)` of `alpha`, `(b, k)`; one row if it is one point expanded."""
        if alpha.stride(0) == 0:  # One point for the whole batch: embed it once.
            alpha = alpha[:1]
        linear, bend = self
        embedded: Tensor = bend(linear(torch.cat([alpha, (alpha + _NEAR).log() / 3], 1)))
        return embedded


def mixed(
    layer: nn.Linear | nn.Conv2d, mix: Tensor | None, marginals: int
) -> tuple[Tensor, Tensor | None]:
    """Weights and bias of a last layer whose outputs are combinations of the heads.

    Arguments:
        layer: The layer, whose outputs are those of head 0, then those of head 1, and so on.
        mix: Coefficients of the combinations, shape `(r, k)`; `None` for the heads as they are.
        marginals: Number of heads.
    """
    weight, bias = layer.weight, layer.bias
    if mix is None or bias is None:
        return weight, bias
    combined = (mix @ weight.reshape(marginals, -1)).reshape(-1, *weight.shape[1:])
    return combined, (mix @ bias.reshape(marginals, -1)).flatten()


def preset_of(presets: Mapping[str, Any], name: str) -> Any:
    """The sizes of a preset.

    Raises:
        ConfigError: it is unknown.
    """
    if name not in presets:
        raise ConfigError(f"preset must be one of {', '.join(presets)}; got {name!r}.")
    return presets[name]


def check_condition(condition: Any, features: int) -> None:
    """Check that a condition has as many features as a network takes.

    Raises:
        ShapeError: it has another number.
    """
    vectors = isinstance(condition, Tensor) and condition.ndim > 0
    found = condition.shape[-1] if vectors else 0
    if found != features or (condition is not None and not vectors):
        got = f"{found}" if vectors or condition is None else repr(condition)
        raise ShapeError(f"The network takes a condition of {features} features; got {got}.")


def check_memory(weights: float, advice: str) -> None:
    """Check, before any layer is made, that about so many weights fit in the memory.

    Raises:
        ConfigError: they do not.
    """
    memory = devices.memory()
    if memory is not None and 8 * weights > memory:  # Training holds them several times.
        raise ConfigError(
            f"A network of this size has about {weights:.3g} weights, {4 * weights:.3g} bytes; "
            f"this machine has {memory:.3g}. Use a smaller {advice}."
        )
