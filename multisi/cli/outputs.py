"""The files that a command writes: what may fail after the work is tried before it."""

import contextlib
import json
import os
import pathlib
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from multisi.common import checks
from multisi.errors import CheckpointError, ConfigError, DataError, MultisiError
from multisi.files.place import check_place as check_place
from multisi.files.regular import open_regular
from multisi.model.model import Model
from multisi.training.callbacks import Log
from multisi.training.loop import Training


def check_distinct(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
    """Check that no output is an input, or another output, or a folder of one.

    Arguments:
        inputs: What each file that is read is called, and its path.
        outputs: The same of each file that is written; those that are `None` are not.

    Raises:
        ConfigError: two are one file.
    """
    read = {what: checks.path(path, what) for what, path in inputs.items()}
    written = {what: checks.path(path, what) for what, path in outputs.items() if path is not None}
    for i, (what, path) in enumerate(written.items()):
        others = read | dict(list(written.items())[:i])
        for other, place in others.items():
            if _same(path, place):
                raise ConfigError(
                    f"{what} {str(path)!r} is the file of {other}. Choose another path."
                )
        for other, place in written.items():
            if _real(path) in _real(place).parents and not path.is_dir():
                raise ConfigError(
                    f"{what} {str(path)!r} would be the folder of {other}. Choose another path."
                )


def make_folder(folder: pathlib.Path) -> None:
    """Make a folder for outputs, unless it is there.

    Raises:
        DataError: it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"The folder {str(folder)!r} could not be created: {error}.") from None


@contextlib.contextmanager
def new_folder(folder: pathlib.Path) -> Iterator[None]:
    """Make a folder for the outputs of what follows; if that fails with none, it goes again."""
    new = not folder.exists()
    make_folder(folder)
    try:
        yield
    except BaseException:
        if new:
            with contextlib.suppress(OSError):
                folder.rmdir()  # Only where it is empty.
        raise


def _same(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Whether two paths lead to one file, by links or otherwise."""
    try:
        if os.path.samefile(one, other):
            return True
    except OSError:  # One does not exist.
        pass
    return _real(one) == _real(other)


def _real(path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(os.path.realpath(path))


def check_log(path: Any) -> None:
    """Check that a file is a log, so that lines may be added, or that it can be made.

    Raises:
        DataError: the file has other contents, or cannot be written.
    """
    check_place(path)
    path = checks.path(path, "The log")
    if not path.exists():
        return
    try:
        with open_regular(path) as file:
            lines = file.read(2**16).split(b"\n")
        if not os.access(path, os.W_OK):
            raise OSError("it is read-only")
        if lines != [b""] and not {"step", "loss"} <= set(json.loads(lines[0])):
            raise ValueError
    except OSError as error:
        raise DataError(f"The log {str(path)!r} cannot be written: {error}.") from None
    except (TypeError, ValueError, RecursionError):
        raise DataError(
            f"The log {str(path)!r} exists and has no lines of JSON with step and loss. Choose "
            "another path."
        ) from None


def starting(log: Any, out: Any) -> Callable[[Training], None]:
    """A callback that looks for room at the first step, and writes a log from then on.

    The log is not made before: an option that is wrong must leave no file.
    """
    made: list[Any] = []

    def start(training: Training) -> None:
        if not made:
            weights = training.means.parameters()
            check_place(out, sum(w.numel() * w.element_size() for w in weights))
            made.append(None if log is None else Log(checks.path(log, "The log")))
        if made[0] is not None:
            made[0](training)

    return start


def save(model: Model, out: Any) -> None:
    """Save a model; if that fails, save it elsewhere.

    Raises:
        CheckpointError: it could not be saved to `out`; the message says where it is.
    """
    path = checks.path(out, "The model file")
    try:
        model.save(path)
    except MultisiError as error:
        for folder in (path.parent, pathlib.Path.cwd(), pathlib.Path(tempfile.gettempdir())):
            place = folder / f"multisi-rescued-{secrets.token_hex(4)}.safetensors"
            try:
                model.save(place)
            except MultisiError:
                continue
            raise CheckpointError(f"{error} The model is in {str(place)!r}.") from None
        raise
