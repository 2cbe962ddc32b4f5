"""Plots of reports and grids of images, as the bytes of picture files."""

import io
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from multisi.analysis.report import FIGURES, Report
from multisi.common import checks
from multisi.errors import ConfigError, DataError

FORMATS = {"png": "png", "pdf": "pdf", "svg": "svg", "jpg": "jpg", "jpeg": "jpg"}
"""The endings of picture files, and their formats."""
_UNDATED = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
_LONG, _LARGE, _CROWDED = 28, 48.0, 40
"""Most characters of a name, inches of a side, and marginals whose cells have numbers."""


def check_format(path: Any) -> str:
    """The format of a picture file, by the ending of its name.

    Arguments:
        path: Path of the file.

    Returns:
        `"png"`, `"pdf"`, `"svg"` or `"jpg"`.

    Raises:
        ConfigError: the name has another ending, or `path` is not a path.

    Examples:
        >>> check_format("figures/energy.PDF")
        'pdf'
    """
    ending = checks.path(path, "The picture").suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise ConfigError(
            f"A picture must be a file whose name ends in {_one_of(FORMATS, '.')}; "
            f"got {str(path)!r}."
        )
    return FORMATS[ending]


def matrix(report: Report, figure: str = "energy_distance", format: str = "png") -> bytes:
    """A heat map of one figure of a report over all pairs.

    Arguments:
        report: The report of `Model.evaluate`.
        figure: Name of a figure of `Pair`, such as `"w2"`.
        format: `"png"`, `"pdf"`, `"svg"` or `"jpg"`.

    Returns:
        The bytes of a file of this format; equal figures give equal bytes.

    Raises:
        ConfigError: `figure` is not a figure of `Pair`, the format is unknown, or matplotlib is
            not installed.

    Examples:
        >>> from multisi.analysis import Report
        >>> matrix(Report(("a", "b"), ()))[1:4]
        b'PNG'
    """
    checks.instance(report, Report, "report")
    if figure not in FIGURES:
        raise ConfigError(f"figure must be one of {', '.join(FIGURES)}; got {figure!r}.")
    check_kind(format)
    places = {name: i for i, name in enumerate(report.names)}
    values = np.full((len(places), len(places)), np.nan)
    for pair in report.pairs:
        values[places[pair.source], places[pair.target]] = getattr(pair, figure)
    return heat_map(list(places), values, report.title(figure), format)


def heat_map(
    labels: Sequence[str], values: "np.ndarray[Any, Any]", title: str, format: str
) -> bytes:
    """A picture of a square table with a source in each row and a target in each column.

    Arguments:
        labels: Names of the rows, which are those of the columns.
        values: The table, of which cells that are not finite stay empty.
        title: A line above it.
        format: As for `matrix`.
    """
    check_kind(format)
    values = np.where(np.isfinite(values), values, np.nan)
    names = [_name(name) for name in labels]
    size = min(_LARGE, max(4.0, 1.1 * len(names) + 2))
    size += 0.1 * max(map(len, names), default=0)
    with drawn(size, 0.8 * size) as chart:
        axis = chart.subplots()
        _fill(axis, chart, values)
        axis.set_xticks(range(len(names)), names, rotation=30, ha="right", parse_math=False)
        axis.set_yticks(range(len(names)), names, parse_math=False)
        axis.set(xlabel="target", ylabel="source")
        chart.suptitle(title, fontsize=10, wrap=True)
        return picture(chart, format)


def _fill(axis: Any, chart: Any, values: "np.ndarray[Any, Any]") -> None:
    """Cells with colours and numbers; those without a value are empty."""
    shown = axis.imshow(values, cmap="viridis")
    if np.isfinite(values).any():
        chart.colorbar(shown)
    for (i, j), value in np.ndenumerate(values if len(values) <= _CROWDED else values[:0]):
        if np.isfinite(value):
            colour = "black" if shown.norm(value) > 0.5 else "white"
            axis.text(j, i, f"{value:.2g}", ha="center", va="center", color=colour, fontsize=9)


