"""Find plugins by kind and name, load them one by one, and keep the broken ones aside.

A name is looked up among the built-ins first, whose names are reserved, so that third-party code
is imported only when it is asked for. One failing plugin never hinders another: its reason is
kept, listed by `multisi plugins`, and shown where its name is asked for.
"""

import contextlib
import difflib
import functools
import importlib
import importlib.metadata
import io
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import pluggy

from multisi import checks
from multisi._version import __version__
from multisi.errors import PluginError, UnknownPluginError
from multisi.registry import builtins, hookspecs
from multisi.registry.hookspecs import KINDS, PROJECT, Factory, hook_name

T = TypeVar("T")


@dataclass(frozen=True)
class Plugin:
    """One announced name, or one entry point that could not be loaded (`state` "broken")."""

    kind: str
    name: str
    distribution: str
    version: str
    state: str = "ok"
    error: str = ""
    factory: Factory | None = None

    def load(self) -> Callable[..., Any]:
        """The factory itself, imported now if it was given as `"module:attribute"`."""
        if not isinstance(self.factory, str):
            return self.factory  # type: ignore[return-value]
        module, _, attribute = self.factory.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]
        except Exception as error:
            raise PluginError(
                f"The {self.kind} {self.name!r} of {self.distribution} {self.version} could not "
                f"be loaded from {self.factory!r}: {type(error).__name__}: {error}."
            ) from error

    def to_dict(self) -> dict[str, str]:
        """Everything but the factory, as plain strings."""
        return {key: value for key, value in asdict(self).items() if key != "factory"}


class Registry:
    """All plugins of one installation; `installed()` is the one that is used."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._builtins: list[Plugin] = []
        self._builtins = self._announced(builtins, PROJECT, PROJECT, __version__)

    @functools.cached_property
    def _third_party(self) -> list[Plugin]:
        found: list[Plugin] = []
        points = importlib.metadata.entry_points(group=PROJECT)
        for point in sorted(points, key=lambda p: (p.dist.name if p.dist else "", p.name)):
            found += self._load(point)
        return found

    def _load(self, point: importlib.metadata.EntryPoint) -> list[Plugin]:
        """Announce one entry point; whatever goes wrong stays with it."""
        distribution = point.dist.name if point.dist else "unknown"
        version = point.dist.version if point.dist else "unknown"
        state, reason = "broken", ""
        if point.name in os.environ.get("MULTISI_DISABLE_PLUGINS", "").split(","):
            state, reason = "disabled", "named in MULTISI_DISABLE_PLUGINS"
        else:
            try:
                with (
                    warnings.catch_warnings(),
                    contextlib.redirect_stdout(io.StringIO()),
                    contextlib.redirect_stderr(io.StringIO()),
                ):
                    warnings.simplefilter("ignore")
                    return self._announced(point.load(), point.name, distribution, version)
            except (Exception, SystemExit) as error:
                reason = f"{type(error).__name__}: {error}"
        return [Plugin("", point.name, distribution, version, state, reason)]

    def _announced(
        self, module: Any, entry_point: str, distribution: str, version: str
    ) -> list[Plugin]:
        name = f"{distribution}:{entry_point}"
        try:
            self._manager.register(module, name=name)
            self._manager.check_pending()
            return [
                Plugin(kind, item, distribution, version, factory=factory)
                for kind in KINDS
                for item, factory in self._call(module, kind, distribution)
            ]
        except BaseException:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            raise

    def _call(self, module: Any, kind: str, distribution: str) -> list[tuple[str, Factory]]:
        """What the hook of one kind returns in one plugin, checked."""
        caller = getattr(self._manager.hook, hook_name(kind))
        items: list[tuple[str, Factory]] = []
        for hook in (impl for impl in caller.get_hookimpls() if impl.plugin is module):
            answer = hook.function()
            if not isinstance(answer, Mapping):
                raise PluginError(
                    f"{hook_name(kind)} must return a dict of name to factory; "
                    f"got {type(answer).__name__}."
                )
            items += answer.items()
        for item, factory in items:
            if not isinstance(item, str) or not (callable(factory) or isinstance(factory, str)):
                raise PluginError(
                    f"{hook_name(kind)} must map a name to a class, a function or "
                    f"'module:attribute'; got {item!r}: {factory!r}."
                )
            if item in self._names(self._builtins, kind):
                raise PluginError(f"{kind} {item!r} is the name of a built-in and is reserved.")
        return items

    @staticmethod
    def _names(plugins: list[Plugin], kind: str) -> list[str]:
        return [p.name for p in plugins if p.kind == kind]

    def plugins(self) -> list[Plugin]:
        """Everything that is installed, broken and disabled entry points included."""
        return [*self._builtins, *self._third_party]

    def find(self, kind: str, name: str) -> Plugin:
        """The plugin of this kind and name; `"distribution:name"` chooses between equals.

        Raises:
            UnknownPluginError: no plugin, or more than one, answers to `name`.
        """
        for plugin in self._builtins:
            if plugin.kind == kind and plugin.name == name:
                return plugin
        matches = [
            p
            for p in self._third_party
            if p.kind == kind and name in (p.name, f"{p.distribution}:{p.name}")
        ]
        if len(matches) == 1:
            return matches[0]
        if matches:
            choices = ", ".join(f"'{p.distribution}:{p.name}'" for p in matches)
            raise UnknownPluginError(
                f"{kind} {name!r} is announced by {len(matches)} distributions; "
                f"choose one of {choices}."
            )
        raise UnknownPluginError(self._unknown(kind, name))

    def _unknown(self, kind: str, name: str) -> str:
        known = sorted(self._names(self.plugins(), kind))
        message = f"There is no {kind} {name!r}."
        if near := difflib.get_close_matches(name, known, n=1):
            message += f" Did you mean {near[0]!r}?"
        message += f" Known: {', '.join(known)}."
        for broken in (p for p in self._third_party if p.state == "broken"):
            message += f" Plugin {broken.name!r} could not be loaded ({broken.error})."
        return message


@functools.cache
def installed() -> Registry:
    """The registry of this process, filled on first use."""
    return Registry()


def create(kind: str, value: Any, base: type[T], *args: Any, **options: Any) -> T:
    """Make an object of `kind` from its name; an object of the class `base` is returned as it is.

    Raises:
        ConfigError: neither a name nor such an object.
        PluginError: the factory of that name makes something else.
        UnknownPluginError: no plugin, or more than one, answers to the name.

    Example:
        >>> from multisi import Interpolant
        >>> create("interpolant", "barycentric", Interpolant)
        Barycentric()
    """
    if not isinstance(value, str):
        return checks.instance(value, base, kind)
    plugin = installed().find(kind, value)
    made = plugin.load()(*args, **options)
    if not isinstance(made, base):
        raise PluginError(
            f"The {kind} {value!r} of {plugin.distribution} {plugin.version} must make a "
            f"{base.__name__}; got {made!r}."
        )
    return made
