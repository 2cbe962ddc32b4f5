"""Find plugins by kind and name, and load them one by one.

A name is looked up among the built-in plugins first, whose names are reserved, so that third-party
code is imported only when needed. A broken plugin does not affect others: `multisi plugins` lists
the reason, and the error for an unknown name shows it.
"""

import difflib
import functools
import os
import re
import threading
from collections.abc import Mapping
from typing import Any, TypeVar

import pluggy

from multisi._version import __version__
from multisi.common import checks
from multisi.errors import ConfigError, PluginError, UnknownPluginError
from multisi.registry import builtins, hookspecs
from multisi.registry.discovery import EntryPoint, discover
from multisi.registry.hookspecs import KINDS, PROJECT, Factory, hook_name
from multisi.registry.plugin import Plugin

T = TypeVar("T")
HERE = "here"
"""Stands for the distribution of plugins that were registered in this process."""
_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


class Registry:
    """All plugins of an installation; `installed()` returns the registry of this process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._builtins: list[Plugin] = []
        self._builtins = self._announced(builtins, PROJECT, PROJECT, __version__)
        self._here: dict[tuple[str, str], Plugin] = {}
        self._loaded: dict[int, list[Plugin]] = {}

    @functools.cached_property
    def _points(self) -> list[EntryPoint]:
        return discover()

    def register(self, kind: str, name: str, factory: Factory) -> None:
        """Announce a plugin in this process; it replaces an earlier one of the same name."""
        if kind not in KINDS:
            raise ConfigError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
        self._check(kind, name, factory)
        with self._lock:
            self._here[kind, name] = Plugin(kind, name, HERE, "", factory=factory)

    def plugins(self, distribution: str = "") -> list[Plugin]:
        """All plugins, or those of one distribution, including broken and disabled ones."""
        with self._lock:
            third_party = [
                plugin
                for i, point in enumerate(self._points)
                if distribution in ("", point.distribution)
                for plugin in self._load(i, point)
            ]
            own = [*self._builtins, *self._here.values()]
        return [p for p in own if distribution in ("", p.distribution)] + third_party

    def find(self, kind: str, name: str) -> Plugin:
        """The plugin of this kind and name; `"distribution:name"` selects a distribution.

        Raises:
            UnknownPluginError: no plugin, or more than one, has this name.
            PluginError: a plugin is broken, and `MULTISI_STRICT_PLUGINS` is set.
        """
        for plugin in (*self._builtins, *self._here.values()):
            if plugin.kind == kind and plugin.name == name:
                return plugin
        distribution, _, item = name.rpartition(":")
        found = self.plugins(distribution)
        _refuse_broken(found)
        matches = [p for p in found if p.kind == kind and p.name == item]
        if len(matches) == 1:
            return matches[0]
        if matches:
            choices = ", ".join(f"'{p.distribution}:{p.name}'" for p in matches)
            raise UnknownPluginError(
                f"{kind} {name!r} is announced by {len(matches)} distributions; "
                f"choose one of {choices}."
            )
        raise UnknownPluginError(_unknown(kind, name, self.plugins()))

    def _load(self, i: int, point: EntryPoint) -> list[Plugin]:
        """The plugins of one entry point, which is loaded once."""
        if i not in self._loaded:
            self._loaded[i] = point.load(self._announced)
        return self._loaded[i]

    def _announced(
        self, module: Any, entry_point: str, distribution: str, version: str
    ) -> list[Plugin]:
        name = f"{distribution}:{entry_point}"
        if (known := self._manager.get_name(module)) is not None:
            raise PluginError(f"{known!r} has already announced the same object")
        try:
            self._manager.register(module, name=name)
            self._manager.check_pending()
            if not self._manager.get_hookcallers(module):
                raise PluginError(
                    f"{module!r} announces nothing: it must have a function such as "
                    f"{hook_name(KINDS[0])}, marked by @multisi.hookimpl"
                )
            return [
                Plugin(kind, item, distribution, version, factory=factory)
                for kind in KINDS
                for item, factory in self._call(module, kind).items()
            ]
        except BaseException:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            raise

    def _call(self, module: Any, kind: str) -> Mapping[Any, Any]:
        """The factories by name that the hook of one kind returns in one plugin, checked."""
        caller = getattr(self._manager.hook, hook_name(kind))
        for hook in (impl for impl in caller.get_hookimpls() if impl.plugin is module):
            answer = hook.function()
            if not isinstance(answer, Mapping):
                raise PluginError(
                    f"{hook_name(kind)} must return a dict of names to factories; "
                    f"got {type(answer).__name__}."
                )
            for item, factory in answer.items():
                self._check(kind, item, factory)
            return answer
        return {}

    def _check(self, kind: str, name: Any, factory: Any) -> None:
        """Check the name and the factory of a plugin.

        Raises:
            PluginError: the name is invalid or reserved, or the factory is invalid.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PluginError(
                f"The name of a plugin must be lower-case letters and digits, joined by '-', '_' "
                f"or '.'; got the {kind} {name!r}."
            )
        if not callable(factory) and not (isinstance(factory, str) and ":" in factory):
            raise PluginError(
                f"The factory of the {kind} {name!r} must be a class, a function or "
                f"'module:attribute'; got {factory!r}."
            )
        if any(p.kind == kind and p.name == name for p in self._builtins):
            raise PluginError(
                f"The {kind} {name!r} is built in, so its name is reserved. Choose another name."
            )


