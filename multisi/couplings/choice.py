"""The choice of a coupling for given marginals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from multisi import registry
from multisi.couplings.base import Coupling
from multisi.data.marginals import AnyMarginal, Marginal
from multisi.data.sources import Stream

_ROWS, _NUMBERS = 256, 2**26
"""Rows of a plan; most numbers of all its rows together, which are held in float64."""


@dataclass(frozen=True)
class Choice:
    """A coupling by its name and options, and why it was chosen.

    Arguments:
        name: The name of the coupling.
        options: Its options that differ from their defaults.
        reason: Why it was chosen, or why not another.

    Examples:
        >>> Choice("ot", {"labels": True}, "rows can be matched within labels").name
        'ot'
    """

    name: str
    options: dict[str, Any]
    reason: str

    def given(self, options: Mapping[str, Any]) -> "Choice":
        """The same with options that replace those that were chosen.

        Arguments:
            options: Options of the coupling.
        """
        return replace(self, options={**self.options, **options})


def choose(marginals: Sequence[AnyMarginal]) -> Choice:
    """The coupling that `coupling="auto"` stands for, which always leaves a score.

    It is optimal transport wherever rows can be matched, and within labels if all datasets have
    labels. Noise is not matched.

    Arguments:
        marginals: The marginals in order.

    Examples:
        >>> import torch
        >>> x = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
        >>> choose([Marginal(x), Marginal(x + 5)])
        Choice(name='ot', options={}, reason='rows can be matched')
    """
    data = [marginal for marginal in marginals if isinstance(marginal, Marginal)]
    if len(data) < 2:
        return Choice(
            "independent", {}, "there is one dataset, and noise has a score if unmatched"
        )
    if any(isinstance(marginal.source, Stream) for marginal in data):
        return Choice("independent", {}, "a stream has no fixed rows to match")
    if len(data) * _ROWS * math.prod(data[0].event_shape) > _NUMBERS:
        return Choice("independent", {}, "samples are too large for plans between many of them")
    if _common_label(data):
        return Choice("ot", {"labels": True}, "rows can be matched within labels")
    return Choice("ot", {}, "rows can be matched")


def automatic(marginals: Sequence[AnyMarginal], **options: Any) -> Coupling:
    """The coupling that `choose` chooses, which is the default of `fit`.

    Arguments:
        marginals: The marginals in order.
        options: Options of that coupling, which replace those that were chosen.

    Raises:
        ConfigError: the coupling does not take an option, or a value is invalid.

    Examples:
        >>> import torch
        >>> x = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
        >>> automatic([Marginal(x), Marginal(x + 5)]).noise_independent
        True
    """
    choice = choose(marginals).given(options)
    return registry.create("coupling", choice.name, Coupling, marginals, **choice.options)


def _common_label(data: Sequence[Marginal]) -> bool:
    """Whether all datasets have labels, and rows with weights share at least one."""
    found = [set() if m.labels is None else set(m.labels[m.shares > 0].tolist()) for m in data]
    return bool(set.intersection(*found))
