"""Files are written whole or not at all."""

import contextlib
import os
import pathlib
import secrets
from typing import Any


def write_whole(path: Any, data: bytes) -> None:
    """Write to a temporary name beside `path`, sync, rename: no reader ever sees half a file."""
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
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
