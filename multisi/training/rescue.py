"""Where a model goes when training breaks off: a place that is tried before training."""

import pathlib
import tempfile
from typing import Any

from multisi.errors import CheckpointError, ConfigError, MultisiError
from multisi.files import checkpoint
from multisi.files.atomic import check_room
from multisi.model import Model


class Rescue:
    """The file for a model whose training breaks off.

    It is the given file, or if that cannot be written, one of the same name in the folder for
    temporary files. If it exists, a number is added to its name.

    Arguments:
        path: The file.
        model: The model, whose weights are those of training at any time.

    Raises:
        ConfigError: the model cannot be saved to any file.
    """

    def __init__(self, path: pathlib.Path, model: Model) -> None:
        self.model, self.name = model, path.name
        self.folders = (path.absolute().parent, pathlib.Path(tempfile.gettempdir()).absolute())
        self.saved = False
        try:
            self._size = checkpoint.check(*model.parts())
        except CheckpointError as error:
            raise ConfigError(f"This model could not be saved after training: {error}") from None

    def check(self) -> None:
        """Check that there is a place with room for the model.

        Raises:
            ConfigError: no file of this name can be written.
        """
        reasons = []
        for folder in self.folders:
            try:
                check_room(folder / self.name, self._size)
            except OSError as error:
                reasons.append(f"{str(folder / self.name)!r}: {error}")
            else:
                return
        raise ConfigError(
            "rescue must be a file that can be written if training breaks off; "
            f"{'; '.join(reasons)}. Choose another file."
        )

    def save(self) -> str:
        """Save the model; a sentence that says where it is, or why it could not be saved."""
        reasons = []
        for folder in self.folders:
            try:
                place = _free(folder / self.name)
                self.model.save(place)
            except (CheckpointError, OSError) as error:
                reasons.append(str(error))
            else:
                self.saved = True
                return f"The model so far is in {place}."
        return f"The model so far could not be saved: {' '.join(reasons)}"


def say(error: BaseException, sentence: str) -> None:
    """Add a sentence to the message of an error."""
    if isinstance(error, MultisiError):
        error.args = (f"{error} {sentence}",)
    else:
        error.add_note(sentence)


def _free(path: Any) -> pathlib.Path:
    """`path`, or if it exists, `path` with the first free number."""
    count, candidate = 1, pathlib.Path(path)
    while candidate.exists():
        count += 1
        candidate = path.with_stem(f"{path.stem}-{count}")
    return candidate
