"""The page of a repair: what was done, figures, pictures, and what it does not give."""

import argparse
import base64
import html
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from multisi._version import __version__
from multisi.cli.repair_figures import Figures
from multisi.cli.repair_style import LIMITS, STYLE
from multisi.cli.repair_table import Subject
from multisi.common.printable import printable

_MEANINGS = {
    "leakage": "balanced accuracy of a classifier of the groups that sees the columns only, "
    "cross-fitted; the floor is chance",
    "KS": "largest gap between the distributions of two groups, over all columns",
    "W1": "largest mean shift between two groups, over all columns, in standard deviations",
}


def page(
    options: argparse.Namespace,
    subject: Subject,
    repair: Any,
    chosen: Mapping[str, Any],
    figures: Figures | None,
    pictures: Mapping[str, bytes],
) -> bytes:
    """The page, which needs no other file and no network.

    Arguments:
        options: The options of the command.
        subject: The table that was repaired.
        repair: The repair.
        chosen: The amount and the target, where they are not those of the repair.
        figures: The figures, if there are any.
        pictures: Titles and PNG files.
    """
    name = pathlib.Path(options.table).name
    parts = [
        f"<h1>Repair of {_text(name)}</h1>",
        f'<p class="lead">{len(subject.groups):,} rows in {len(subject.sizes())} groups; '
        f"{len(repair.feature_names_in_)} columns repaired by the field "
        f"<b>{repair.field_}</b>.</p>",
        _measured(figures),
        "<h2>What was done</h2>",
        _pairs(_done(options, subject, repair, chosen)),
        "<h2>Groups</h2>",
        _groups(subject, repair, chosen, figures),
        "<h2>Columns</h2>",
        _table(["column", "taken for"], _columns(repair)),
        *(_picture(title, data) for title, data in pictures.items()),
        "<h2>What this does not give</h2>",
        LIMITS,
        f"<footer>Written by multisi {__version__}.</footer>",
    ]
    whole = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">"
        f"<title>Repair of {_text(name)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )
    return whole.encode()


def _measured(figures: Figures | None) -> str:
    """The bars of the leakage, and the figures before and after."""
    if figures is None:
        return "<p>Figures need two groups of two rows or more; this table has none.</p>"
    before, after, chance = figures.values["leakage"]
    rows = [
        [f"<b>{name}</b>", *(f"{v:.3f}" for v in values)]
        for name, values in figures.values.items()
    ]
    notes = "".join(f"<li><b>{name}:</b> {text}</li>" for name, text in _MEANINGS.items())
    return (
        '<div class="bars" role="img" aria-label="'
        f'Leakage {before:.3f} before, {after:.3f} after, chance {chance:.3f}">'
        f"<h3>Leakage: how well a classifier tells the groups</h3>"
        f"{_bar('before', before, chance)}{_bar('after', after, chance, True)}"
        f'<p class="chance">dashed line: chance, {chance:.3f}</p></div>'
        f"{_table(['figure', 'before', 'after', 'floor'], rows)}"
        f'<ul class="notes">{notes}</ul>'
        f"<p><small>Of {figures.rows:,} rows. Floors are chance, or the 90 % quantile over "
        f"permutations of the groups: below them nothing is left to repair. {_of_new(figures)}"
        "</small></p>"
    )


def _of_new(figures: Figures) -> str:
    """What is known of new rows."""
    told = "Rows that a repair was fitted to are more alike than new ones are. "
    if figures.held_out is None:
        return (
            told + "To see how it does on new rows, repair a second table by <code>--with</code>."
        )
    return f"{told}Leakage of held-out rows: <b>{figures.held_out:.3f}</b>."


def _bar(label: str, value: float, chance: float, strong: bool = False) -> str:
    return (
        f'<div class="bar"><span>{label}</span><div class="track">'
        f'<div class="fill{" strong" if strong else ""}" style="width:{100 * value:.1f}%"></div>'
        f'<div class="line" style="left:{100 * chance:.1f}%"></div></div><b>{value:.3f}</b></div>'
    )


