"""Opening regular files only: a pipe or a device is refused, never waited for."""

import os
import stat
from typing import Any, BinaryIO

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"))


def open_regular(path: Any) -> BinaryIO:
    """Open a regular file to read its bytes; a link is followed.

    Raises:
        OSError: the file does not exist, cannot be opened, or is not a regular file.
    """
    _check(os.stat(path), path)  # Before it is opened: opening a device may act on it.
    number = os.open(path, _FLAGS)
    try:
        _check(os.fstat(number), path)  # Again: another file may have taken its place.
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def read_regular(path: Any, most_bytes: int | None = None) -> bytes:
    """All bytes of a regular file, of at most `most_bytes`.

    Raises:
        OSError: the file cannot be read, is not a regular file, or is larger than `most_bytes`.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most_bytes is not None and size > most_bytes:
            raise OSError(f"{os.fspath(path)!r} has {size:,} bytes, more than {most_bytes:,}")
        return file.read() if most_bytes is None else file.read(most_bytes)


def _check(found: os.stat_result, path: Any) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "no file")
        raise OSError(f"{os.fspath(path)!r} is {kind}, not a regular file")
