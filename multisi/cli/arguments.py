"""The commands and options of the command line."""

import argparse
from typing import Any, NoReturn

from multisi._version import __version__
from multisi.cli import commands, small_options
from multisi.cli.repair_options import add_repair
from multisi.cli.table_options import add_columns, add_reading
from multisi.cli.values import integer, number
from multisi.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """A parser that raises an error instead of printing its usage; options are never guessed."""

    commands: frozenset[str] = frozenset()

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Raise the error.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{message}. See {self.prog} --help.")


def parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(
        prog="multisi",
        description="Fit one model to several datasets, and transport samples between any pair "
        "of them.",
    )
    parser.add_argument("--version", action="version", version=f"multisi {__version__}")
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    adders = (
        _add_demo,
        _add_palette,
        _add_fit,
        _add_transport,
        _add_evaluate,
        _add_repair,
        _add_trajectories,
    )
    for add in adders:
        add(parsers)
    for name, (run, text, add_options) in _SMALL.items():
        add_options(_add(parsers, name, run, text))
    parser.commands = frozenset(parsers.choices)
    return parser


def _add(parsers: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = parsers.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    return parser


def _add_demo(parsers: Any) -> None:
    parser = _add(parsers, "demo", commands.demo, "transfer colours between photographs")
    parser.add_argument(
        "--images",
        nargs="+",
        default=[],
        metavar="FILE",
        help="two or more images (default: photographs of scikit-image)",
    )
    parser.add_argument(
        "--out", default="demo", metavar="DIR", help="folder to write to (default: demo)"
    )
    parser.add_argument(
        "--steps", type=integer, default=None, help="training steps (default: 4000)"
    )
    _add_common(parser)


def _add_palette(parsers: Any) -> None:
    text = "give photographs the palettes of each other"
    parser = _add(parsers, "palette", commands.palette, text)
    parser.add_argument("images", nargs="+", metavar="FILE", help="two or more images")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--strength", type=number, default=1.0, metavar="S", help="from 0 to 1 (default: 1)"
    )
    parser.add_argument(
        "--grain", action="store_true", help="let grain and the blocks of JPEG grow with colours"
    )
    parser.add_argument(
        "--steps", type=integer, default=None, help="training steps (default: 4000)"
    )
    _add_common(parser)


def _add_trajectories(parsers: Any) -> None:
    parser = _add(parsers, "trajectories", commands.trajectories, "join snapshots in time")
    small_options.add_trajectories(parser)
    _add_common(parser)


def _add_fit(parsers: Any) -> None:
    parser = _add(parsers, "fit", commands.fit, "fit a model to datasets")
    _add_marginals(parser, "a dataset; repeat the option for each dataset")
    parser.add_argument("--out", required=True, metavar="MODEL", help="model file to write")
    parser.add_argument(
        "--noise-name",
        default=None,
        metavar="NAME",
        help="name of the noise marginal (default: noise)",
    )
    parser.add_argument("--no-noise", action="store_true", help="fit without a noise marginal")
    add_reading(parser)
    add_columns(parser)
    _add_parts(parser)
    _add_training(parser)
    _add_run(parser)
    _add_common(parser)


def _add_parts(parser: argparse.ArgumentParser) -> None:
    """The coupling and the network, with their options."""
    for part, default, example in (
        ("coupling", "auto", "rows=512"),
        ("network", "mlp", "width=256"),
    ):
        parser.add_argument(
            f"--{part}", default=default, help=f"name of a {part} (default: {default})"
        )
        parser.add_argument(
            f"--{part}-option",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help=f"option of the {part}, such as {example}; may be repeated",
        )


