r"""The noise of `noise="auto"`: the constant with the lowest KL bound.

References:
    Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for flows and
    diffusions (2023), arXiv:2303.08797, section 2.4.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from multisi.analysis.kl_bounds import bounds, check_models
from multisi.common import checks
from multisi.errors import ConfigError, DataError
from multisi.field.field import Field
from multisi.interpolants import Interpolant
from multisi.noise import Noise, constant
from multisi.paths import Path


@dataclass(frozen=True)
class Calibration:
    """The inputs of `noise="auto"`: a model, its twin or the truth, and samples.

    Arguments:
        model: The model that moves the samples.
        other: The truth, or a twin: a model that was fitted with another seed.
        samples: Name to samples of the data marginals, each of shape `(n, *event)`.
        exact: Whether `other` is the truth.

    Raises:
        ConfigError: `model` or `other` is not a model, or their marginals differ.
        DataError: `samples` is empty.
    """

    model: Field
    other: Field
    samples: Mapping[str, Any]
    exact: bool

    def __post_init__(self) -> None:
        check_models(self.model, self.other)
        if not checks.options(self.samples, "samples"):
            raise DataError("samples must map the names of data marginals to samples; got none.")

    def noise(
        self, source: Any, target: Any, path: str | Path | None, interpolant: str | Interpolant
    ) -> Noise:
        r"""The constant $\varepsilon^*$ between two marginals.

        Arguments:
            source: Name of the marginal where samples come from.
            target: Name of the marginal where they go.
            path: A path or its name; `"bow"` by default.
            interpolant: An interpolant or its name.

        Raises:
            ConfigError: `source` or `target` is not a name, or the scores of the model and its
                twin do not differ.
        """
        if not (isinstance(source, str) and isinstance(target, str)):
            raise ConfigError(
                "noise='auto' needs one source and one target, by their names; got "
                f"{source!r} and {target!r}."
            )
        options: dict[str, Any] = {"path": path or "bow", "interpolant": interpolant}
        found = bounds(
            self.model, self.other, self.samples, source, target, exact=self.exact, **options
        )
        if not math.isfinite(found.epsilon):
            raise ConfigError(
                "noise='auto' found no difference between the scores of the model and its twin. "
                "Fit the twin with another seed."
            )
        return constant(found.epsilon)


def calibrated_noise(
    calibration: Calibration | None, source: Any, target: Any, via: Any, **options: Any
) -> Noise:
    """The noise that `noise="auto"` selects in a transport.

    Arguments:
        calibration: The inputs, as `Model.calibrate` stores them.
        source: Where samples come from.
        target: Where they go.
        via: Points to pass through, which must be `None`.
        options: `path` and `interpolant` of the transport.

    Raises:
        ConfigError: the model is not calibrated, or `via` is not `None`.
    """
    if via is not None:
        raise ConfigError(
            "noise='auto' works for a single leg only. Leave out via, or transport leg by leg."
        )
    if calibration is None:
        raise ConfigError(
            "noise='auto' needs an estimate of the model's error: call model.calibrate(twin, "
            "samples) first, with a twin that was fitted with another seed."
        )
    return calibration.noise(source, target, **options)
