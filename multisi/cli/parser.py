"""The command line: what can be asked for."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from multisi._version import __version__
from multisi.cli import commands
from multisi.errors import MultisiError
from multisi.registry.hookspecs import KINDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 2 for an error, 130 after Ctrl-C.

    Arguments:
        arguments: The words after `multisi`; by default those of the process.
    """
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # Names that the terminal cannot write.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options.run(options)
        if sys.stdout is not None:  # It may be closed from the start.
            sys.stdout.flush()
    except MultisiError as error:
        print(f"multisi {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # As in `multisi plugins | head`: the reader has what it wants.
        _silence()
        return 141
    except OSError as error:
        print(f"multisi {options.command}: {error}", file=sys.stderr)
        _silence()
        return 2
    return 0


def _silence() -> None:
    """Send what standard output still holds to nowhere, or Python would try again at its end."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="multisi",
        description="Learn one field over the simplex whose corners are datasets; move samples "
        "between any pair of them.",
    )
    parser.add_argument("--version", action="version", version=f"multisi {__version__}")
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    adders = (_add_demo, _add_fit, _add_transport, _add_evaluate, _add_inspect, _add_plugins)
    for add in (*adders, _add_new_plugin):
        add(parsers)
    return parser


def _add(parsers: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = parsers.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    return parser


def _add_demo(parsers: Any) -> None:
    parser = _add(parsers, "demo", commands.demo, "let photographs exchange their colours")
    parser.add_argument("--images", nargs="+", default=[], metavar="FILE", help="your own images")
    parser.add_argument("--out", default="demo", metavar="DIR", help="folder (default: demo)")
    parser.add_argument("--steps", type=int, default=None, help="steps of training")
    _add_common(parser)


def _add_fit(parsers: Any) -> None:
    parser = _add(parsers, "fit", commands.fit, "learn a model from datasets")
    _add_marginals(parser, "a dataset; give two or more")
    parser.add_argument("--out", required=True, metavar="MODEL", help="file of the model")
    parser.add_argument(
        "--noise", default="noise", metavar="NAME", help="name of the standard normal marginal"
    )
    parser.add_argument("--no-noise", action="store_true", help="no standard normal marginal")
    _add_parts(parser)
    _add_training(parser)
    _add_run(parser)
    _add_common(parser)


def _add_parts(parser: argparse.ArgumentParser) -> None:
    """The coupling and the network, with their options."""
    for part, default, example in (
        ("coupling", "independent", "rows=512"),
        ("network", "mlp", "width=256"),
    ):
        parser.add_argument(f"--{part}", default=default, help=f"name of a {part}")
        parser.add_argument(
            f"--{part}-option",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help=f"option of the {part}, such as {example}",
        )


def _add_training(parser: argparse.ArgumentParser) -> None:
    """How long, how fast and in which precision to train."""
    parser.add_argument("--steps", type=int, default=5000, help="most steps (default: 5000)")
    parser.add_argument("--max-seconds", type=float, default=None, help="most seconds")
    parser.add_argument(
        "--batch-size", type=int, default=256, help="joint draws per step (default: 256)"
    )
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="default: 0.001")
    parser.add_argument(
        "--held-out",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="samples for early stopping; give two or more",
    )
    parser.add_argument("--precision", default=None, help="bfloat16 for the network")


def _add_run(parser: argparse.ArgumentParser) -> None:
    """The log, the checkpoints and the processes of a run."""
    # torchrun reads --log and --run as short forms of its own options: hence the second names.
    parser.add_argument("--log", "--log-file", metavar="FILE", help="append lines of JSON to FILE")
    parser.add_argument(
        "--run", "--run-dir", dest="run_dir", metavar="DIR", help="folder for checkpoints"
    )
    parser.add_argument("--resume", action="store_true", help="resume the run in DIR")
    parser.add_argument(
        "--save-seconds",
        type=float,
        default=60.0,
        help="seconds between checkpoints (default: 60)",
    )
    parser.add_argument("--shard", action="store_true", help="spread weights over processes")


def _add_transport(parsers: Any) -> None:
    parser = _add(parsers, "transport", commands.transport, "move the samples of a file")
    parser.add_argument("model", metavar="MODEL", help="file of the model")
    point = "a marginal, 'barycenter', or a mixture such as cat=0.3,dog=0.7"
    parser.add_argument("--source", required=True, metavar="A", help=f"start: {point}")
    parser.add_argument("--target", required=True, metavar="B", help=f"end: {point}")
    parser.add_argument("--via", action="append", metavar="POINT", help="a point to pass through")
    _add_moving(parser)
    parser.add_argument("input", metavar="IN", help="samples or an image")
    parser.add_argument("output", metavar="OUT", help="file to write")
    _add_common(parser)


def _add_evaluate(parsers: Any) -> None:
    parser = _add(parsers, "evaluate", commands.evaluate, "measure a model on held-out samples")
    parser.add_argument("model", metavar="MODEL", help="file of the model")
    _add_marginals(parser, "held-out samples; give two or more")
    parser.add_argument(
        "--samples", type=int, default=4000, help="most rows to compare (default: 4000)"
    )
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    parser.add_argument("--picture", metavar="FILE", help="picture of the energy distances, PNG")
    _add_moving(parser)
    _add_common(parser)


def _add_inspect(parsers: Any) -> None:
    parser = _add(parsers, "inspect", commands.inspect, "say what a model is")
    parser.add_argument("model", metavar="MODEL", help="file of a model, or a checkpoint of a run")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def _add_plugins(parsers: Any) -> None:
    parser = _add(parsers, "plugins", commands.plugins, "list what is installed")
    parser.add_argument("--json", action="store_true", help="print a list of objects as JSON")
    parser.add_argument("--strict", action="store_true", help="fail if any plugin is broken")


def _add_new_plugin(parsers: Any) -> None:
    parser = _add(
        parsers, "new-plugin", commands.new_plugin, "write a package with a plugin of your own"
    )
    parser.add_argument("kind", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("name", metavar="NAME", help="name of the plugin, in lower case")
    parser.add_argument(
        "--out", default=".", metavar="DIR", help="folder to create the package in (default: .)"
    )


def _add_marginals(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument(
        "--marginal", action="append", default=[], metavar="NAME=FILE", help=text, required=True
    )


def _add_moving(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--noise", type=float, default=0.0, help="0 for the flow (default)")
    parser.add_argument("--solver", default=None, help="name of a solver")
    parser.add_argument("--interpolant", default="barycentric", help="name of an interpolant")
    parser.add_argument("--path", default=None, help="name of a path")
    parser.add_argument("--steps", type=int, default=32, help="steps (default: 32)")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument("--device", default="auto", help="device (default: auto)")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
