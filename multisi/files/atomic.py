"""Files are written whole or not at all; folders are held by one process."""

import contextlib
import os
import pathlib
import secrets
from typing import Any

_ENDING = ".tmp"


def write_whole(path: Any, data: bytes) -> None:
    """Write to a temporary name beside `path`, sync, rename: no reader ever sees half a file."""
    path = pathlib.Path(path).resolve()  # A link stays; what it leads to is written.
    if path.exists() and not path.is_file():
        raise OSError(f"{str(path)!r} is there and is no regular file")
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
    """Remove what writers left half done in a folder that nobody else writes to."""
    for stale in folder.glob(f".*{_ENDING}"):
        with contextlib.suppress(OSError):
            stale.unlink()


class Lock:
    """A file that one process holds at a time; the system frees it when that process ends.

    Raises:
        OSError: another process holds it, or it cannot be made.
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
    except ImportError:  # Not on Windows, where runs are not guarded.
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
