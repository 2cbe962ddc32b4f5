"""Tables: which column is what, and what must never be guessed."""

import collections
import contextlib
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multisi.common.features import listed
from multisi.errors import ConfigError, DataError, DataWarning
from multisi.files.index_column import like_index
from multisi.files.samples import Array, Reading

MISSING = frozenset(
    ("", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "+nan", "null", "none", ".", "?")
)
"""Cells that mean that there is no value, in lower case."""
BLANK = " \t"
"""What may surround a number; Python takes more characters for blank ones."""

EXACT = 2**53
"""Beyond it float64 does not hold all whole numbers."""


@dataclass(frozen=True)
class Roles:
    """The places of the columns of a table by what they are.

    Arguments:
        names: Names of all columns; `None` without a header.
        features: Places of the features.
        others: Places of all others, in order.
        labels: Place of the labels.
        weights: Place of the weights.
        condition: Places of the condition.
        found: The columns named in the options that the table has.
        settled: Whether the options say which columns are an index.
    """

    names: tuple[str, ...] | None
    features: tuple[int, ...]
    others: tuple[int, ...]
    labels: int | None
    weights: int | None
    condition: tuple[int, ...]
    found: frozenset[str]
    settled: bool

    @classmethod
    def of(cls, path: Any, names: tuple[str, ...] | None, count: int, how: Reading) -> "Roles":
        """The roles of `count` columns.

        Raises:
            DataError: a name is repeated, or no column is left for the features.
            ConfigError: a column is named for two roles.
        """
        counts = collections.Counter(names)
        # Columns of an index may lack their names, as those of pandas do.
        if repeated := sorted(name for name, times in counts.items() if times > 1 and name):
            raise DataError(
                f"{str(path)!r}: each column must have a different name; repeated: "
                f"{listed(repeated)}. Rename the columns."
            )
        asked = {
            "index": how.index or (),
            "labels": () if how.labels is None else (how.labels,),
            "weights": () if how.weights is None else (how.weights,),
            "condition": how.condition,
        }
        found = {role: _places(texts, names, count) for role, texts in asked.items()}
        others = [place for places in found.values() for place in places.values()]
        if twice := {place for place in others if others.count(place) > 1}:
            raise ConfigError(
                f"{str(path)!r}: {_called(names, min(twice))} is named twice among --index, "
                "--labels, --weights and --condition."
            )
        features = tuple(place for place in range(count) if place not in others)
        if not features:
            raise DataError(f"{str(path)!r}: no column is left for the samples.")
        return cls(
            names,
            features,
            tuple(sorted(others)),
            next(iter(found["labels"].values()), None),
            next(iter(found["weights"].values()), None),
            tuple(found["condition"].values()),
            frozenset(text for places in found.values() for text in places),
            how.index == () or bool(found["index"]),
        )

    def named(self) -> tuple[str, ...] | None:
        """The names of the features."""
        return None if self.names is None else tuple(self.names[i] for i in self.features)

    def valued(self) -> tuple[int, ...]:
        """The places of weights and conditions, as far as there are any."""
        return (*(() if self.weights is None else (self.weights,)), *self.condition)

    def values(self, path: Any, given: Array, labels: Sequence[Any]) -> dict[str, Any]:
        """Labels, weights and condition by name.

        Arguments:
            path: The file.
            given: The numbers of `valued()`, a column for each.
            labels: The cells of the labels, numbers or texts.

        Raises:
            DataError: labels are numbers, but not whole ones.
        """
        columns, found = iter(given.T), {}
        if self.labels is not None:
            texts = [str(cell) for cell in labels]
            found["labels"] = np.array(texts)
            if all(map(is_number, texts)):
                numbers = np.array([_exact(text) for text in texts], object)
                found["labels"] = whole_numbers(path, numbers, self.called(self.labels))
        if self.weights is not None:
            found["weights"] = next(columns)
        if self.condition:
            found["condition"] = np.stack(list(columns), 1)
        return found

    def called(self, place: int) -> str:
        """A column, for a message."""
        return _called(self.names, place)

    def option(self, place: int) -> str:
        """The option that keeps a column aside."""
        name = None if self.names is None else self.names[place]
        plain = name is not None and re.fullmatch(r"[\w.-]+", name) and name != "none"
        return f"--index {name}" if plain else f"--index '#{place + 1}'"

    def check_index(self, path: Any, rows: Array) -> None:
        """Refuse a table with a column that may be an index, if the options say nothing of it.

        Raises:
            DataError: a column has no name, has that of an index, or counts the rows.
        """
        if self.settled or len(self.features) + len(self.others) < 2:
            return
        for place, values in zip(self.features, rows.T, strict=True):
            if reason := like_index(None if self.names is None else self.names[place], values):
                raise DataError(
                    f"{str(path)!r}: {self.called(place)} {reason}, so it may be an index or a "
                    f"feature. Pass {self.option(place)} to keep it aside, or --index none if it "
                    "is a feature."
                )

    def warn_of_rounded(self, path: Any, places: Iterable[int]) -> None:
        """Warn of features whose whole numbers float64 does not hold."""
        for place in sorted(places):
            warnings.warn(
                f"{str(path)!r}: {self.called(place)} has whole numbers beyond 2^53, which are "
                f"rounded. If they identify rows, pass {self.option(place)} to keep it aside.",
                DataWarning,
                stacklevel=2,
            )

    def not_a_number(self, path: Any, line: int, place: int, cell: str) -> DataError:
        """The error for a cell of a feature that is not a number."""
        hint, alone = "", len(self.features) + len(self.others) == 1
        for sign, name in ((";", "';'"), ("\t", "tabs"), ("|", "'|'")):
            if sign in cell and alone:
                hint = f" The file seems to be separated by {name}; separate its cells by commas."
        if not hint and " " in cell.strip() and all(map(is_number, cell.split())):
            hint = " The file seems to be separated by spaces; separate its cells by commas."
        return DataError(
            f"{str(path)!r}, line {line}, {self.called(place)}: {shown(cell)} is not a finite "
            f"number.{hint or f' Mend it, or keep the column aside by {self.option(place)}.'}"
        )


