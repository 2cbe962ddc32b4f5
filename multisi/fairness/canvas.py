"""Axes to draw on, and colours that everybody can tell apart."""

from typing import Any

import numpy as np

from multisi.errors import ConfigError

INK, PALE = "#333333", "#999999"
"""The colour of lines and text, and that of what stands behind."""
_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288", "#882255",
)  # fmt: skip
"""Okabe and Ito's, whose yellow and black are replaced by two of Tol's."""
_DASHES = ("-", "--", ":", "-.")
_MARKERS = "sD^vPX<>"


def axes(ax: Any, count: int = 1, size: tuple[float, float] = (5.4, 4.0)) -> Any:
    """The given Axes, or new ones side by side.

    Raises:
        ConfigError: not as many Axes are given as there are pictures, or matplotlib is missing.
    """
    if ax is not None:
        found = np.asarray(ax, dtype=object).ravel()
        if len(found) != count or not all(hasattr(part, "plot") for part in found):
            raise ConfigError(f"ax must be {count} Axes of matplotlib; got {ax!r}.")
        return found if count > 1 else found[0]
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ConfigError("Plots need matplotlib. Try: pip install 'multisi[plots]'") from None
    return pyplot.subplots(1, count, figsize=(size[0] * count, size[1]), layout="constrained")[1]


def style(i: int) -> dict[str, Any]:
    """Colour, dashes and marker of the group or method number `i`."""
    turn = i // len(_COLOURS)
    return {
        "color": _COLOURS[i % len(_COLOURS)],
        "linestyle": _DASHES[turn % len(_DASHES)],
        "marker": _MARKERS[(i + turn) % len(_MARKERS)],
    }


def tidy(ax: Any, **labels: str) -> None:
    """Labels, without the frame on the sides where nothing is read off."""
    ax.set(**labels)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(PALE)
    ax.tick_params(color=PALE, labelcolor=INK)
    ax.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    ax.set_axisbelow(True)


def short(name: Any, most: int = 28) -> str:
    """A name of limited length, whose middle is left out."""
    text = str(name)
    return text if len(text) <= most else f"{text[: most // 2]}…{text[1 - most // 2 :]}"


def key(ax: Any, **options: Any) -> None:
    """A legend without a frame, whose names are shown as they are."""
    for text in ax.legend(frameon=False, fontsize=9, **options).get_texts():
        text.set_parse_math(False)


def note(ax: Any, text: str, place: Any, **options: Any) -> None:
    """A small text beside a place, readable on top of lines."""
    from matplotlib.patheffects import withStroke

    ax.annotate(
        text,
        place,
        **{"textcoords": "offset points", "fontsize": 9, "color": INK, **options},
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )
