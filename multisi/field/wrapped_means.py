"""Conditional means with a wrapped network, for additional work at every network call."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from multisi.errors import ConfigError
from multisi.field.conditional_means import ConditionalMeans

_PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def counted(means: ConditionalMeans, update: Callable[[], Any]) -> ConditionalMeans:
    """The same means, with a call of `update` before every network call."""

    @_like(means)
    def network(x: Tensor, *args: Any, **options: Any) -> Any:
        update()
        return means.network(x, *args, **options)

    return ConditionalMeans(network, constants=means.constants)


def autocast(means: ConditionalMeans, precision: str) -> ConditionalMeans:
    """The same means, with the network in a shorter type; the state keeps its own type.

    Arguments:
        means: The means to wrap.
        precision: `"bfloat16"` or `"float16"`.

    Raises:
        ConfigError: `precision` is neither of these.
    """
    if not isinstance(precision, str) or precision not in _PRECISIONS:
        raise ConfigError(f"precision must be one of {', '.join(_PRECISIONS)}; got {precision!r}.")
    kind = _PRECISIONS[precision]

    @_like(means)
    def network(x: Tensor, *args: Any, **options: Any) -> Any:
        with torch.autocast(x.device.type, kind):
            return means.network(x, *args, **options)

    return ConditionalMeans(network, constants=means.constants)


def guided(means: ConditionalMeans, none: Tensor, scale: float) -> ConditionalMeans:
    r"""The same means, led away from those of another condition: $g_0 + s\,(g_c - g_0)$.

    Arguments:
        means: The means $g_c$, whose network takes a condition.
        none: The other condition, in standardised units, shape `(c,)`.
        scale: $s$; 1 for the means themselves.
    """

    @_like(means)
    def network(x: Tensor, *args: Any, condition: Tensor, **options: Any) -> Any:
        free = means.network(
            x, *args, condition=none.to(condition).expand_as(condition), **options
        )
        return torch.lerp(free, means.network(x, *args, condition=condition, **options), scale)

    return ConditionalMeans(network, constants=means.constants)


def _like(means: ConditionalMeans) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a wrapper the signature of the network, from which its optional inputs are read."""
    return functools.wraps(getattr(means.network, "forward", means.network))
