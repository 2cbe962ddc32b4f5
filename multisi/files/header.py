"""Whether the first line of a CSV file has names or numbers; what is ambiguous is refused."""

import itertools
from collections.abc import Sequence
from typing import Any

from multisi.errors import DataError
from multisi.files.tables import is_missing, is_number, shown

LOOKED_AT = 100
"""Lines after the first that are looked at."""
_ENOUGH = 10
"""Lines that it takes to see that the first one differs from all others."""


def has_header(path: Any, lines: Sequence[Sequence[str]], given: bool | None) -> bool:
    """Whether the first of some lines is a header.

    Arguments:
        path: The file.
        lines: The first lines, at least one.
        given: What the user says; `None` if nothing.

    Raises:
        DataError: the user says nothing, and the first line may be either.
    """
    if given is not None:
        return given
    first, *others = lines
    numbers = [is_number(cell) for cell in first]
    if all(numbers):
        reason = _like_names(first, others)
    elif any(numbers):
        text = next(cell for cell in first if not is_number(cell))
        reason = f"has numbers and {shown(text)}"
    elif all(map(is_missing, first)):
        reason = "has neither names nor numbers"
    else:
        return True
    if reason:
        raise DataError(
            f"{str(path)!r}, line 1: it {reason}, so it may have names or samples. Pass "
            "--header yes if these are the names of the columns, or --header no."
        )
    return False


def _like_names(first: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    """Why a line of numbers may be one of names; empty if it is one of samples."""
    values = [float(cell) for cell in first]
    whole = all(cell.strip().lstrip("+-").isdigit() for cell in first)
    if whole and values == [values[0] + i for i in range(len(values))]:
        if len(values) > 1 or values == [0]:
            return "counts the columns"
    steps = [b - a for a, b in itertools.pairwise(values)]
    even = max(steps, default=0) - min(steps, default=0) <= 1e-9 * max(map(abs, values))
    if len(steps) >= 2 and steps[0] != 0 and even:
        return "has evenly spaced numbers"
    body = [line for line in others if len(line) == len(first) and all(map(is_number, line))]
    if (
        whole
        and body
        and all(any(_decimal(c) for c in cells) for cells in zip(*body, strict=True))
    ):
        return "has whole numbers where all columns have decimals"
    if steps and len(body) >= _ENOUGH and _increasing(values):
        if not any(_increasing([float(cell) for cell in line]) for line in body):
            return "has increasing numbers, as no other line does"
    return ""


def _decimal(cell: str) -> bool:
    return "." in cell or "e" in cell.lower()


def _increasing(values: Sequence[float]) -> bool:
    return all(a < b for a, b in itertools.pairwise(values))
