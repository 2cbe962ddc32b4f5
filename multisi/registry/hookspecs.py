"""The hooks by which plugins announce themselves.

The hook marker, the group of entry points and the project share one name.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pluggy

PROJECT = "multisi"
KINDS = ("interpolant", "network", "solver", "coupling", "path")

Factory: TypeAlias = Callable[..., Any] | str
"""A class or function, or `"module:attribute"`, which is imported on first use."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def multisi_register_interpolants() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Name → factory `(**options) -> Interpolant`; all options have defaults."""


@hookspec
def multisi_register_networks() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Name → factory `(event_shape, marginals, **options) -> nn.Module`."""


@hookspec
def multisi_register_solvers() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Name → factory `(**options) -> Solver`; all options have defaults."""


@hookspec
def multisi_register_couplings() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Name → factory `(marginals, **options) -> Coupling`; `marginals` is a list in order."""


@hookspec
def multisi_register_paths() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Name → factory `(points, **options) -> Path`; `points` is the list of points to join."""


def hook_name(kind: str) -> str:
    """The name of the hook for a kind: `multisi_register_solvers` for `"solver"`."""
    return f"{PROJECT}_register_{kind}s"
