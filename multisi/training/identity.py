"""The identity of a run: what must be equal when it is resumed, by value."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from multisi.common.fingerprint import even, fingerprint
from multisi.data.marginals import Marginal, StandardNormal
from multisi.data.sources import Items, Stream
from multisi.field.field import Field
from multisi.training.loop import Training

CHANGEABLE = ("steps", "max_seconds")
"""Options that may change when a run is resumed."""
_ITEMS, _NUMBERS = 10_000, 2**24
"""Most items of a dataset, and most numbers, that are read of samples that are not in memory."""


def identity(training: Training, parts: Mapping[str, Any]) -> dict[str, Any]:
    """All that identifies a run, as values that JSON holds.

    Arguments:
        training: The run, before its first step.
        parts: The options that `fit` was given, such as `network` and `held_out`.
    """
    batches, schedule = training.batches, training.schedule
    values = {
        "marginals": {m.name: [len(m), *m.event_shape] for m in batches.data},
        "order": batches.names,
        "noise": batches.noise,
        "units": batches.standardiser.scale.shape,
        "data": {m.name: _of_data(m) for m in batches.data},
        "law": {"kind": type(batches.law), **vars(batches.law)},
        "batch_size": batches.batch_size,
        "seed": batches.seed,
        "steps": schedule.steps,
        "max_seconds": schedule.max_seconds,
        "learning_rate": schedule.learning_rate,
        "clip": training.clip if math.isfinite(training.clip) else None,
        "accumulate": training.accumulate,
        "precision": training.precision,
        **parts,
    }
    return {
        name: fingerprint(value, _known, weights=name != "network")
        for name, value in values.items()
    }


def differences(before: Any, now: Mapping[str, Any]) -> list[str]:
    """What differs between two runs, as texts that show both values.

    Arguments:
        before: The identity in a checkpoint.
        now: The identity of this run.
    """
    if not isinstance(before, Mapping):
        return [f"options: {_brief(before)} then"]
    names = sorted({*before, *now} - set(CHANGEABLE))
    return [text for name in names for text in _compared(name, before.get(name), now.get(name))]


def _compared(name: str, before: Any, now: Any) -> Iterator[str]:
    if before == now:
        return
    both = isinstance(before, dict) and isinstance(now, dict)
    if both and set(before) == set(now):
        for key in sorted(before):
            yield from _compared(f"{name}.{key}", before[key], now[key])
        return
    what = " (other contents)" if _is_hash(before) and _is_hash(now) else ""
    yield f"{name}: {_brief(before)} then, {_brief(now)} now{what}"


def _brief(value: Any) -> str:
    text = f"{value[:15]}…" if _is_hash(value) else repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("sha256:")


def _known(value: Any) -> Any:
    """The fingerprint of what multisi knows better than by its attributes."""
    if isinstance(value, Marginal):
        return {"rows": [len(value), *value.event_shape], **_of_data(value)}
    if isinstance(value, StandardNormal):
        return "StandardNormal()"
    if isinstance(value, Field):
        shown = {"means": value.conditional_means, "units": value.standardiser.state_dict()}
        return {"model": list(value.marginals), **fingerprint(shown)}
    return None


def _of_data(marginal: Marginal) -> dict[str, Any]:
    """Samples and what comes with them; what is absent is left out."""
    parts = {name: getattr(marginal, name) for name in ("labels", "weights", "condition")}
    parts |= {"condition_features": marginal.condition_features}
    parts |= {"features": marginal.features, "samples": _samples(marginal)}
    return {name: fingerprint(part) for name, part in parts.items() if part is not None}


def _samples(marginal: Marginal) -> Any:
    """The samples, or those at even distances, or nothing if they are not the same twice."""
    if marginal.in_memory:
        return marginal.samples
    if isinstance(marginal.source, Stream):
        return None
    most = max(1, _NUMBERS // math.prod(marginal.event_shape))
    rows = even(len(marginal), min(most, _ITEMS if isinstance(marginal.source, Items) else most))
    first = marginal.look(rows[:1])
    return marginal.look(rows) if torch.equal(first, marginal.look(rows[:1])) else None
