"""How callbacks are called: whether they end the run, and what happens if they fail."""

import traceback
import warnings
from collections.abc import Callable
from typing import Any

import torch

from multisi.common.printable import shown, told
from multisi.errors import MultisiError


class StopTraining(Exception):
    """A callback raises it to end training, as at the last step.

    Examples:
        >>> def enough(training):
        ...     if training.loss < 0.1:
        ...         raise StopTraining
    """


class Calls:
    """Calls callbacks with one argument, and warns of each that fails, once."""

    def __init__(self) -> None:
        self._warned: set[int] = set()

    def __call__(self, callback: Callable[[Any], Any], training: Any) -> bool:
        """Whether a callback ends the run: by `True`, and nothing else that counts as true.

        Raises:
            MultisiError: the callback raised it.
        """
        try:
            with torch.enable_grad():  # One that switches gradients off does so for itself.
                return callback(training) is True
        except StopTraining:
            return True
        except MultisiError:
            raise
        except Exception as error:
            if id(callback) not in self._warned:
                self._warned.add(id(callback))
                place = traceback.extract_tb(error.__traceback__)[-1]
                warnings.warn(
                    f"The callback {shown(callback)} failed at step {training.step}, in "
                    f"{place.filename}, line {place.lineno}: {told(error)}. Training "
                    "continues, and later failures of this callback are not shown.",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return False
