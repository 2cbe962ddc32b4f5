"""Atomic writing of files, and locks on folders."""

import contextlib
import errno
import os
import pathlib
import re
import secrets
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO

_TEMPORARY = re.compile(r"\.multisi-[0-9a-f]{8}\.tmp")
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
"""Errors that say that there is no room, unlike those of systems that cannot reserve any."""


def write_whole(path: Any, data: bytes) -> None:
    """Write a file atomically: write a temporary file beside `path`, sync it, and rename it.

    A file that is replaced keeps its permissions, and where the system allows it, its owner.

    Raises:
        OSError: the file cannot be written, or `path` exists and is not a regular file.
    """
    path, before = _target(path)
    with _temporary(path.parent, before) as (file, temporary):
        file.write(data)
        file.flush()
        if before is not None:
            _permit(file, before)
        os.fsync(file.fileno())
        if os.name == "nt":  # It does not rename open files.
            file.close()
        os.replace(temporary, path)
    with contextlib.suppress(OSError):  # Some systems cannot open a folder.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def check_room(path: Any, size: int = 0) -> None:
    """Check that `write_whole` could write a file of `size` bytes now, without writing it.

    Raises:
        OSError: the folder is missing or not writable, the name is too long, the disk has no room
            for `size` bytes, or `path` exists and is not a regular file.
    """
    path, before = _target(path)
    with _temporary(path.parent, before) as (file, _):
        if size and hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                if error.errno in _FULL:
                    raise OSError(error.errno, f"no room for {size:,} bytes") from None


def _target(path: Any) -> tuple[pathlib.Path, os.stat_result | None]:
    """The file to write, behind any links, and what it is now, if it exists."""
    path = pathlib.Path(os.path.realpath(path))  # A link is kept; its target is replaced.
    try:
        before = os.stat(path)  # Fails for links that lead to each other.
    except FileNotFoundError:
        return path, None
    if not stat.S_ISREG(before.st_mode):
        raise OSError(f"{str(path)!r} exists and is not a regular file")
    return path, before


@contextlib.contextmanager
def _temporary(
    folder: pathlib.Path, before: os.stat_result | None
) -> Iterator[tuple[BinaryIO, pathlib.Path]]:
    """A new file, locked against `sweep`, which is removed unless it has been renamed."""
    path = folder / f".multisi-{secrets.token_hex(4)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    # The umask applies to a new file; what replaces a file is private until it has its mode.
    number = os.open(path, flags, 0o666 if before is None else 0o600)
    try:
        with os.fdopen(number, "wb") as file:
            with contextlib.suppress(OSError):  # Some file systems have no locks.
                _hold(file)
            yield file, path
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def _permit(file: BinaryIO, before: os.stat_result) -> None:
    """Give a file the owner and the mode of another, as far as the system allows."""
    if hasattr(os, "fchown"):
        for user, group in ((before.st_uid, -1), (-1, before.st_gid)):
            with contextlib.suppress(OSError):
                os.fchown(file.fileno(), user, group)
    if hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):
            os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))


def sweep(folder: pathlib.Path) -> None:
    """Remove the temporary files of interrupted writers; those of others stay."""
    for stale in folder.iterdir():
        if _TEMPORARY.fullmatch(stale.name) and stale.is_file() and not stale.is_symlink():
            with contextlib.suppress(OSError), stale.open("rb") as file:
                _hold(file)  # A writer holds its own.
                stale.unlink()


class Lock:
    """A lock file for one process at a time; the system frees it when that process ends.

    Arguments:
        path: The lock file, which is created if it does not exist.

    Raises:
        OSError: another process holds the lock, or the file cannot be created.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._file = path.open("a+")
        try:
            _hold(self._file)
        except OSError:
            self._file.seek(0)
            holder = self._file.read(100).strip() or "another process"
            self._file.close()
            raise OSError(f"it is in use by {holder}") from None
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}")
        self._file.flush()

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()


def _hold(file: Any) -> None:
    try:
        import fcntl
    except ImportError:  # Windows has no such locks; there, runs are not locked.
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
