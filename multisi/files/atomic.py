"""Atomic writing of files, and locks on folders."""

import contextlib
import os
import pathlib
import secrets
from typing import Any

_ENDING = ".tmp"


def write_whole(path: Any, data: bytes) -> None:
    """Write a file atomically: write a temporary file beside `path`, sync it, and rename it.

    Raises:
        OSError: the file cannot be written, or `path` exists and is not a regular file.
    """
    path = pathlib.Path(path).resolve()  # A link is kept; its target is replaced.
    if path.exists() and not path.is_file():
        raise OSError(f"{str(path)!r} exists and is not a regular file")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_ENDING}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    with contextlib.suppress(OSError):  # Some systems cannot open a folder.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def sweep(folder: pathlib.Path) -> None:
    """Remove temporary files of interrupted writers from a folder with no other writers."""
    for stale in folder.glob(f".*{_ENDING}"):
        with contextlib.suppress(OSError):
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
            holder = self._file.read().strip() or "another process"
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
