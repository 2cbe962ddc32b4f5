"""`multisi repair`: from a table to a repaired table, and back."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from multisi.cli import outputs, repair_figures, repair_options, repair_page, repair_pictures
from multisi.cli.repair_figures import Figures, measured
from multisi.cli.repair_table import Block, Subject
from multisi.common import checks
from multisi.common.features import listed
from multisi.common.printable import printable
from multisi.errors import ConfigError, DataError
from multisi.fairness.extra import need
from multisi.files.atomic import write_whole
from multisi.files.frame_file import check_ending, read_table, table_bytes
from multisi.files.samples import Reading

_EXACT: dict[str, Any] = {"solver": "rk4", "n_steps": 24}
_WORSE = 0.02
"""Leakage that is added by a repair that makes things worse."""


def run(options: argparse.Namespace) -> None:
    """Repair a table, or undo it.

    Raises:
        ConfigError: options are wrong, or a package is missing.
        DataError: the table cannot be read or repaired.
    """
    repair_options.check(options)
    for module in ("sklearn", "narwhals", "pandas"):
        need(module)
    _check_files(options)
    table = read_table(options.table, Reading(most_bytes=options.max_bytes))
    if options.inverse is not None:
        repair = _loaded(options.inverse)
        if repair.restore:
            raise ConfigError(
                f"{options.inverse!r} was fitted with --restore, after which there is no way "
                "back. Repair the table without it."
            )
        subject = Subject.of(table, options, list(repair.get_feature_names_out()))
        groups = _known(repair, subject, options)
        made = repair.inverse_transform(
            subject.X, sensitive_features=groups, **_chosen(repair, options)
        )
        _write(options, subject, made, [(new, old) for old, new in _blocks(repair)])
        print(f"Undid the repair of {len(made):,} rows by {_field(repair)}.")
        return
    if options.given is not None:
        repair = _loaded(options.given)
        repair.set_params(restore=options.restore or repair.restore)
        subject = Subject.of(table, options, list(repair.feature_names_in_), _nominal(repair))
        groups = _known(repair, subject, options)
    else:
        subject = Subject.of(table, options)
        repair = _fitted(subject, options)
        groups = subject.groups
    _repair(options, subject, repair, groups)


def _repair(options: argparse.Namespace, subject: Subject, repair: Any, groups: Any) -> None:
    """Repair a table, write it, and tell what was done."""
    chosen = _chosen(repair, options)
    made = repair.transform(subject.X, sensitive_features=groups, **chosen)
    still = {**chosen, "amount": 0.0}
    before = repair.transform(subject.X, sensitive_features=groups, **still)
    amount = repair.amount if chosen["amount"] is None else chosen["amount"]
    moved = amount > 0 and repair.core_.map is not None
    spread = repair_figures.spread(repair, subject.X) if moved and not repair.restore else before
    figures = measured(before, spread, made, subject.groups, options.seed)
    if figures is not None and moved and amount == 1 and options.given is None:
        figures = replace(figures, held_out=repair_figures.held_out(repair, subject.X, groups))
    page = None
    if options.report is not None:
        pictures = {} if figures is None else repair_pictures.drawn(figures)
        page = repair_page.page(options, subject, repair, chosen, figures, pictures)
    _write(options, subject, made, _blocks(repair))
    if options.save is not None:
        repair.save(options.save)
    if page is not None:
        write_whole(checks.path(options.report, "--report"), page)
    print(_summary(options, subject, repair, figures))


def _check_files(options: argparse.Namespace) -> None:
    """Check the files that are read and written, before any work."""
    given = {"TABLE": options.table, "--with": options.given, "--inverse": options.inverse}
    written = {"--out": options.out, "--save": options.save, "--report": options.report}
    outputs.check_distinct({k: path for k, path in given.items() if path is not None}, written)
    for path in (options.table, options.out):
        check_ending(checks.path(path, "A table"))
    if options.report is not None:
        if checks.path(options.report, "--report").suffix.lower() not in (".html", ".htm"):
            raise ConfigError(f"--report must be an .html file; got {options.report!r}.")
        repair_pictures.check()
    for path in written.values():
        if path is not None:
            outputs.check_place(path)


def _fitted(subject: Subject, options: argparse.Namespace) -> Any:
    """A repair that is fitted to a table.

    Raises:
        DataError: there is one group.
    """
    from multisi.fairness import BarycentricRepair

    if len(set(subject.groups)) < 2:
        raise DataError(
            f"--sensitive: all {len(subject.groups):,} rows of {str(subject.table.path)!r} are of "
            f"one group, {subject.groups[0]!r}. A repair needs two groups or more."
        )
    repair = BarycentricRepair(
        amount=1.0 if options.amount is None else options.amount,
        target=options.target or "prior",
        field=options.field or "auto",
        categorical_features=[name for name in subject.features if name in subject.nominal],
        restore=options.restore,
        max_seconds=options.max_seconds,
        device=options.device,
        random_state=options.seed,
        verbose=not options.quiet,
        **(_EXACT if options.exact else {}),
    )
    return repair.fit(subject.X, sensitive_features=subject.groups)


def _loaded(path: Any) -> Any:
    """A saved repair.

    Raises:
        ConfigError: it has no names of columns, or no groups.
    """
    from multisi.fairness import load

    repair = load(path)
    if not hasattr(repair, "feature_names_in_") or repair.core_.nameless:
        lacks = "groups" if repair.core_.nameless else "names of columns"
        raise ConfigError(
            f"{str(path)!r} has a repair without {lacks}, which a table cannot be matched with. "
            "Use it in Python, or fit another one."
        )
    return repair


def _known(repair: Any, subject: Subject, options: argparse.Namespace) -> Any:
    """The groups of rows, as a repair that was fitted before calls them.

    Raises:
        DataError: a group was not there at the fit.
    """
    names = {str(group).strip(): group for group in repair.groups_}
    for row, group in enumerate(subject.groups):
        if group not in names and repair.unseen == "error":
            raise DataError(
                f"{str(subject.table.path)!r}, {subject.table.at(row)}: group {group!r} was not "
                f"there when the repair was fitted; known: {listed(list(names))}. Leave such rows "
                f"out, and check the order of --sensitive ({listed(options.sensitive)})."
            )
    return [names.get(group, group) for group in subject.groups]


def _nominal(repair: Any) -> list[str]:
    schema = repair.core_.schema
    pairs = zip(repair.feature_names_in_, schema.levels, strict=True)
    return [name for name, levels in pairs if levels is not None]


def _chosen(repair: Any, options: argparse.Namespace) -> dict[str, Any]:
    """The amount and the target, where they are not those of the repair."""
    target = options.target
    names = {str(group).strip(): group for group in repair.groups_}
    return {"amount": options.amount, "target": names.get(target, target)}


def _blocks(repair: Any) -> list[Block]:
    """The columns of a table, and those that each becomes."""
    names, at = list(repair.get_feature_names_out()), 0
    found: list[Block] = []
    for name, column in zip(
        repair.feature_names_in_, repair.core_.coordinates.columns, strict=True
    ):
        width = 1 if repair.restore else max(1, column.width)
        found.append(([str(name)], names[at : at + width]))
        at += width
    return found


def _write(
    options: argparse.Namespace, subject: Subject, made: Any, blocks: Sequence[Block]
) -> None:
    """Write the table that comes out."""
    typed = bool(len(subject.table.lines)) and check_ending(options.out) != ".csv"
    frame = subject.assembled(made, blocks, typed)
    data = table_bytes(options.out, frame, subject.table.indexed)
    write_whole(checks.path(options.out, "--out"), data)


def _summary(
    options: argparse.Namespace, subject: Subject, repair: Any, figures: Figures | None
) -> str:
    """What was done, in a few lines."""
    groups = ", ".join(f"{name} {count:,}" for name, count in subject.sizes().items())
    lines = [
        f"groups      {groups}",
        f"field       {_field(repair)}: {repair.reason_}",
    ]
    if subject.dropped:
        lines.insert(0, f"left out    {subject.dropped:,} rows with missing values")
    if figures is not None:
        lines += _lines(figures.values)
        if figures.held_out is not None:
            lines.append(f"held out    leakage {figures.held_out:.3f}, by a repair of other rows")
        if figures.values["leakage"][1] > figures.values["leakage"][0] + _WORSE:
            lines.append(
                "note        it leaks more than before; try another --field, such as auto"
            )
    written: Mapping[str, Any] = {
        "table": options.out,
        "repair": options.save,
        "report": options.report,
    }
    lines += [f"{what:<11} {path}" for what, path in written.items() if path is not None]
    return "\n".join(printable(line, 4000) for line in lines)


def _lines(values: Mapping[str, tuple[float, float, float]]) -> list[str]:
    return [
        f"{name:<11} {before:.3f} before, {after:.3f} after, "
        f"{'chance' if name == 'leakage' else 'floor'} {floor:.3f}"
        for name, (before, after, floor) in values.items()
    ]


def _field(repair: Any) -> str:
    exact = f" with {repair.solver} in {repair.n_steps} steps" if repair.solver else ""
    return f"{repair.field_!r}{exact if repair.field_ == 'flow' else ''}"
