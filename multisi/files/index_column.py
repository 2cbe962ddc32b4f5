"""Whether a column of a table may be an index, which is never guessed."""

import re

import numpy as np

from multisi.files.samples import Array

_MANY = 10
"""Rows that it takes to see that a column counts them from any number, or in any order."""
_INDEX = re.compile(
    r"index|Index|(.*[\s_.-])?(id|Id|ID)|.*[a-z](Id|ID)|uuid|UUID|level_\d+|Unnamed: \d+"
)
"""Names of columns that identify rows; the last two are those of pandas."""


def like_index(name: str | None, values: Array) -> str:
    """Why a column may be an index; empty if it is a feature.

    Arguments:
        name: Its name; `None` in a table without a header.
        values: Its numbers, NaN where one is missing.
    """
    name = None if name is None else name.strip()
    if name == "":
        return "has no name"
    if _counts(values):
        return "counts the rows"
    if name is not None and _INDEX.fullmatch(name) and (values % 1 == 0).all():
        return "has the name of an index"
    return ""


def _counts(values: Array) -> bool:
    """Whether values number the rows: 0, 1, 2, … or 1, 2, 3, …, and if many also otherwise.

    Many rows may be counted from any number, and in any order. Missing values may be any.
    """
    if len(values) < 3 or values[0] % 1 > 0:  # Most features are seen here.
        return False
    there = ~np.isnan(values)
    known = values[there]
    if len(known) < 3 or known[0] % 1:
        return False
    start = known - np.flatnonzero(there)
    if (start == start[0]).all():
        return bool(start[0] in (0, 1)) or len(known) >= _MANY
    if len(known) < _MANY or np.ptp(known) != len(known) - 1:
        return False
    return bool((np.diff(np.sort(known)) == 1).all())
