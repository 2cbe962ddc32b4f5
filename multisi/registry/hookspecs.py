"""The hooks by which plugins announce themselves; marker, group and project share one name."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pluggy

PROJECT = "multisi"
KINDS = ("interpolant", "network", "solver", "coupling", "path")

Factory: TypeAlias = Callable[..., Any] | str
"""A class or function, or `"module:attribute"`, which is imported when first used."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def multisi_register_interpolants() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Name → factory of an `Interpolant`, called without arguments or with its options."""


@hookspec
def multisi_register_networks() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Name → factory `(event_shape, marginals, **options) -> nn.Module`."""


@hookspec
def multisi_register_solvers() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Name → factory of a `Solver`, called without arguments or with its options."""


@hookspec
def multisi_register_couplings() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Name → factory `(marginals, **options) -> Coupling`, given the marginals in order."""


@hookspec
def multisi_register_paths() -> Mapping[str, Factory]:  # type: ignore[empty-body]
    """Name → factory `(points, **options) -> Path`, given the points to join in order."""


def hook_name(kind: str) -> str:
    """The hook that announces a kind: `multisi_register_solvers` for `"solver"`."""
    return f"{PROJECT}_register_{kind}s"
