"""One plugin: its name, its origin, and its summary, which is read without importing it."""

import ast
import contextlib
import importlib
import importlib.machinery
import importlib.util
import inspect
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from multisi.common.printable import printable, told
from multisi.common.surroundings import restored
from multisi.errors import ConfigError, MultisiError, PluginError
from multisi.registry.hookspecs import Factory


@dataclass(frozen=True)
class Plugin:
    """One announced plugin, or an entry point that is broken or disabled.

    Arguments:
        kind: `"interpolant"`, `"network"`, `"solver"`, `"coupling"` or `"path"`; empty for an
            entry point.
        name: Name of the plugin, or of the entry point.
        distribution: Distribution that announces it; `"here"` for `multisi.register`.
        version: Version of the distribution.
        state: `"ok"`, `"broken"` or `"disabled"`.
        error: Why it is broken or disabled.
        summary: First line of its docstring.
        notes: Remarks on its import: that it is slow, prints or warns.
        factory: The factory; `None` for an entry point.

    Examples:
        >>> import multisi
        >>> multisi.registry.installed().find("path", "bow").load()
        <class 'multisi.paths.bow.Bow'>
    """

    kind: str
    name: str
    distribution: str
    version: str
    state: str = "ok"
    error: str = ""
    summary: str = ""
    notes: str = ""
    factory: Factory | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} of {self.distribution} {self.version}".rstrip()

    def load(self) -> Callable[..., Any]:
        """The factory, which is imported if it was given as `"module:attribute"`.

        Raises:
            PluginError: the factory cannot be imported, or is not callable.
        """
        if not isinstance(self.factory, str):
            return self.factory  # type: ignore[return-value]
        module, _, attribute = self.factory.partition(":")
        try:
            with contextlib.nullcontext() if module in sys.modules else restored():
                found = getattr(importlib.import_module(module), attribute)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # pytest.skip, sys.exit and Rust panics are no Exception.
            raise PluginError(
                f"The {self} could not be loaded from {self.factory!r}: {told(error)}."
            ) from error
        if not callable(found):
            raise PluginError(
                f"The factory of the {self} must be a class or a function; {self.factory!r} is "
                f"{found!r}."
            )
        return found  # type: ignore[no-any-return]

    def bind(self, /, *args: Any, **options: Any) -> None:
        """Check that the factory accepts some arguments.

        Arguments:
            args: Positional arguments of the factory.
            options: Options of the factory.

        Raises:
            ConfigError: an argument is missing, or the factory does not accept one.
            PluginError: the factory cannot be imported.
        """
        try:
            inspect.signature(self.load()).bind(*args, **options)
        except TypeError as error:
            raise ConfigError(f"{self.kind} {self.name!r}: {error}.") from None

    def takes(self, option: str) -> bool:
        """Whether the factory has an option of this name.

        Arguments:
            option: The name.

        Raises:
            PluginError: the factory cannot be imported.
        """
        try:
            return option in inspect.signature(self.load()).parameters
        except (TypeError, ValueError):  # A factory may have no signature.
            return False

    def make(self, /, *args: Any, **options: Any) -> Any:
        """The object that the factory creates.

        Arguments:
            args: Positional arguments of the factory.
            options: Options of the factory.

        Raises:
            PluginError: the factory cannot be imported, or raises an error other than
                `MultisiError`, which is passed on.
        """
        factory = self.load()
        try:
            return factory(*args, **options)
        except (MultisiError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise PluginError(f"The {self} could not be created: {told(error)}.") from error

    def examined(self) -> "Plugin":
        """The same with its summary; broken if its factory cannot be found."""
        if self.factory is None:
            return self
        try:
            return replace(self, summary=_summary(self.factory))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return replace(self, state="broken", error=told(error))

    def record(self) -> dict[str, str]:
        """The entry of this plugin in a model file: kind, name, distribution and version."""
        return {key: getattr(self, key) for key in ("kind", "name", "distribution", "version")}

    def to_dict(self) -> dict[str, str]:
        """All fields except the factory, as strings."""
        return {key: value for key, value in asdict(self).items() if key != "factory"}


def _summary(factory: Factory) -> str:
    """The first line of the docstring; for `"module:attribute"`, read from the source."""
    if not isinstance(factory, str):
        return _first_line(getattr(factory, "__doc__", None))
    module, _, attribute = factory.partition(":")
    if module in sys.modules:
        return _first_line(getattr(sys.modules[module], attribute).__doc__)
    source = _source(module)
    if source is None:
        return ""
    with warnings.catch_warnings(action="ignore"):  # Of the source, which is not ours.
        found = dict(_bound(ast.parse(source)))
    if attribute in found:
        node = found[attribute]
        documented = isinstance(node, ast.ClassDef | ast.FunctionDef)
        return _first_line(ast.get_docstring(node)) if documented else ""
    if "*" in found or "__getattr__" in found:
        return ""
    raise AttributeError(f"module {module!r} has no attribute {attribute!r}")


def _source(module: str) -> bytes | None:
    """The source of a module, found without importing its parents; `None` if not Python."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    for i, _ in enumerate(rest, 2):
        inside = spec.submodule_search_locations if spec else None
        name = ".".join([top, *rest][:i])
        spec = importlib.machinery.PathFinder.find_spec(name, inside) if inside else None
    if spec is None:
        raise ModuleNotFoundError(f"No module named {module!r}")
    python = spec.origin is not None and spec.origin.endswith(".py")
    return pathlib.Path(spec.origin).read_bytes() if python and spec.origin else None


def _bound(body: Any) -> Iterator[tuple[str, Any]]:
    """The names that a module binds at top level, with their nodes; `*` for a star import."""
    for node in ast.iter_child_nodes(body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0], node
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node
        else:
            yield from _bound(node)


def _first_line(text: str | None) -> str:
    return printable((text or "").strip().partition("\n")[0])
