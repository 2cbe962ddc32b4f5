"""Multimarginal stochastic interpolants: one field over the simplex whose corners are datasets.

Public names are imported on first use, so that `import multisi` does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from multisi._version import __version__ as __version__

if TYPE_CHECKING:
    from multisi import analysis as analysis
    from multisi import errors as errors
    from multisi import metrics as metrics
    from multisi import noise as noise
    from multisi import registry as registry
    from multisi import simplex as simplex
    from multisi import testing as testing
    from multisi import training as training
    from multisi.couplings import Coupling as Coupling
    from multisi.data.marginals import Marginal as Marginal
    from multisi.data.marginals import StandardNormal as StandardNormal
    from multisi.dynamics.diffusion import Diffusion as Diffusion
    from multisi.dynamics.probability_flow import ProbabilityFlow as ProbabilityFlow
    from multisi.field.conditional_means import ConditionalMeans as ConditionalMeans
    from multisi.field.gaussian_mixture import GaussianMixtureMeans as GaussianMixtureMeans
    from multisi.interpolants import Interpolant as Interpolant
    from multisi.model.loading import load as load
    from multisi.model.model import Model as Model
    from multisi.paths import Path as Path
    from multisi.registry import hookimpl as hookimpl
    from multisi.registry import register as register
    from multisi.solvers import FixedStep as FixedStep
    from multisi.solvers import Solver as Solver
    from multisi.training.fitting import fit as fit

_HOMES = {
    "ConditionalMeans": "field.conditional_means",
    "Coupling": "couplings",
    "Diffusion": "dynamics.diffusion",
    "FixedStep": "solvers",
    "GaussianMixtureMeans": "field.gaussian_mixture",
    "Interpolant": "interpolants",
    "Marginal": "data.marginals",
    "Model": "model.model",
    "Path": "paths",
    "ProbabilityFlow": "dynamics.probability_flow",
    "Solver": "solvers",
    "StandardNormal": "data.marginals",
    "fit": "training.fitting",
    "hookimpl": "registry",
    "load": "model.loading",
    "register": "registry",
}
_MODULES = ("analysis", "errors", "metrics", "noise", "registry", "simplex", "testing", "training")

__all__ = ["__version__", *_HOMES, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(f"multisi.{_HOMES[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"multisi.{name}")
    else:
        raise AttributeError(f"module 'multisi' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
