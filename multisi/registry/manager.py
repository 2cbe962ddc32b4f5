"""Find plugins by kind and name, load them one by one, and keep the broken ones aside.

A name is looked up among the built-ins first, whose names are reserved, so that third-party code
is imported only when it is asked for. One failing plugin never hinders another: its reason is
kept, listed by `multisi plugins`, and shown where its name is asked for.
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
"""What stands for the distribution of a plugin that was registered in this process."""
_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


class Registry:
    """All plugins of one installation; `installed()` is the one that is used."""

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
        """Announce a plugin of this process; one that had its name is replaced."""
        if kind not in KINDS:
            raise ConfigError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}.")
        self._check(kind, name, factory)
        with self._lock:
            self._here[kind, name] = Plugin(kind, name, HERE, "", factory=factory)

    def plugins(self, distribution: str = "") -> list[Plugin]:
        """Everything that is installed, or what one distribution brings.

        Broken and disabled entry points are included.
        """
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
        """The plugin of this kind and name; `"distribution:name"` chooses between equals.

        Raises:
            UnknownPluginError: no plugin, or more than one, answers to `name`.
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
        """What one entry point announces; whatever goes wrong stays with it."""
        if i not in self._loaded:
            self._loaded[i] = point.load(self._announced)
        return self._loaded[i]

    def _announced(
        self, module: Any, entry_point: str, distribution: str, version: str
    ) -> list[Plugin]:
        name = f"{distribution}:{entry_point}"
        if (known := self._manager.get_name(module)) is not None:
            raise PluginError(f"the same object is announced by {known!r} already")
        try:
            self._manager.register(module, name=name)
            self._manager.check_pending()
            if not self._manager.get_hookcallers(module):
                raise PluginError(
                    f"{module!r} announces nothing: it has no function {hook_name(KINDS[0])} or "
                    "the like, marked by @multisi.hookimpl"
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
        """What the hook of one kind returns in one plugin, checked."""
        caller = getattr(self._manager.hook, hook_name(kind))
        for hook in (impl for impl in caller.get_hookimpls() if impl.plugin is module):
            answer = hook.function()
            if not isinstance(answer, Mapping):
                raise PluginError(
                    f"{hook_name(kind)} must return a dict of name to factory; "
                    f"got {type(answer).__name__}."
                )
            for item, factory in answer.items():
                self._check(kind, item, factory)
            return answer
        return {}

    def _check(self, kind: str, name: Any, factory: Any) -> None:
        """See that a plugin may be announced so.

        Raises:
            PluginError: it may not.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PluginError(
                f"The name of a plugin is lower-case letters and digits, joined by '-', '_' or "
                f"'.'; got the {kind} {name!r}."
            )
        if not callable(factory) and not (isinstance(factory, str) and ":" in factory):
            raise PluginError(
                f"The {kind} {name!r} must be given as a class, a function or "
                f"'module:attribute'; got {factory!r}."
            )
        if any(p.kind == kind and p.name == name for p in self._builtins):
            raise PluginError(f"The {kind} {name!r} is built in; its name is reserved.")


def _refuse_broken(plugins: list[Plugin]) -> None:
    """In strict mode, see that nothing is broken.

    Raises:
        PluginError: something is, and `MULTISI_STRICT_PLUGINS` is set.
    """
    if os.environ.get("MULTISI_STRICT_PLUGINS", "0") in ("", "0"):
        return
    for plugin in plugins:
        if plugin.state == "broken":
            raise PluginError(
                f"Plugin {plugin.name!r} of {plugin.distribution} {plugin.version} could not be "
                f"loaded: {plugin.error}. Mend it, uninstall it, name it in "
                "MULTISI_DISABLE_PLUGINS, or unset MULTISI_STRICT_PLUGINS."
            )


def _unknown(kind: str, name: str, plugins: list[Plugin]) -> str:
    """What to say about a name that nobody answers to."""
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
    """The registry of this process, filled on first use."""
    return Registry()


def register(kind: str, name: str, factory: Factory | None = None) -> Any:
    """Announce a plugin of your own in this process, without packaging it.

    From then on its name works wherever names do, before those of installed packages. To register
    a name again replaces it.

    Arguments:
        kind: `"interpolant"`, `"network"`, `"solver"`, `"coupling"` or `"path"`.
        name: Its name: lower-case letters and digits, joined by `-`, `_` or `.`.
        factory: A class or function, or `"module:attribute"`; left out, a decorator is returned.

    Raises:
        ConfigError: no such kind.
        PluginError: a name that is reserved or not a name, or something that makes nothing.

    Example:
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


def create(kind: str, value: Any, base: type[T], *args: Any, **options: Any) -> T:
    """Make an object of `kind` from its name; an object of the class `base` is returned as it is.

    Raises:
        ConfigError: neither a name nor such an object, or options that the factory does not take.
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
    if options or plugin.distribution == PROJECT:
        plugin.bind(*args, **options)
    made = plugin.make(*args, **options)
    if not isinstance(made, base):
        raise PluginError(f"The {plugin} must make a {base.__name__}; got {made!r}.")
    return made
