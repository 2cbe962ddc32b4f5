"""Rectification: rounds of training on the pairs that the model of the round before makes."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from multisi.analysis.few_calls import few_calls
from multisi.common import checks
from multisi.errors import ConfigError

_LOG = logging.getLogger("multisi")
_STEPS = 16
"""Steps of the transports that make the pairs."""


def rectified(
    model: Any,
    rounds: int,
    held_out: Mapping[str, Any] | None,
    coupling_options: Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> Any:
    """The model of the last round, as `Model.rectify` describes it."""
    checks.integer(rounds, "rounds")
    checks.not_set(options, ("coupling", "network", "marginals"), "rectify")
    given = {"steps": _STEPS, **checks.options(coupling_options, "coupling_options")}
    found = [] if held_out is None else [_judged(model, held_out, 0)]
    for number in range(1, rounds + 1):
        if model.fit_again is None:
            raise ConfigError(
                "rectify needs the data, and this model was not fitted in this process. Use "
                "multisi.fit(data, coupling='rectified', coupling_options={'model': model}, "
                "network=model)."
            )
        taught = {"coupling_options": {"model": model, **given}, "network": model, **options}
        model = model.fit_again(coupling="rectified", **taught)
        if held_out is not None:
            found.append(_judged(model, held_out, number))
    if found:
        model.card["rounds"] = found
    return model


def _judged(model: Any, held_out: Mapping[str, Any], number: int) -> dict[str, Any]:
    judged = few_calls(model, held_out)
    _LOG.info("Round %d of rectification: %s.", number, judged)
    return asdict(judged)
