"""CSV files: a fast way for plain numbers, and an exact one that says what is wrong where."""

import array
import codecs
import contextlib
import csv
import importlib
import io
import itertools
import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from einops import rearrange
from packaging.version import Version

from multisi.errors import DataError
from multisi.files.header import LOOKED_AT, has_header
from multisi.files.regular import open_regular
from multisi.files.samples import Array, Column, Reading, Samples
from multisi.files.tables import BLANK, EXACT, Roles, complete, is_missing, is_number, is_rounded


def read(path: Any, how: Reading) -> Samples:
    """Samples from a CSV file.

    Raises:
        DataError: the file is damaged or ambiguous, or its contents are not numbers.
    """
    with open_regular(path) as file:
        try:
            return _read(path, file, how)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{str(path)!r} cannot be read: it is not UTF-8 ({error.reason}). Save it so."
            ) from None


def _read(path: Any, file: BinaryIO, how: Reading) -> Samples:
    with lines_of(path, file) as lines:
        numbered = list(itertools.islice(lines, LOOKED_AT + 1))
    if not numbered:
        raise DataError(f"{str(path)!r} must hold samples; got an empty file.")
    first = [cells for _, cells in numbered]
    header = has_header(path, first, how.header)
    names = tuple(cell.strip(BLANK) for cell in first[0]) if header else None
    roles = Roles.of(path, names, len(first[0]), how)
    body = first[1:] if header else first
    plain = bool(body) and all(is_number(body[0][i]) for i in roles.features if i < len(body[0]))
    found = _fast(file, numbered[0][0] if header else 0, roles) if plain else None
    return _assembled(path, found or _exact(path, file, header, roles), roles, how)


class _Parsed(NamedTuple):
    """Numbers of the features, texts of the other columns by place, and numbers of the lines."""

    rows: Array
    texts: dict[int, list[str]]
    lines: Sequence[int] = ()


def _rewind(file: BinaryIO) -> None:
    """Go to the start of the text, after a byte order mark."""
    file.seek(0)
    if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        file.seek(0)


@contextlib.contextmanager
def _text(file: BinaryIO) -> Iterator[io.TextIOWrapper]:
    """The text of a file from its start, after a byte order mark; the file stays open."""
    _rewind(file)
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        yield text
    finally:
        text.detach()


@contextlib.contextmanager
def lines_of(path: Any, file: BinaryIO) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """The lines of a file, as number and cells; empty ones are left out, save of one column."""

    def lines(text: io.TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
        reader, width, empty = csv.reader(text, strict=True), 0, []
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise DataError(f"{str(path)!r}, line {reader.line_num}: {error}.") from None
            if cells is None:
                return
            if not any(c.strip(BLANK) for c in cells[:2]) and len(cells) <= (width != 1):
                empty.append(reader.line_num)
                continue
            if width == 1:  # There, an empty line may be a missing value.
                yield from ((number, [""]) for number in empty)
            width, empty = width or len(cells), []
            yield reader.line_num, cells

    with _text(file) as text:
        yield lines(text)


class _Watched:
    """Bytes that are no longer plain where one is zero, which pandas may drop.

    It is no file of Python's, so pandas takes the bytes as they are, without decoding them first.
    """

    def __init__(self, file: BinaryIO, skipped: int) -> None:
        self._file = file
        for _ in range(skipped):
            line = file.readline()
            if b"\r" in line.rstrip(b"\r\n"):
                raise ValueError("another end of lines")

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)

    def read(self, count: int = -1) -> bytes:
        """Read some bytes."""
        found = self._file.read(count)
        if b"\0" in found:
            raise ValueError("a null character")
        return found


def _fast(file: BinaryIO, skipped: int, roles: Roles) -> _Parsed | None:
    """Numbers and texts by the parser of pandas, after the header; `None` if not plain."""
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        return None
    count = len(roles.features) + len(roles.others)
    exact = Version(pandas.__version__) >= Version("3.1")  # Its default; the option goes away.
    options = {} if exact else {"float_precision": "round_trip"}
    _rewind(file)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            frame = pandas.read_csv(
                _Watched(file, skipped),
                header=None,
                na_filter=False,
                skip_blank_lines=count > 1,
                dtype=dict.fromkeys(roles.others, object) or None,  # A dict costs time.
                **options,
            )
            texts = {place: frame[place].tolist() for place in roles.others}
            numbers = frame.drop(columns=list(texts)) if texts else frame
            if any(kind.kind not in "iuf" for kind in numbers.dtypes):
                return None
            rows = numbers.to_numpy(np.float64)
        except (UnicodeDecodeError, MemoryError):
            raise
        except Exception:  # Whatever it is, the exact way finds it, and says where it is.
            return None
    # Infinities, and whole numbers that may be rounded, are seen in the texts.
    whole = frame.shape[1] == count and bool(rows.max() < EXACT and rows.min() > -EXACT)
    # A short line is filled up, with empty texts where its last columns are texts.
    whole = whole and all(map(all, texts.values()))
    whole = whole and all(is_number(cell) for i in roles.valued() for cell in texts[i])
    whole = whole and not any(map(is_missing, texts.get(_labels(roles), ())))
    return _Parsed(rows, texts) if whole else None


