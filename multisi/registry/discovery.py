"""Entry points of installed distributions, each loaded separately and without output."""

import contextlib
import fnmatch
import importlib.metadata
import io
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from multisi._version import __version__
from multisi.errors import PluginError
from multisi.registry.hookspecs import PROJECT
from multisi.registry.plugin import Plugin

Announce: TypeAlias = Callable[[Any, str, str, str], list[Plugin]]
_SLOW = 1.0
"""Import time, in seconds, from which the listing notes it."""


@dataclass(frozen=True)
class EntryPoint:
    """One entry point of the group `multisi`, with its distribution."""

    name: str
    distribution: str
    version: str
    requires: tuple[str, ...]
    import_it: Callable[[], Any]

    def load(self, announce: Announce) -> list[Plugin]:
        """The plugins it announces; if it fails, a placeholder with the state and the reason."""
        placeholder = Plugin("", self.name, self.distribution, self.version)
        if self._disabled():
            reason = "named in MULTISI_DISABLE_PLUGINS"
            return [replace(placeholder, state="disabled", error=reason)]
        try:
            self._check_version()
            with _listening() as notes:
                plugins = announce(self.import_it(), self.name, self.distribution, self.version)
        except (Exception, SystemExit) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return [replace(placeholder, state="broken", error=reason)]
        return [replace(plugin, notes="; ".join(notes)) for plugin in plugins]

    def _disabled(self) -> bool:
        patterns = os.environ.get("MULTISI_DISABLE_PLUGINS", "").split(",")
        return any(
            fnmatch.fnmatchcase(name, pattern.strip())
            for pattern in patterns
            if pattern.strip()
            for name in (self.name, self.distribution)
        )

    def _check_version(self) -> None:
        """Check that the distribution does not require another version of multisi.

        Raises:
            PluginError: the distribution requires another version.
        """
        from packaging.requirements import InvalidRequirement, Requirement

        for text in self.requires:
            with contextlib.suppress(InvalidRequirement):
                needed = Requirement(text)
                applies = needed.marker is None or needed.marker.evaluate({"extra": ""})
                if needed.name.lower() != PROJECT or not applies:
                    continue
                if not needed.specifier.contains(__version__, prereleases=True):
                    raise PluginError(
                        f"it needs multisi {needed.specifier}, but {__version__} is installed"
                    )


def discover() -> list[EntryPoint]:
    """The entry points of the group `multisi`, sorted by distribution and name."""
    found = [_described(point) for point in importlib.metadata.entry_points(group=PROJECT)]
    return sorted(found, key=lambda point: (point.distribution, point.name))


def _described(point: importlib.metadata.EntryPoint) -> EntryPoint:
    """An entry point with the metadata of its distribution, as far as these can be read."""
    owner = point.dist
    name = version = "unknown"
    requires: tuple[str, ...] = ()
    with contextlib.suppress(Exception):
        name = owner.name or name  # type: ignore[union-attr]
        version = owner.version or version  # type: ignore[union-attr]
        requires = tuple(owner.requires or ())  # type: ignore[union-attr]
    return EntryPoint(point.name, name, version, requires, point.load)


@contextlib.contextmanager
def _listening() -> Any:
    """Suppress output and warnings inside; note them, and a long import time."""
    notes: list[str] = []
    output, start = io.StringIO(), time.perf_counter()
    with (
        warnings.catch_warnings(record=True) as warned,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        warnings.simplefilter("always")
        yield notes
    if (seconds := time.perf_counter() - start) >= _SLOW:
        notes.append(f"takes {seconds:.1f} s to import")
    if text := output.getvalue().strip():
        notes.append(f"prints on import: {text.splitlines()[0]}")
    if warned:
        notes.append(f"warns on import: {warned[0].message}")
