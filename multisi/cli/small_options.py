"""The options of small commands: about models, and about plugins."""

import argparse

from multisi.cli.values import integer
from multisi.registry.hookspecs import KINDS


def add_inspect(parser: argparse.ArgumentParser) -> None:
    """The options of `multisi inspect`."""
    parser.add_argument("model", metavar="MODEL", help="model file, or checkpoint of a run")
    parser.add_argument("--json", action="store_true", help="print the description as JSON")


def add_trajectories(parser: argparse.ArgumentParser) -> None:
    """The options of `multisi trajectories`."""
    parser.add_argument("table", metavar="TABLE", help="file in h5ad, CSV or Parquet")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--time", required=True, metavar="COLUMN", help="column of times")
    parser.add_argument(
        "--embedding", metavar="KEY", help="coordinates in obsm of h5ad (default: X_pca)"
    )
    parser.add_argument("--label", metavar="COLUMN", help="column of labels")
    parser.add_argument("--weight", metavar="COLUMN", help="column of weights")
    parser.add_argument(
        "--condition",
        action="append",
        metavar="COLUMN",
        help="column of doses or perturbations; repeat the option for each column",
    )
    parser.add_argument(
        "--masses",
        action="append",
        metavar="TIME=MASS",
        help="total mass at a time, once for each time, or counts: learn growth and death, too",
    )
    parser.add_argument(
        "--steps", type=integer, default=None, help="training steps (default: 5000)"
    )


def add_export(parser: argparse.ArgumentParser) -> None:
    """The options of `multisi export`."""
    parser.add_argument("model", metavar="MODEL", help="model file")
    parser.add_argument("output", metavar="OUT", help="file to write, such as model.json")
    parser.add_argument(
        "--engine", metavar="FILE", help="write the script that reads OUT, such as multisi.js"
    )


def add_plugins(parser: argparse.ArgumentParser) -> None:
    """The options of `multisi plugins`."""
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.add_argument("--strict", action="store_true", help="fail if any plugin is broken")


def add_new_plugin(parser: argparse.ArgumentParser) -> None:
    """The options of `multisi new-plugin`."""
    parser.add_argument("kind", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("name", metavar="NAME", help="name of the plugin, in lower case")
    parser.add_argument(
        "--out", default=".", metavar="DIR", help="folder to create the package in (default: .)"
    )