def _exact(path: Any, file: BinaryIO, header: bool, roles: Roles) -> _Parsed:
    """Numbers, NaN where one is missing, and texts; line by line."""
    numbers, numbered, rounded = array.array("d"), array.array("q"), set[int]()
    count = len(roles.features) + len(roles.others)
    texts: dict[int, list[str]] = {place: [] for place in roles.others}
    with lines_of(path, file) as lines:
        if header:
            next(lines)
        for number, cells in lines:
            if len(cells) != count:
                raise ragged(path, number, cells, count)
            for place, kept in texts.items():
                kept.append(cells[place])
            chosen = [cells[place] for place in roles.features] if texts else cells
            values = _numbers(path, number, chosen, roles.features, roles)
            if max(map(abs, values)) >= EXACT:
                found = map(is_rounded, chosen, values)
                rounded.update(itertools.compress(roles.features, found))
            numbers.extend(values)
            numbered.append(number)
    roles.warn_of_rounded(path, rounded)
    rows = np.frombuffer(numbers, dtype=np.float64) if numbers else np.empty(0)
    return _Parsed(rows.reshape(-1, len(roles.features)), texts, numbered)


def ragged(path: Any, line: int, cells: Sequence[str], count: int) -> DataError:
    """The error for a line of another number of cells than the first."""
    hint = "Each line must have as many cells as the first."
    if count == 1:
        hint += " If the first is a comment, remove it; if the file is not separated by commas, "
        hint += "separate its cells so, and write decimals with points."
    expected = f"{count} cell{'s' * (count > 1)}"
    return DataError(f"{str(path)!r}, line {line}: expected {expected}; got {len(cells)}. {hint}")


def _numbers(
    path: Any, line: int, cells: Sequence[str], places: Sequence[int], roles: Roles
) -> list[float]:
    """The numbers in the cells of some places of a line; NaN where one is missing."""
    together = "".join(cells)
    with contextlib.suppress(ValueError):
        values = list(map(float, cells))
        plain = together.isascii() and together.isprintable() and "_" not in together
        if plain and all(map(math.isfinite, values)):
            return values
    values = []
    for place, cell in zip(places, cells, strict=True):
        value = float(cell) if is_number(cell) else math.nan
        if not math.isfinite(value) and not is_missing(cell):
            raise roles.not_a_number(path, line, place, cell)
        values.append(value)
    return values


def _assembled(path: Any, parsed: _Parsed, roles: Roles, how: Reading) -> Samples:
    rows, texts, lines = parsed
    roles.check_index(path, rows)
    given = np.empty((len(rows), len(roles.valued())))
    for i, place in enumerate(roles.valued()):
        for row, cell in enumerate(texts[place]):
            line = lines[row] if lines else 0  # The fast way has numbers only.
            given[row, i] = _numbers(path, line, [cell], [place], roles)[0]
    columns = [np.isnan(rows), np.isnan(given)] if lines else [np.isnan(given)]
    if lines and roles.labels is not None:
        columns.append(np.array([[is_missing(cell)] for cell in texts[roles.labels]]))
    lacking = np.concatenate(columns, 1)
    missing, where = np.asarray(lacking.any(1)), ""
    if missing.any():
        row = int(missing.argmax())
        places = (*roles.features, *roles.valued(), _labels(roles))
        where = f"line {lines[row]}, {roles.called(places[int(lacking[row].argmax())])}"
    keep = complete(path, missing, how, where)
    if keep is not None:
        rows, given = rows[keep], given[keep]
        texts = {i: list(itertools.compress(cells, keep)) for i, cells in texts.items()}
    names = roles.names or (None,) * (len(roles.features) + len(roles.others))
    return Samples(
        rows,
        roles.named(),
        aside=tuple(Column(place, names[place], texts[place]) for place in roles.others),
        found=roles.found,
        headless=roles.names is None and how.header is None,
        **roles.values(path, given, texts.get(_labels(roles), ())),
    )


def _labels(roles: Roles) -> int:
    return -1 if roles.labels is None else roles.labels


def write(rows: Array, like: Samples) -> bytes:
    """Rows as the bytes of a CSV file, with a header if the samples have names."""
    rows = rearrange(rows, "n ... -> n (...)")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names, columns = like.names(), like.among(rows.T.tolist(), [c.cells for c in like.aside])
    if like.picture is not None:
        names = [f"x{i}" for i in range(rows.shape[1])]
    if like.index is not None:
        index = like.index.to_frame(index=False)
        names = [*("" if name is None else str(name) for name in like.index.names), *(names or [])]
        columns = [*(index.iloc[:, i] for i in range(index.shape[1])), *columns]
    if names is not None:
        writer.writerow(names)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue().encode()
