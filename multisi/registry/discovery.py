"""Entry points of installed distributions, each loaded on its own and kept quiet."""

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
"""Seconds of importing from which on the listing says so."""


@dataclass(frozen=True)
class EntryPoint:
    """One entry point of the group `multisi`, and the distribution that it is of."""

    name: str
    distribution: str
    version: str
    requires: tuple[str, ...]
    import_it: Callable[[], Any]

    def load(self, announce: Announce) -> list[Plugin]:
        """What it announces; if that fails, the entry point itself, with its state and reason."""
        aside = Plugin("", self.name, self.distribution, self.version)
        if self._disabled():
            return [replace(aside, state="disabled", error="named in MULTISI_DISABLE_PLUGINS")]
        try:
            self._check_version()
            with _listening() as notes:
                plugins = announce(self.import_it(), self.name, self.distribution, self.version)
        except (Exception, SystemExit) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return [replace(aside, state="broken", error=reason)]
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
        """See that the distribution does not ask for another multisi.

        Raises:
            PluginError: it does.
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
                        f"it needs multisi {needed.specifier}, and this is {__version__}"
                    )


def discover() -> list[EntryPoint]:
    """The entry points of the group `multisi`, sorted by distribution and name."""
    found = [_described(point) for point in importlib.metadata.entry_points(group=PROJECT)]
    return sorted(found, key=lambda point: (point.distribution, point.name))


def _described(point: importlib.metadata.EntryPoint) -> EntryPoint:
    """An entry point with what its distribution says of itself, as far as that can be read."""
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
    """Nothing that goes on inside is printed; what there was is noted."""
    notes: list[str] = []
    said, start = io.StringIO(), time.perf_counter()
    with (
        warnings.catch_warnings(record=True) as warned,
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        warnings.simplefilter("always")
        yield notes
    if (seconds := time.perf_counter() - start) >= _SLOW:
        notes.append(f"takes {seconds:.1f} s to import")
    if text := said.getvalue().strip():
        notes.append(f"prints on import: {text.splitlines()[0]}")
    if warned:
        notes.append(f"warns on import: {warned[0].message}")