def image_grid(
    rows: Mapping[str, Sequence[Any]], columns: Sequence[str], format: str = "png"
) -> bytes:
    """A grid of images with labelled rows and columns.

    Arguments:
        rows: Name of each row to its images, one for each column, each of shape `(h, w, 3)` with
            values in [0, 1].
        columns: Name of each column.
        format: `"png"`, `"pdf"`, `"svg"` or `"jpg"`.

    Returns:
        The bytes of a file of this format; equal images give equal bytes.

    Raises:
        ConfigError: the format is unknown, or matplotlib is not installed.
        DataError: a row has not one image for each column, or an image has another shape.

    Examples:
        >>> image_grid({"row": [np.zeros((1, 1, 3))]}, ["column"])[1:4]
        b'PNG'
    """
    check_kind(format)
    images = {name: [_image(name, x) for x in row] for name, row in rows.items()}
    wrong = [name for name, row in images.items() if len(row) != len(columns)]
    if wrong or not images or not len(columns):
        lengths = {name: len(row) for name, row in images.items()}
        raise DataError(
            f"A grid of images needs rows with one image for each of {len(columns)} columns; got "
            f"rows of {lengths}."
        )
    tall = [max(len(x) / x.shape[1] for x in row) for row in images.values()]
    with drawn(2 * len(columns), 2.05 * sum(tall) + 0.2) as figure:
        axes = figure.subplots(
            len(images), len(columns), squeeze=False, gridspec_kw={"height_ratios": tall}
        )
        for line, (name, row) in zip(axes, images.items(), strict=True):
            for axis, image in zip(line, row, strict=True):
                axis.imshow(image.clip(0, 1), interpolation="none")
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
            line[0].set_ylabel(_name(name), fontsize=8, parse_math=False)
        for axis, name in zip(axes[0], columns, strict=True):
            axis.set_title(_name(name), fontsize=8, parse_math=False)
        return picture(figure, format)


def empty(width: float = 1, height: float = 1) -> Any:
    """An empty figure of the given size in inches.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("Plots need matplotlib. Try: pip install 'multisi[plots]'") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@contextmanager
def drawn(width: float, height: float) -> Iterator[Any]:
    """A figure, drawn without TeX, without warnings, and with the same names in every file."""
    empty()
    import matplotlib

    plain: Any = {"text.usetex": False, "svg.hashsalt": "multisi"}
    with matplotlib.rc_context(plain), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"(?s).*(Glyph|constrained_layout|Tight layout)")
        yield empty(width, height)


def picture(figure: Any, format: str, dpi: int = 84) -> bytes:
    """A figure as the bytes of a file of a format."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format=format, dpi=dpi, metadata=_UNDATED.get(format), bbox_inches="tight"
    )
    return buffer.getvalue()


def check_kind(format: Any) -> None:
    """Check the name of a format.

    Raises:
        ConfigError: it is unknown.
    """
    if format not in FORMATS.values():
        raise ConfigError(f"format must be {_one_of(set(FORMATS.values()))}; got {format!r}.")


def _one_of(names: Any, before: str = "") -> str:
    *first, last = (f"{before}{name}" for name in sorted(names))
    return f"{', '.join(first)} or {last}"


def _image(name: str, image: Any) -> "np.ndarray[Any, Any]":
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[2] != 3 or not array.size or array.dtype.kind not in "biuf":
        raise DataError(
            f"An image must have numbers of shape (h, w, 3); row {name!r} has {array.dtype} of "
            f"shape {array.shape}."
        )
    return array


def _name(name: str) -> str:
    """A name on one line of limited length, whose middle is left out."""
    plain = "".join("\ufffd" if unicodedata.category(c)[0] == "C" else c for c in str(name))
    half = _LONG // 2
    return plain if len(plain) <= _LONG else f"{plain[:half]}…{plain[1 - half :]}"