def _refuse_broken(plugins: list[Plugin]) -> None:
    """In strict mode, check that no plugin is broken.

    Raises:
        PluginError: a plugin is broken, and `MULTISI_STRICT_PLUGINS` is set.
    """
    if os.environ.get("MULTISI_STRICT_PLUGINS", "0") in ("", "0"):
        return
    for plugin in plugins:
        if plugin.state == "broken":
            raise PluginError(
                f"Plugin {plugin.name!r} of {plugin.distribution} {plugin.version} could not be "
                f"loaded: {plugin.error}. Fix it, uninstall it, name it in "
                "MULTISI_DISABLE_PLUGINS, or unset MULTISI_STRICT_PLUGINS."
            )


def _unknown(kind: str, name: str, plugins: list[Plugin]) -> str:
    """The message for an unknown name."""
    known = sorted({p.name for p in plugins if p.kind == kind})
    message = f"There is no {kind} {name!r}."
    if near := difflib.get_close_matches(name, known, n=1):
        message += f" Did you mean {near[0]!r}?"
    message += f" Known: {', '.join(known)}."
    for plugin in plugins:
        if plugin.state == "broken":
            message += f" Plugin {plugin.name!r} could not be loaded ({plugin.error})."
        elif plugin.state == "disabled":
            message += f" Plugin {plugin.name!r} is disabled ({plugin.error})."
    return message


@functools.cache
def installed() -> Registry:
    """The registry of this process, filled on first use.

    Examples:
        >>> installed().find("path", "bow").distribution
        'multisi'
    """
    return Registry()


def register(kind: str, name: str, factory: Factory | None = None) -> Any:
    """Announce a plugin in this process, without a package.

    The name then works wherever names of this kind do, and takes precedence over installed
    packages. Registering a name again replaces the plugin.

    Arguments:
        kind: `"interpolant"`, `"network"`, `"solver"`, `"coupling"` or `"path"`.
        name: Name of the plugin: lower-case letters and digits, joined by `-`, `_` or `.`.
        factory: A class or function, or `"module:attribute"`; without it, a decorator is returned.

    Returns:
        The factory, or a decorator.

    Raises:
        ConfigError: `kind` is unknown.
        PluginError: `name` is invalid or reserved, or `factory` is neither callable nor
            `"module:attribute"`.

    Examples:
        >>> import multisi
        >>> @multisi.register("interpolant", "squares")
        ... class Squares(multisi.Interpolant):
        ...     def weights(self, alpha):
        ...         return alpha**2
        >>> multisi.registry.create("interpolant", "squares", multisi.Interpolant)
        Squares()
    """
    if factory is None:
        return functools.partial(register, kind, name)
    installed().register(kind, name, factory)
    return factory


def create(kind: str, value: Any, base: type[T], /, *args: Any, **options: Any) -> T:
    """Create an object from the name of a plugin; an instance of `base` is returned unchanged.

    Arguments:
        kind: `"interpolant"`, `"network"`, `"solver"`, `"coupling"` or `"path"`.
        value: Name of a plugin, or an instance of `base`.
        base: Class of the object.
        args: Positional arguments of the factory.
        options: Options of the factory.

    Returns:
        An instance of `base`.

    Raises:
        ConfigError: `value` is neither a name nor an instance of `base`, or the factory does not
            accept the options.
        PluginError: the factory cannot be imported or fails, or its result is not an instance of
            `base`.
        UnknownPluginError: no plugin, or more than one, has this name.

    Examples:
        >>> from multisi import Interpolant
        >>> create("interpolant", "barycentric", Interpolant)
        Barycentric()
    """
    if not isinstance(value, str):
        return checks.instance(value, base, kind)
    plugin = installed().find(kind, value)
    if options or plugin.distribution == PROJECT:
        plugin.bind(*args, **options)
    made = plugin.make(*args, **options)
    if not isinstance(made, base):
        raise PluginError(f"The {plugin} must create a {base.__name__}; got {made!r}.")
    return made
