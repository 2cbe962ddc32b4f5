"""The options of `multisi repair`, and which of them go together."""

import argparse

from multisi.cli.table_options import add_limits
from multisi.cli.values import number
from multisi.errors import ConfigError

_COLUMNS = {
    "sensitive": "a column whose values are the groups; may be repeated, for their intersections",
    "categorical": "a column of names without an order; may be repeated",
    "keep": "a column to carry along unchanged, such as the outcome; may be repeated",
}
_FITTING = ("field", "categorical", "exact", "max_seconds", "save")
"""Options that say how a repair is fitted."""
_REPAIRING = ("restore", "report")
"""Options of repairing, which the way back does not have."""


def add_repair(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("table", metavar="TABLE", help="the table, a .csv or .parquet file")
    parser.add_argument("--out", required=True, metavar="TABLE", help="the table to write")
    for name, text in _COLUMNS.items():
        parser.add_argument(
            f"--{name}",
            action="append",
            default=[],
            metavar="COLUMN",
            required=name == "sensitive",
            help=text,
        )
    _add_repairing(parser)
    _add_fitting(parser)
    _add_files(parser)
    parser.add_argument(
        "--index",
        action="append",
        metavar="COLUMN",
        help="a column that identifies the rows, by name or by place as #1, may be repeated; none "
        "if all columns are features",
    )
    add_limits(parser)


def _add_repairing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--amount",
        type=number,
        metavar="A",
        help="how far rows are moved: 0 leaves them as they are, 1 repairs them (default: 1)",
    )
    parser.add_argument(
        "--target",
        metavar="POINT",
        help="the common law: prior, by the shares of the groups, uniform, or a group "
        "(default: prior)",
    )
    parser.add_argument(
        "--restore",
        action="store_true",
        help="return repaired values to their lattice, such as whole numbers; there is no way "
        "back then",
    )


def _add_fitting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--field",
        choices=("auto", "affine", "quantile", "copula", "flow"),
        help="the map (default: auto, the simplest that tells least of the groups)",
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="integrate a flow by rk4 in 24 steps, so that the way back is exact to 1e-5",
    )
    parser.add_argument(
        "--max-seconds", type=number, metavar="S", help="longest training time of a flow"
    )


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--save", metavar="FILE", help="write the fitted repair to a .safetensors file"
    )
    parser.add_argument(
        "--with", dest="given", metavar="REPAIR", help="a saved repair to use, instead of a fit"
    )
    parser.add_argument(
        "--inverse", metavar="REPAIR", help="the saved repair that made TABLE, to be undone"
    )
    parser.add_argument(
        "--report", metavar="FILE", help="write a page of figures and pictures, an .html file"
    )


def check(options: argparse.Namespace) -> None:
    """Check which options are given together.

    Raises:
        ConfigError: two options exclude each other.
    """
    if options.given is not None and options.inverse is not None:
        raise ConfigError("--with and --inverse exclude each other.")
    mode = "--with" if options.inverse is None else "--inverse"
    refused = _FITTING if options.inverse is None else (*_FITTING, *_REPAIRING)
    if options.given is not None or options.inverse is not None:
        for name in refused:
            if getattr(options, name):
                why = "does not go with" if name in _REPAIRING else "is settled by the repair of"
                raise ConfigError(f"--{name.replace('_', '-')} {why} {mode}; leave it out.")
    if options.exact and options.field in ("affine", "quantile", "copula"):
        raise ConfigError(
            f"--exact is for a flow; --field {options.field} is exact. Leave it out."
        )
    if options.amount is not None and not 0 <= options.amount <= 1:
        raise ConfigError(
            f"--amount must be from 0, untouched, to 1, repaired; got {options.amount:g}."
        )
    if options.index is not None and "none" in options.index and len(options.index) > 1:
        raise ConfigError("--index none says that there is no index; it stands alone.")
