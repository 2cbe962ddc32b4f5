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
    """Run a command; returns the exit status: 0, 2 for an error, 130 after Ctrl-C."""
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
    parser.add_argument("--no-noise", action="store_true", help="do without a standard normal")
    parser.add_argument("--coupling", default="independent", help="name of a coupling")
    parser.add_argument(
        "--coupling-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of the coupling, such as rows=512",
    )
    parser.add_argument("--network", default="mlp", help="name of a network")
    parser.add_argument(
        "--network-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of the network, such as width=256",
    )
    parser.add_argument("--steps", type=int, default=5000, help="steps at most (default: 5000)")
    parser.add_argument("--max-seconds", type=float, default=None, help="time at most")
    parser.add_argument("--batch-size", type=int, default=256, help="draws a step (default: 256)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="default: 0.001")
    parser.add_argument(
        "--held-out",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="samples to stop early by; give two or more",
    )
    # torchrun takes --log and --run for beginnings of options of its own: hence the second names.
    parser.add_argument("--log", "--log-file", metavar="FILE", help="append lines of JSON to FILE")
    parser.add_argument("--run", "--run-dir", dest="run_dir", metavar="DIR", help="checkpoints")
    parser.add_argument("--resume", action="store_true", help="take up the run in DIR")
    parser.add_argument("--save-seconds", type=float, default=60.0, help="between checkpoints")
    parser.add_argument("--precision", default=None, help="bfloat16 for the network")
    parser.add_argument("--shard", action="store_true", help="spread weights over processes")
    _add_common(parser)


def _add_transport(parsers: Any) -> None:
    parser = _add(parsers, "transport", commands.transport, "move the samples of a file")
    parser.add_argument("model", metavar="MODEL", help="file of the model")
    point = "a marginal, 'barycenter', or a mixture such as cat=0.3,dog=0.7"
    parser.add_argument("--source", required=True, metavar="A", help=f"where from: {point}")
    parser.add_argument("--target", required=True, metavar="B", help=f"where to: {point}")
    parser.add_argument("--via", action="append", metavar="POINT", help="a point to pass through")
    _add_moving(parser)
    parser.add_argument("input", metavar="IN", help="samples or an image")
    parser.add_argument("output", metavar="OUT", help="file to write")
    _add_common(parser)


def _add_evaluate(parsers: Any) -> None:
    parser = _add(parsers, "evaluate", commands.evaluate, "measure a model on held-out samples")
    parser.add_argument("model", metavar="MODEL", help="file of the model")
    _add_marginals(parser, "held-out samples; give two or more")
    parser.add_argument("--samples", type=int, default=4000, help="rows to compare at most")
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    parser.add_argument("--picture", metavar="FILE", help="draw the energy distances, a PNG file")
    _add_moving(parser)
    _add_common(parser)


def _add_inspect(parsers: Any) -> None:
    parser = _add(parsers, "inspect", commands.inspect, "tell what a model is")
    parser.add_argument("model", metavar="MODEL", help="file of a model, or a checkpoint of a run")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def _add_plugins(parsers: Any) -> None:
    parser = _add(parsers, "plugins", commands.plugins, "list what is installed")
    parser.add_argument("--json", action="store_true", help="print a list of objects as JSON")
    parser.add_argument("--strict", action="store_true", help="fail if any of them is broken")


def _add_new_plugin(parsers: Any) -> None:
    parser = _add(
        parsers, "new-plugin", commands.new_plugin, "write a package with a plugin of your own"
    )
    parser.add_argument("kind", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("name", metavar="NAME", help="its name, in lower case")
    parser.add_argument("--out", default=".", metavar="DIR", help="where to put its folder")


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
    parser.add_argument("--seed", type=int, default=0, help="seed (default: 0)")
    parser.add_argument("--device", default="auto", help="default: auto")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
