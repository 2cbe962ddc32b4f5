"""Values of the command line: numbers, and NAME=VALUE."""

import argparse
import json
import math
import re
from collections.abc import Sequence
from typing import Any

from multisi.errors import ConfigError


def integer(text: str) -> int:
    """The integer that a text is; digits of other scripts and underscores are none.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not re.fullmatch(r"[+-]?[0-9]{1,100}", text):
        raise argparse.ArgumentTypeError(f"expected an integer; got {text!r}")
    return int(text)


def number(text: str) -> float:
    """The finite number that a text is.

    Raises:
        ArgumentTypeError: it is none.
    """
    plain = re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text)
    if not plain or not math.isfinite(float(text)):
        raise argparse.ArgumentTypeError(f"expected a finite number; got {text!r}")
    return float(text)


def pairs(texts: Sequence[str], what: str, form: str) -> dict[str, str]:
    """Split texts NAME=VALUE into a dict.

    Raises:
        ConfigError: a text does not have this form, or a name is repeated.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"{what} must have the form {form}; got {text!r}.")
        if name in found:
            raise ConfigError(f"{what}: the name {name!r} is given twice.")
        found[name] = value
    return found


def options_of(texts: Sequence[str], what: str) -> dict[str, Any]:
    """Options of a coupling or network, given as KEY=VALUE.

    Raises:
        ConfigError: a text does not have this form, or is nested too deeply.
    """
    return {key: _value(text, what) for key, text in pairs(texts, what, "KEY=VALUE").items()}


def _value(text: str, what: str) -> Any:
    """The value of a JSON text, such as a number, true or false; otherwise the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
    except RecursionError:
        raise ConfigError(f"{what}: the brackets are nested too deeply.") from None
