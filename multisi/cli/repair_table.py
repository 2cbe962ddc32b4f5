"""The table of `multisi repair`: what each column is, the groups, and the table that comes out."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multisi.common.features import listed
from multisi.errors import ConfigError, DataError
from multisi.files.frame_file import Table, with_types
from multisi.files.index_column import like_index
from multisi.files.samples import Array

_HINT = "Name it in --categorical, or carry it along by --keep or --index."
Block = tuple[Sequence[str], Sequence[str]]
"""Columns of a table that become other columns, by name."""


@dataclass(frozen=True)
class Subject:
    """A table to repair, or to restore.

    Arguments:
        table: The table, without rows that were left out.
        features: The names of its features.
        X: The features, whose index identifies the rows.
        groups: The group of each row, as text.
        nominal: The features that are names.
        dropped: How many rows were left out.
    """

    table: Table
    features: Sequence[str]
    X: Any
    groups: Array
    nominal: Sequence[str]
    dropped: int

    @classmethod
    def of(
        cls,
        table: Table,
        options: argparse.Namespace,
        features: Sequence[str] | None = None,
        nominal: Sequence[str] = (),
    ) -> "Subject":
        """The columns of a table by what they are.

        Arguments:
            table: The table of a file.
            options: The options of the command.
            features: The features; by default, all columns that the options do not name.
            nominal: Those of them that are names.

        Raises:
            DataError: a column is missing, has text or missing values, or may be an index.
            ConfigError: a column is named for two roles.
        """
        named = _named(table, options)
        given = features is not None
        aside = {n for role in ("--sensitive", "--index", "--keep") for n in named[role]}
        if features is None:
            features = [name for name in table.names if name not in aside]
            nominal = named["--categorical"]
        _check(table, features, aside)
        complete = _complete(table, features, named["--sensitive"], options.missing)
        columns = {n: _values(complete, n, n in nominal, given) for n in features}
        if options.index is None and not given:
            _check_index(complete, {n: v for n, v in columns.items() if n not in nominal})
        import pandas

        return cls(
            complete,
            features,
            pandas.DataFrame(columns, index=_identifiers(complete, named["--index"])),
            _groups(complete, named["--sensitive"]),
            nominal,
            len(table.frame) - len(complete.frame),
        )

    def sizes(self) -> dict[str, int]:
        """The rows of each group."""
        names, counts = np.unique(self.groups.astype(str), return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))

    def assembled(self, made: Any, blocks: Sequence[Block], typed: bool) -> Any:
        """The table that comes out: new columns at the places of the old ones, others unchanged.

        Arguments:
            made: A DataFrame with the new columns.
            blocks: Old columns, and the new ones that stand where the first of them stood.
            typed: Whether texts of numbers become numbers, in a file that knows types.

        Raises:
            DataError: a new column has the name of one that is carried along.
        """
        import pandas

        aside = [name for name in self.table.names if name not in self.features]
        frame = with_types(self.table, aside) if typed else self.table.frame
        new = {old[0]: names for old, names in blocks}
        found: dict[str, Any] = {}
        for name in self.table.names:
            taken = (
                {name: frame[name]} if name in aside else {n: made[n] for n in new.get(name, ())}
            )
            for label, column in taken.items():
                if label in found:
                    raise DataError(
                        f"{str(self.table.path)!r}: a column of the output and another one are "
                        f"both called {label!r}. Rename the column."
                    )
                found[label] = column.array
        return pandas.DataFrame(found, index=frame.index)


def _named(table: Table, options: argparse.Namespace) -> dict[str, list[str]]:
    """The columns that the options name."""
    asked = {
        "--sensitive": options.sensitive,
        "--index": [text for text in options.index or () if text != "none"],
        "--keep": options.keep,
        "--categorical": options.categorical,
    }
    found = {role: [_place(table, text, role) for text in texts] for role, texts in asked.items()}
    names = [name for role in found.values() for name in role]
    if twice := sorted(name for name in set(names) if names.count(name) > 1):
        raise ConfigError(
            f"{str(table.path)!r}: column {twice[0]!r} is named twice among {', '.join(asked)}."
        )
    return found


def _place(table: Table, text: str, option: str) -> str:
    """The name of a column, which is given by its name or as #1."""
    if text in table.names:
        return text
    if re.fullmatch(r"#[1-9][0-9]{0,8}", text) and int(text[1:]) <= len(table.names):
        return table.names[int(text[1:]) - 1]
    raise DataError(
        f"{option}: {str(table.path)!r} has no column {text!r}; it has {listed(table.names)}."
    )


def _check(table: Table, features: Sequence[str], aside: set[str]) -> None:
    if not features:
        raise DataError(f"{str(table.path)!r}: no column is left to repair.")
    if missing := [name for name in features if name not in table.names]:
        raise DataError(
            f"{str(table.path)!r} lacks the column {missing[0]!r} of the repair, whose columns "
            f"are {listed(features)}; it has {listed(table.names)}."
        )
    if both := [name for name in features if name in aside]:
        raise ConfigError(
            f"{str(table.path)!r}: column {both[0]!r} is a feature of the repair; name it in no "
            "option."
        )


def _complete(
    table: Table, features: Sequence[str], sensitive: Sequence[str], missing: str
) -> Table:
    """The rows without missing values."""
    lacking = {name: table.missing(name) for name in (*sensitive, *features)}
    gone = np.any(list(lacking.values()), axis=0)
    if not gone.any():
        return table
    if missing == "drop":
        if gone.all():
            raise DataError(f"{str(table.path)!r}: each row has a missing value.")
        return table.kept(~gone)
    row = int(gone.argmax())
    name = next(name for name, mask in lacking.items() if mask[row])
    group = ""
    if not any(lacking[column][row] for column in sensitive):
        group = f" of group {_groups(table, sensitive)[row]!r}"
    raise DataError(
        f"{str(table.path)!r}, {table.at(row)}{group}: column {name!r} has a missing value "
        f"({int(gone.sum()):,} rows have one). Fill them in, or pass --missing drop to "
        "leave these rows out."
    )


def _groups(table: Table, sensitive: Sequence[str]) -> Array:
    """The group of each row: the text of its value, or of its values joined."""
    columns = [table.texts(name) for name in sensitive]
    found = [" & ".join(texts) for texts in zip(*columns, strict=True)]
    return np.array(found, dtype=object)


def _values(table: Table, name: str, nominal: bool, given: bool) -> Any:
    """The values of a feature: numbers, or the names of its levels as they came."""
    if nominal:
        return table.frame[name].array
    return table.numbers(name, "The repair was fitted to numbers." if given else _HINT)


def _identifiers(table: Table, index: Sequence[str]) -> Any:
    """What tells rows apart: the columns of an index, the index of a DataFrame, or the places."""
    if not index:
        return table.frame.index
    return [" & ".join(texts) for texts in zip(*map(table.texts, index), strict=True)]


def _check_index(table: Table, columns: dict[str, Array]) -> None:
    for name, values in columns.items():
        if reason := like_index(name, np.asarray(values, np.float64)):
            option = f"'#{table.names.index(name) + 1}'"
            option = name if re.fullmatch(r"[\w.-]+", name) and name != "none" else option
            raise DataError(
                f"{str(table.path)!r}: column {name!r} {reason}, so it may be an index or a "
                f"feature. Pass --index {option} to keep it aside, or --index none if it is a "
                "feature."
            )