def _done(
    options: argparse.Namespace, subject: Subject, repair: Any, chosen: Mapping[str, Any]
) -> dict[str, str]:
    amount = repair.amount if chosen["amount"] is None else chosen["amount"]
    target = repair.target if chosen["target"] is None else chosen["target"]
    how = "the closed form"
    if repair.field_ == "flow":
        how = f"{repair.solver or 'the default solver'} in {repair.n_steps} steps"
    kept = [name for name in subject.table.names if name not in subject.features]
    found = {
        "Sensitive": ", ".join(map(_text, options.sensitive)),
        "Amount": f"{amount:g} (0 leaves rows as they are, 1 repairs them)",
        "Target": f"{_text(target)}: the law that all groups are moved to",
        "Field": f"<b>{repair.field_}</b>: {_text(repair.reason_)}",
        "Computed by": _text(how),
        "Values": "returned to their lattice"
        if repair.restore
        else "spread as they were moved, so that there is a way back",
        "Carried along": ", ".join(_text(name or "(no name)") for name in kept),
        "Left out": f"{subject.dropped:,} rows with missing values" if subject.dropped else "",
        "Repair": _text(options.given or options.save or ""),
    }
    return {name: text for name, text in found.items() if text}


def _groups(
    subject: Subject, repair: Any, chosen: Mapping[str, Any], figures: Figures | None
) -> str:
    weights = repair._alpha(chosen["target"])
    shares = {str(g).strip(): w for g, w in zip(repair.groups_, weights, strict=True)}
    moved = {} if figures is None else figures.distortion
    rows = [
        [
            _text(name),
            f"{count:,}",
            f"{count / len(subject.groups):.1%}",
            f"{shares[name]:.1%}" if name in shares else "not known",
            f"{moved[name]:.3f}" if name in moved else "–",
        ]
        for name, count in subject.sizes().items()
    ]
    note = (
        "<p><small>Moved: mean squared change of a value, in variances of its column.</small></p>"
    )
    return _table(["group", "rows", "share", "weight in the target", "moved"], rows) + note


def _columns(repair: Any) -> list[list[str]]:
    made = repair.core_.coordinates.to_dict()
    levels = repair.core_.schema.levels
    return [
        [_text(name), _text(_taken_for(column, names))]
        for name, column, names in zip(repair.feature_names_in_, made, levels, strict=True)
    ]


def _taken_for(column: Mapping[str, Any], levels: Sequence[Any] | None) -> str:
    """What a column was taken for, in words."""
    if column["kind"] == "Squashed":
        return f"{_taken_for(column['inner'], levels)}; with a heavy tail"
    if column["kind"] == "Scored":
        return _taken_for(column["inner"], levels)
    if column["kind"] == "Constant":
        return "constant: left as it is"
    if column["kind"] == "Nominal" or levels is not None:
        named = ", ".join(map(str, (levels or ())[:8]))
        return f"names: {len(levels or ())} levels, {named}{', …' * (len(levels or ()) > 8)}"
    if column["kind"] == "Lattice":
        points = len(column["edges"]) - 1
        step, decimals = column["step"], column["decimals"]
        if points == 2:
            return "two values"
        kind = (
            "whole numbers"
            if decimals == 0
            else f"numbers with {decimals} decimal{'s' * (decimals > 1)}"
        )
        fine = f", {step / 10**decimals:g} apart" if step > 1 else ""
        return f"{kind}{fine}: {points:,} values"
    atoms = ", ".join(f"{value:g}" for value in column["atoms"][:5])
    return f"continuous, with many rows at {atoms}" if atoms else "continuous"


def _picture(title: str, data: bytes) -> str:
    source = base64.b64encode(data).decode()
    return (
        f'<figure><figcaption>{_text(title)}</figcaption><div class="wide"><img '
        f'alt="{_text(title)}" src="data:image/png;base64,{source}"></div></figure>'
    )


def _pairs(pairs: Mapping[str, str]) -> str:
    """Names and values, which are HTML."""
    return f"<dl>{''.join(f'<dt>{n}</dt><dd>{v}</dd>' for n, v in pairs.items())}</dl>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells, which are HTML."""
    top = "".join(f"<th>{name}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def _text(value: Any) -> str:
    return html.escape(printable(str(value), 300))
