"""The options of small commands: about models, and about plugins."""

import argparse

from multisi.registry.hookspecs import KINDS


def add_inspect(parser: argparse.ArgumentParser) -> None:
    """The options of `multisi inspect`."""
    parser.add_argument("model", metavar="MODEL", help="model file, or checkpoint of a run")
    parser.add_argument("--json", action="store_true", help="print the description as JSON")


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
