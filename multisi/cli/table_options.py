"""The options of reading files, which several commands share."""

import argparse

from multisi.cli.values import integer


def add_reading(parser: argparse.ArgumentParser) -> None:
    """How tables are read where they do not say it themselves."""
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="yes|no",
        help="whether the first line of CSV files has names, where that is ambiguous; NAME=yes or "
        "NAME=no for one dataset",
    )
    parser.add_argument(
        "--index",
        action="append",
        metavar="COLUMN",
        help="a column to keep aside, by name or by place as #1, may be repeated; none if all "
        "columns are features",
    )
    add_limits(parser)
    add_pictures(parser)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """What to do with missing values and with files that are too large."""
    parser.add_argument(
        "--missing",
        choices=("refuse", "drop"),
        default="refuse",
        help="what to do with rows that have missing values (default: refuse)",
    )
    parser.add_argument(
        "--max-bytes",
        type=integer,
        metavar="N",
        help="bytes that a file may expand to (default: 512 MiB, or 100 times its size)",
    )


def add_columns(parser: argparse.ArgumentParser) -> None:
    """The columns of a table that are no features."""
    for name in ("weights", "labels"):
        parser.add_argument(
            f"--{name}", metavar="COLUMN", help=f"the column with the {name} of the rows"
        )
    parser.add_argument(
        "--condition",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column that is a condition; may be repeated",
    )


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """How folders of pictures are read."""
    parser.add_argument(
        "--size",
        metavar="N|HxW",
        help="sides that the pictures of folders are scaled and cut to (default: their own)",
    )
    parser.add_argument(
        "--channels", type=integer, help="1 for grey pictures of folders, 3 for coloured ones"
    )
    parser.add_argument(
        "--unreadable",
        choices=("refuse", "skip"),
        default="refuse",
        help="what to do with pictures of folders that cannot be read (default: refuse)",
    )