def _places(texts: Sequence[str], names: Sequence[str] | None, count: int) -> dict[str, int]:
    """The place of each column that the table has, by name or as `#1`."""
    found = {}
    for text in texts:
        if names is not None and text in names:
            found[text] = names.index(text)
        elif re.fullmatch(r"#[1-9][0-9]{0,8}", text) and int(text[1:]) <= count:
            found[text] = int(text[1:]) - 1
    return found


def _called(names: Sequence[str] | None, place: int) -> str:
    named = names is not None and names[place].strip()
    return f"column {names[place]!r}" if names is not None and named else f"column {place + 1}"


def shown(cell: str) -> str:
    """A cell for a message, at most forty characters of it."""
    return repr(cell if len(cell) <= 40 else f"{cell[:40]}…")


def is_number(cell: str) -> bool:
    """Whether a cell is a number; digits of other scripts and underscores are none."""
    try:
        float(cell)
    except ValueError:
        return False
    plain = cell.isascii() and cell.strip(BLANK).isprintable() and "_" not in cell
    return plain and not is_missing(cell)


def is_missing(cell: str) -> bool:
    """Whether a cell means that there is no value."""
    return cell.strip(BLANK).lower() in MISSING


def is_rounded(cell: str, value: float) -> bool:
    """Whether a cell is a whole number that differs from the float that it is read as."""
    return bool(re.fullmatch(r"[+-]?[0-9]+", cell.strip(BLANK))) and int(cell) != value


def complete(path: Any, missing: Array, how: Reading, first: str) -> Array | None:
    """The rows to keep, as a mask; `None` if no value is missing.

    Arguments:
        path: The file.
        missing: Whether a value is missing, for each row.
        how: The options of reading.
        first: Where the first missing value is.

    Raises:
        DataError: a value is missing, and rows are not to be dropped.
    """
    if not missing.any():
        return None
    if how.missing == "refuse":
        raise DataError(
            f"{str(path)!r}, {first}: a value is missing. Fill it in, or pass --missing drop to "
            "leave out rows with missing values."
        )
    warnings.warn(
        f"{str(path)!r}: {missing.sum()} of {len(missing)} rows have missing values and are left "
        "out.",
        DataWarning,
        stacklevel=2,
    )
    return ~missing


def whole_numbers(path: Any, values: Array, what: str) -> Array:
    """Labels as integers.

    Raises:
        DataError: a label is not a whole number.
    """
    with np.errstate(invalid="ignore"), contextlib.suppress(OverflowError, ValueError):
        labels: Array = values.astype(np.int64)
        if np.array_equal(labels, values):
            return labels
    raise DataError(f"{str(path)!r}: labels must be whole numbers below 2^63; {what} has others.")


def _exact(text: str) -> int | float:
    """The number of a text, exact if it is a whole one."""
    return int(text) if text.strip(BLANK).lstrip("+-").isdecimal() else float(text)
