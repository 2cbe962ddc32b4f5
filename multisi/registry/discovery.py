"""Entry points of installed distributions, each loaded separately and without output."""

import contextlib
import fnmatch
import importlib.metadata
import io
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from multisi._version import __version__
from multisi.common.printable import printable, shown, told
from multisi.common.surroundings import restored
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
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # pytest.skip, sys.exit and Rust panics are no Exception.
            return [replace(placeholder, state="broken", error=told(error))]
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
    try:
        points = importlib.metadata.entry_points(group=PROJECT)
        found = [_described(point, point.dist) for point in points]
    except Exception:  # The metadata of one distribution are damaged.
        found = [point for owner in _distributions() for point in _points_of(owner)]
    return sorted(found, key=lambda point: (point.distribution, point.name))


def _distributions() -> Iterator[importlib.metadata.Distribution]:
    """The distributions; of those with one name the first, which is the one that is imported."""
    names = set()
    with contextlib.suppress(Exception):
        for owner in importlib.metadata.distributions():
            name = re.sub(r"[-_.]+", "-", _text(owner, "name")).lower()
            if not name or name not in names:
                yield owner
            names.add(name)


def _points_of(owner: importlib.metadata.Distribution) -> list[EntryPoint]:
    """The entry points of one distribution; if they cannot be read, one that is broken."""
    try:
        points = [point for point in owner.entry_points if point.group == PROJECT]
        return [_described(point, owner) for point in points]
    except Exception as error:
        reason = PluginError(f"its entry points cannot be read: {told(error)}")

    def fail() -> None:
        raise reason

    name = _text(owner, "name")
    with contextlib.suppress(Exception):
        name += owner.read_text("entry_points.txt") or ""
    if PROJECT not in name:
        return []
    damaged = importlib.metadata.EntryPoint(_text(owner, "name") or "unknown", "", PROJECT)
    return [replace(_described(damaged, owner), import_it=fail)]


def _described(point: importlib.metadata.EntryPoint, owner: Any) -> EntryPoint:
    """An entry point with the metadata of its distribution, as far as these can be read."""
    requires: tuple[str, ...] = ()
    with contextlib.suppress(Exception):
        requires = tuple(str(text) for text in owner.requires or ())
    name, version = (_text(owner, key) or "unknown" for key in ("name", "version"))
    return EntryPoint(printable(point.name), name, version, requires, point.load)


def _text(owner: Any, key: str) -> str:
    """The name or the version of a distribution; empty if it cannot be read."""
    with contextlib.suppress(Exception):
        return printable(str(getattr(owner, key) or ""))
    return ""


@contextlib.contextmanager
def _listening() -> Any:
    """Undo or suppress what an import does beside its purpose, and note it."""
    notes: list[str] = []
    output, start = io.StringIO(), time.perf_counter()
    with (
        restored() as changed,
        warnings.catch_warnings(record=True) as warned,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        warnings.simplefilter("always")
        yield notes
    if (seconds := time.perf_counter() - start) >= _SLOW:
        notes.append(f"takes {seconds:.1f} s to import")
    if text := output.getvalue().strip():
        notes.append(f"prints on import: {printable(text.splitlines()[0])}")
    if warned:
        notes.append(f"warns on import: {shown(warned[0].message)}")
    if changed:
        notes.append(f"changes on import, which is undone: {', '.join(changed)}")
