"""Text of strangers for messages: names in files, errors of plugins."""

from typing import Any

_MOST = 500
"""Characters that are shown."""


def printable(text: str, most: int = _MOST) -> str:
    r"""The text with escapes for characters that are not printable, cut after `most` characters.

    Examples:
        >>> printable("a\x1b[31m\nb")
        'a\\x1b[31m\\nb'
    """
    cut = text if len(text) <= most else f"{text[:most]}…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


def told(error: BaseException) -> str:
    """The class and the message of an error in one line, also if its message cannot be made."""
    name, message = type.__getattribute__(type(error), "__name__"), shown(error)
    return printable(f"{name}: {message}" if message else str(name))


def shown(value: Any) -> str:
    r"""The text of an object in one line, also if it cannot be made.

    Examples:
        >>> shown(ValueError("two\nlines"))
        'two lines'
    """
    try:
        return printable(" ".join(str(value)[: 2 * _MOST].split()))
    except KeyboardInterrupt:
        raise
    except BaseException:  # Some errors of plugins are no Exception.
        return "(its message cannot be shown)"
