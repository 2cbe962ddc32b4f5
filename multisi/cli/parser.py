"""The command line: run a command, and say in one line what is wrong."""

import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from multisi.cli import arguments
from multisi.common.memory import lacks_memory
from multisi.errors import ConfigError, DataWarning, MultisiError

_LONGEST = 2000
"""Characters of a message; values of users may be longer."""


def main(given: Sequence[str] | None = None) -> int:
    """Run a command.

    Arguments:
        given: The arguments after `multisi`; by default those of the process.

    Returns:
        The exit status: 0, 2 after an error, 130 after Ctrl-C, 141 if the output was closed.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # The terminal may not encode all names.
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = arguments.parser()
    given = sys.argv[1:] if given is None else given
    command = next((text for text in given if not text.startswith("-")), "")
    name = f"multisi {command}" if command in parser.commands else "multisi"
    with warnings.catch_warnings():
        warnings.showwarning = _shown(name, warnings.showwarning)
        return _run(parser, given, name)


def _run(parser: arguments.Parser, given: Sequence[str], name: str) -> int:
    """Run a command; errors are one line."""
    try:
        options, unknown = parser.parse_known_args(given)
        if unknown:
            raise ConfigError(f"unrecognized arguments: {' '.join(unknown)}. See {name} --help.")
        options.run(options)
        if sys.stdout is not None:  # It is None if the process started with it closed.
            sys.stdout.flush()
    except (MultisiError, DataWarning) as error:  # A warning, if Python runs with -W error.
        _tell(name, str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # As in `multisi plugins | head`.
        _silence()
        return 141
    except OSError as error:
        _tell(name, str(error))
        _silence()
    except RecursionError:
        _tell(name, "A value is nested too deeply.")
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        _tell(name, f"There is not enough memory. {error}")
    else:
        return 0
    return 2


def _shown(name: str, before: Any) -> Any:
    """A function that shows warnings about data as one line, and all others as before."""

    def show(message: Any, category: Any, *place: Any, **options: Any) -> None:
        if issubclass(category, DataWarning):
            _tell(name, f"warning: {message}")
        else:
            before(message, category, *place, **options)

    return show


def _tell(name: str, message: str) -> None:
    """Print one line to standard error, without characters that control a terminal."""
    line = " ".join(message.split())
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 2 :]}"
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
    if sys.stderr is not None:  # It is None if the process started with it closed.
        print(f"{name}: {line}", file=sys.stderr)


def _silence() -> None:
    """Discard buffered output, which Python would otherwise write again at exit."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
