"""The place of a file that will be written after long work: whatever may fail is tried before."""

import os
import pathlib
import shutil
from typing import Any

from multisi.common import checks
from multisi.errors import DataError
from multisi.files.atomic import check_room


def check_place(path: Any, room: int = 0) -> None:
    """Check that a file can be written to a path, by writing one beside it.

    Arguments:
        path: The file.
        room: Bytes that it will need.

    Raises:
        DataError: the folder does not exist or cannot be written, `path` is not a regular file,
            its name is too long, or there is not enough room.
    """
    path = checks.path(path, "A file")
    try:
        folder = pathlib.Path(os.path.realpath(path)).parent  # A link is kept; its target is not.
        if not path.parent.is_dir() or not folder.is_dir():
            raise DataError(
                f"{str(path)!r}: the folder {str(path.parent)!r} does not exist. Create it."
            )
        if path.is_dir():
            raise DataError(f"{str(path)!r} is a folder. Choose a file.")
        if path.exists() and not path.is_file():
            raise DataError(f"{str(path)!r} is not a regular file. Choose another.")
        free = shutil.disk_usage(folder).free
        if free > room:
            check_room(path, room)  # Quotas and limits of a process count too.
    except OSError as error:  # Such as a name that is too long, or a folder that is read-only.
        raise DataError(f"{str(path)!r} cannot be written: {error}. Choose another.") from None
    if free <= room:
        raise DataError(
            f"{str(path)!r} cannot be written: it needs {room:,} bytes, and {free:,} are free. "
            "Make room, or choose another folder."
        )
