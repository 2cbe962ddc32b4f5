r"""The noise that `noise="auto"` stands for: the constant with the lowest KL bound.

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
    """What `noise="auto"` is computed from: a model, its twin or the truth, and samples.

    Arguments: as for `bounds`.
    """

    model: Field
    other: Field
    samples: Mapping[str, Any]
    exact: bool

    def __post_init__(self) -> None:
        check_models(self.model, self.other)
        if not checks.options(self.samples, "samples"):
            raise DataError("samples must have samples of the data marginals; got none.")

    def noise(
        self, source: Any, target: Any, path: str | Path | None, interpolant: str | Interpolant
    ) -> Noise:
        r"""The constant $\varepsilon^*$ between two marginals.

        Raises:
            ConfigError: points that are not named.
        """
        if not (isinstance(source, str) and isinstance(target, str)):
            raise ConfigError("noise='auto' needs one source and one target, by their names.")
        options: dict[str, Any] = {"path": path or "bow", "interpolant": interpolant}
        found = bounds(
            self.model, self.other, self.samples, source, target, exact=self.exact, **options
        )
        if not math.isfinite(found.epsilon):
            raise ConfigError(
                "noise='auto' found no difference between the scores of the model and its twin; "
                "a twin is a model that was fitted with another seed."
            )
        return constant(found.epsilon)


def calibrated_noise(
    calibration: Calibration | None, source: Any, target: Any, via: Any, **options: Any
) -> Noise:
    """What `noise="auto"` stands for in a transport.

    Raises:
        ConfigError: there is no calibration, or more than one leg.
    """
    if via is not None:
        raise ConfigError("noise='auto' is for one leg; it cannot be used with via.")
    if calibration is None:
        raise ConfigError(
            "noise='auto' needs to know the error of the model: call model.calibrate(twin, "
            "samples) first, with a twin that was fitted with another seed."
        )
    return calibration.noise(source, target, **options)
