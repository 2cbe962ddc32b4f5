"""Whether the first line of a CSV file has names or numbers; what is ambiguous is refused."""

import itertools
import re
from collections.abc import Sequence
from typing import Any

from multisi.errors import DataError
from multisi.files.tables import BLANK, is_missing, is_number, shown

LOOKED_AT = 100
"""Lines after the first that are looked at."""
_ENOUGH = 10
"""Lines that it takes to see that the first one differs from all others."""
_OTHER_NOTATION = re.compile(r"[-+.$€£(]*\d[\d\s.,:/_'’%eE()+-]*")
"""What may be a number, a date or a time, though it is none that is read."""


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
    else:
        reason = _like_samples(first, alone=not others)
        if not reason:
            return True
    if reason:
        bare = next((i for i, cell in enumerate(first, 1) if not cell.strip(BLANK)), 0)
        index = f" and --index '#{bare}'" if bare and any(numbers) else ""
        raise DataError(
            f"{str(path)!r}, line 1: it {reason}, so it may have names or samples. Pass "
            f"--header yes{index} if these are the names of the columns, or --header no."
        )
    return False


def _like_samples(first: Sequence[str], alone: bool) -> str:
    """Why a line without numbers may be a sample; empty if it is one of names."""
    if all(map(is_missing, first)):
        return "has neither names nor numbers"
    # Any table may lack a name, as those of pandas do, and Na is sodium.
    words = (cell.strip(BLANK) for cell in first)
    if said := next((word for word in words if is_missing(word) and word not in ("", "Na")), ""):
        return f"has {shown(said)}, which may be a missing value"
    if alone and (like := next(filter(_OTHER_NOTATION.fullmatch, first), "")):
        return f"is the only one and has {shown(like)}"
    return ""


def _like_names(first: Sequence[str], others: Sequence[Sequence[str]]) -> str:
    """Why a line of numbers may be one of names; empty if it is one of samples."""
    values = [float(cell) for cell in first]
    whole = all(cell.strip().lstrip("+-").isdigit() for cell in first)
    if whole and values == [values[0] + i for i in range(len(values))]:
        if len(values) > 1 or values == [0]:
            return "counts the columns"
    if len(values) > 2 and sorted(values) in ([*range(len(values))], [*range(1, len(values) + 1)]):
        return "counts the columns, in another order"
    steps = [b - a for a, b in itertools.pairwise(values)]
    even = max(steps, default=0) - min(steps, default=0) <= 1e-9 * max(map(abs, values))
    if len(steps) >= 2 and steps[0] != 0 and even:
        return "has evenly spaced numbers"
    body = [line for line in others if len(line) == len(first) and all(map(is_number, line))]
    if whole and body and all(any(map(_decimal, line)) for line in body):
        if all(any(map(_decimal, cells)) for cells in zip(*body, strict=True)):
            return "has whole numbers where all columns have decimals"
    if len(body) >= _ENOUGH:
        rest = [[float(cell) for cell in line] for line in body]
        if steps and _increasing(values) and not any(map(_increasing, rest)):
            return "has increasing numbers, as no other line does"
        if all(map(_shorter, first, zip(*body, strict=True))):
            return "has numbers of far fewer digits than all other lines"
        if all(map(_far, values, zip(*rest, strict=True))):
            return "has numbers far from those of all other lines"
    return ""


def _shorter(cell: str, others: Sequence[str]) -> bool:
    """Whether a number has less than half of the characters of each of some others."""
    return 2 * len(cell.strip()) < min(len(other.strip()) for other in others)


def _far(value: float, others: Sequence[float]) -> bool:
    """Whether a value is further from some others than these are from each other."""
    low, high = min(others), max(others)
    return max(low - value, value - high) > high - low


def _decimal(cell: str) -> bool:
    return "." in cell or "e" in cell.lower()


def _increasing(values: Sequence[float]) -> bool:
    return all(a < b for a, b in itertools.pairwise(values))
