"""The files that a command reads."""

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from multisi.cli.values import pairs
from multisi.common.features import listed, places
from multisi.data.marginals import Marginal
from multisi.errors import ConfigError, DataError, MultisiError
from multisi.files.formats import read_samples
from multisi.files.samples import Array, Reading, Samples


def reading(options: argparse.Namespace, names: Collection[str] = ()) -> Reading:
    """The options of reading; the header is that of all files.

    Arguments:
        options: The options of the command.
        names: Names of the datasets.

    Raises:
        ConfigError: an option is invalid, or names another dataset.
    """
    given = [text.rpartition("=")[0] for text in options.header]
    for which in given:
        if given.count(which) > 1:
            raise ConfigError(f"--header is given twice{which and f' for {which!r}'}.")
        if which and which not in names:
            raise ConfigError(f"--header: no dataset is named {which!r}.")
    index = options.index
    if index is not None and "none" in index and len(index) > 1:
        raise ConfigError("--index none says that there is no index; it stands alone.")
    return Reading(
        header=_header(options.header, None),
        index=None if index is None else tuple(text for text in index if text != "none"),
        labels=getattr(options, "labels", None),
        weights=getattr(options, "weights", None),
        condition=tuple(options.condition),
        missing=options.missing,
        most_bytes=options.max_bytes,
        size=_size(options.size),
        channels=options.channels,
        unreadable=options.unreadable,
    )


def fitting(how: Reading, event: tuple[int, ...] | None) -> Reading:
    """The same options, with the size and the channels of a model of pictures by default."""
    if event is None or len(event) != 3 or event[0] not in (1, 3):
        return how
    height, width = event[1:]
    return replace(how, size=how.size or (height, width), channels=how.channels or event[0])


def _size(text: str | None) -> tuple[int, int] | None:
    """Height and width, from N or HxW."""
    if text is None:
        return None
    sides = text.split("x")
    if not 1 <= len(sides) <= 2 or not all(map(_positive, sides)):
        raise ConfigError(f"--size must be N or HxW, such as 64 or 64x48; got {text!r}.")
    return int(sides[0]), int(sides[-1])


def _positive(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) > 0


def _header(texts: Sequence[str], name: str | None) -> bool | None:
    """What `--header` says of a dataset, or of all."""
    found: bool | None = None
    for text in texts:
        which, equals, value = text.rpartition("=")
        if value not in ("yes", "no") or (equals and not which):
            raise ConfigError(f"--header must be yes, no, NAME=yes or NAME=no; got {text!r}.")
        if not equals or which == name:
            found = value == "yes" if found is None or equals else found
    return found


def read_all(
    files: Mapping[str, str], how: Reading, header: Sequence[str] = ()
) -> dict[str, Samples]:
    """The samples of some files, by name of the dataset.

    Raises:
        ConfigError: the format of a file is unknown.
        DataError: a file cannot be read.
    """
    return {
        name: read_samples(file, replace(how, header=_header(header, name)))
        for name, file in files.items()
    }


def check_found(found: Sequence[Samples], how: Reading) -> None:
    """Check that each column that is asked for is in one of some files.

    Raises:
        DataError: no file has it.
    """
    asked = {
        "--index": how.index or (),
        "--labels": (how.labels,),
        "--weights": (how.weights,),
        "--condition": how.condition,
    }
    for option, columns in asked.items():
        for column in columns:
            if column is not None and not any(column in samples.found for samples in found):
                names = next((names for s in found if (names := s.names())), None)
                known = f"The first table has {listed(names)}." if names else "No file has names."
                raise DataError(f"{option}: no file has the column {column!r}. {known}")


def order(samples: Samples, features: Sequence[str] | None, what: str) -> list[int] | None:
    """The places of some features in the rows of a file; `None` if the rows stay as they are.

    Raises:
        DataError: the file has other features, or is a table without names.
    """
    if features is None or (samples.features is None and not samples.headless):
        return None
    if samples.features is None:
        raise DataError(
            f"{what} has no names, and the features have: {listed(features)}. If its columns are "
            "in this order, pass --header no."
        )
    try:
        return places(samples.features, features, what)
    except DataError as error:
        if set(samples.features) <= set(features):
            raise
        raise DataError(f"{error} A column that is no feature is kept aside by --index.") from None


def marginals_of(
    found: Mapping[str, Samples], features: Sequence[str] | None
) -> dict[str, Marginal]:
    """The marginals of some files, their features in one order.

    Raises:
        MultisiError: the samples are no marginal; the message names it.
    """
    labels = [samples.labels for samples in found.values() if samples.labels is not None]
    as_text = any(array.dtype.kind == "U" for array in labels)
    return {
        name: _marginal(name, _with_text(samples) if as_text else samples, features)
        for name, samples in found.items()
    }


def _with_text(samples: Samples) -> Samples:
    """The samples with labels that are text, as those of another file are."""
    labels = samples.labels
    return samples if labels is None else replace(samples, labels=labels.astype(str))


def _marginal(name: str, samples: Samples, features: Sequence[str] | None) -> Marginal:
    try:
        ordered = order(samples, features, "its table")
        rows: Array = samples.rows if ordered is None else samples.rows[:, ordered]
        return Marginal(
            rows,
            labels=samples.labels,
            weights=samples.weights,
            condition=samples.condition,
            features=samples.features if features is None else features,
        )
    except MultisiError as error:
        raise type(error)(f"Marginal {name!r}: {error}") from None


def files_of(texts: Sequence[str], what: str) -> dict[str, str]:
    """Names and files, from texts NAME=FILE."""
    return pairs(texts, what, "NAME=FILE")


def condition_of(texts: Sequence[str]) -> tuple[list[float] | None, tuple[str, ...]]:
    """One condition for all rows, or the columns that have one for each row.

    Raises:
        ConfigError: both are given, or a number is not finite.
    """
    numbers = [_numbers(text) for text in texts]
    if not any(numbers):
        return None, tuple(texts)
    if len(texts) > 1:
        raise ConfigError(
            "--condition must be columns, or one condition as numbers joined by commas; got "
            f"{' and '.join(map(repr, texts))}."
        )
    return numbers[0], ()


def check_number(text: str, samples: Samples) -> None:
    """Check that a condition for all rows is not the name of a column too.

    Raises:
        ConfigError: it is.
    """
    if text in (samples.names() or ()):
        raise ConfigError(
            f"--condition {text!r} is a number and a column. Name the column by its place, such "
            "as '#1', or write the number otherwise, such as with '.0'."
        )


def _numbers(text: str) -> list[float] | None:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return None