def _add_training(parser: argparse.ArgumentParser) -> None:
    """The options of training."""
    parser.add_argument(
        "--steps",
        type=integer,
        default=5000,
        help="largest number of training steps (default: 5000)",
    )
    parser.add_argument(
        "--max-seconds", type=number, default=None, help="longest training time in seconds"
    )
    parser.add_argument(
        "--batch-size", type=integer, default=256, help="joint draws per step (default: 256)"
    )
    parser.add_argument(
        "--learning-rate", type=number, default=2e-3, help="peak learning rate (default: 0.002)"
    )
    parser.add_argument(
        "--held-out",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="samples for early stopping; give two or more",
    )
    parser.add_argument(
        "--units",
        default="auto",
        help="what has a unit of its own: features, channels, whole, or auto (default: auto)",
    )
    parser.add_argument(
        "--precision", default=None, help="type to compute the network in, such as bfloat16"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    """The log, the checkpoints and the processes of a run."""
    # torchrun reads --log and --run as abbreviations of its own options, so they have long forms.
    parser.add_argument(
        "--log", "--log-file", metavar="FILE", help="append the loss to FILE, as lines of JSON"
    )
    parser.add_argument(
        "--run", "--run-dir", dest="run_dir", metavar="DIR", help="folder for checkpoints"
    )
    parser.add_argument(
        "--resume", action="store_true", help="resume the run in DIR, if there is one"
    )
    parser.add_argument(
        "--save-seconds",
        type=number,
        default=60.0,
        help="seconds between checkpoints (default: 60)",
    )
    parser.add_argument(
        "--shard", action="store_true", help="shard the weights over the processes of torchrun"
    )


def _add_transport(parsers: Any) -> None:
    parser = _add(parsers, "transport", commands.transport, "transport the samples of a file")
    parser.add_argument("model", metavar="MODEL", help="model file")
    point = "a marginal, 'barycenter', or a mixture such as cat=0.3,dog=0.7"
    parser.add_argument("--source", required=True, metavar="A", help=f"start: {point}")
    parser.add_argument("--target", required=True, metavar="B", help=f"end: {point}")
    parser.add_argument(
        "--via", action="append", metavar="POINT", help="a point to pass through; may be repeated"
    )
    parser.add_argument(
        "--condition",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column of IN that is a condition, may be repeated; or one condition for all rows, "
        "as numbers joined by commas",
    )
    add_reading(parser)
    _add_transport_options(parser)
    parser.add_argument("input", metavar="IN", help="file of samples, or an image")
    parser.add_argument("output", metavar="OUT", help="file to write")
    _add_common(parser)


def _add_evaluate(parsers: Any) -> None:
    parser = _add(parsers, "evaluate", commands.evaluate, "evaluate a model on held-out samples")
    parser.add_argument("model", metavar="MODEL", help="model file")
    _add_marginals(parser, "held-out samples; give two or more")
    parser.add_argument(
        "--samples",
        type=integer,
        default=4000,
        help="largest number of rows to compare (default: 4000)",
    )
    parser.add_argument(
        "--units",
        default="standardised",
        help="units of all distances and tests: standardised or data (default: standardised)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--picture",
        metavar="FILE",
        help="draw the energy distances to FILE, such as p.png or p.pdf",
    )
    add_reading(parser)
    add_columns(parser)
    _add_transport_options(parser)
    _add_common(parser)


def _add_repair(parsers: Any) -> None:
    parser = _add(parsers, "repair", commands.repair, "repair a table for the groups of a column")
    add_repair(parser)
    _add_common(parser)


def _add_marginals(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument(
        "--marginal", action="append", default=[], metavar="NAME=FILE", help=text, required=True
    )


def _add_transport_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--noise", type=number, default=0.0, help="noise of the SDE; 0, the default, for the flow"
    )
    parser.add_argument(
        "--solver", default=None, help="name of a solver (default: adams, midpoint with noise)"
    )
    parser.add_argument(
        "--interpolant",
        default="barycentric",
        help="name of an interpolant (default: barycentric)",
    )
    parser.add_argument(
        "--path",
        default=None,
        help="name of a path (default: straight, bowed towards the noise if needed)",
    )
    parser.add_argument(
        "--steps", type=integer, default=32, help="steps of the solver (default: 32)"
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=integer, default=0, help="random seed (default: 0)")
    parser.add_argument("--device", default="auto", help="device to compute on (default: auto)")
    parser.add_argument("--quiet", action="store_true", help="hide progress bars")


_SMALL = {
    "inspect": (commands.inspect, "describe a model file", small_options.add_inspect),
    "export": (commands.export, "write a model for browsers", small_options.add_export),
    "plugins": (commands.plugins, "list the installed plugins", small_options.add_plugins),
    "new-plugin": (
        commands.new_plugin,
        "write a package for a new plugin",
        small_options.add_new_plugin,
    ),
}
"""Small commands: what they run, what they do, and what adds their options."""
