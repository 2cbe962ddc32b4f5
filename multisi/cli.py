"""The command line. Only the command that runs imports what it needs, so that help is instant."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from multisi._version import __version__
from multisi.errors import ConfigError, MultisiError, PluginError
from multisi.registry.hookspecs import KINDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 2 for an error, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except MultisiError as error:
        print(f"multisi {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # As in `multisi plugins | head`: the reader has what it wants.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="multisi",
        description="Learn one field over the simplex whose corners are datasets; move samples "
        "between any pair of them.",
    )
    parser.add_argument("--version", action="version", version=f"multisi {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_demo, _add_fit, _add_transport, _add_evaluate, _add_plugins, _add_new_plugin):
        add(commands)
    return parser


def _add(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run)
    return parser


def _add_demo(commands: Any) -> None:
    parser = _add(commands, "demo", _demo, "let photographs exchange their colours")
    parser.add_argument("--images", nargs="+", default=[], metavar="FILE", help="your own images")
    parser.add_argument("--out", default="demo", metavar="DIR", help="folder (default: demo)")
    parser.add_argument("--steps", type=int, default=None, help="steps of training")
    _add_common(parser)


def _add_fit(commands: Any) -> None:
    parser = _add(commands, "fit", _fit, "learn a model from datasets")
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
    parser.add_argument("--log", default=None, metavar="FILE", help="append lines of JSON to FILE")
    parser.add_argument("--precision", default=None, help="bfloat16 for the network")
    _add_common(parser)


def _add_transport(commands: Any) -> None:
    parser = _add(commands, "transport", _transport, "move the samples of a file")
    parser.add_argument("model", metavar="MODEL", help="file of the model")
    point = "a marginal, 'barycenter', or a mixture such as cat=0.3,dog=0.7"
    parser.add_argument("--source", required=True, metavar="A", help=f"where from: {point}")
    parser.add_argument("--target", required=True, metavar="B", help=f"where to: {point}")
    parser.add_argument("--via", action="append", metavar="POINT", help="a point to pass through")
    _add_moving(parser)
    parser.add_argument("input", metavar="IN", help="samples or an image")
    parser.add_argument("output", metavar="OUT", help="file to write")
    _add_common(parser)


def _add_evaluate(commands: Any) -> None:
    parser = _add(commands, "evaluate", _evaluate, "measure a model on held-out samples")
    parser.add_argument("model", metavar="MODEL", help="file of the model")
    _add_marginals(parser, "held-out samples; give two or more")
    parser.add_argument("--samples", type=int, default=4000, help="rows to compare at most")
    parser.add_argument("--json", action="store_true", help="print figures as JSON")
    parser.add_argument("--picture", metavar="FILE", help="draw the energy distances, a PNG file")
    _add_moving(parser)
    _add_common(parser)


def _add_plugins(commands: Any) -> None:
    parser = _add(commands, "plugins", _plugins, "list what is installed")
    parser.add_argument("--json", action="store_true", help="print a list of objects as JSON")
    parser.add_argument("--strict", action="store_true", help="fail if any of them is broken")


def _add_new_plugin(commands: Any) -> None:
    parser = _add(commands, "new-plugin", _new_plugin, "write a package with a plugin of your own")
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


def _demo(options: argparse.Namespace) -> None:
    from multisi import demo

    steps = {} if options.steps is None else {"steps": options.steps}
    demo.run(
        options.images,
        options.out,
        seed=options.seed,
        device=options.device,
        progress=not options.quiet,
        **steps,
    )


def _fit(options: argparse.Namespace) -> None:
    import pathlib

    from multisi import StandardNormal, fit, formats, training

    files = _pairs(options.marginal, "--marginal", "NAME=FILE")
    formats.check_place(options.out)
    marginals: dict[str, Any] = {} if options.no_noise else {options.noise: StandardNormal()}
    if not options.no_noise and options.noise in files:
        raise ConfigError(
            f"A dataset has the name of the noise, {options.noise!r}; rename one (--noise NAME)."
        )
    marginals |= {name: formats.read(file).rows for name, file in files.items()}
    out = pathlib.Path(options.out)
    held_out = _pairs(options.held_out, "--held-out", "NAME=FILE")
    callbacks = [] if options.log is None else [training.Log(options.log)]
    model = fit(
        marginals,
        coupling=options.coupling,
        coupling_options=_options(options.coupling_option, "--coupling-option"),
        network=options.network,
        network_options=_options(options.network_option, "--network-option"),
        steps=options.steps,
        max_seconds=options.max_seconds,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        precision=options.precision,
        held_out={n: formats.read(f).rows for n, f in held_out.items()} or None,
        callbacks=callbacks,
        seed=options.seed,
        device=options.device,
        progress=not options.quiet,
        rescue=out.with_name(f"{out.stem}-interrupted{out.suffix}"),
    )
    model.save(out)
    print(f"{model} is in {out}")


def _moving(options: argparse.Namespace) -> dict[str, Any]:
    names = ("noise", "solver", "interpolant", "path", "steps", "seed")
    return {name: getattr(options, name) for name in names} | {"progress": not options.quiet}


def _transport(options: argparse.Namespace) -> None:
    from multisi import formats, load

    model = load(options.model, device=options.device)
    samples = formats.read(options.input)
    formats.check_writable(options.output, samples)

    def point(text: str) -> Any:
        if text == "barycenter" and text not in model.marginals:
            return model.barycenter
        if "=" not in text or text in model.marginals:
            return text
        return _pairs(text.split(","), "a mixture", "NAME=WEIGHT,NAME=WEIGHT")

    via = [point(text) for text in options.via] if options.via else None
    ends = (point(options.source), point(options.target))
    moved = model.transport(samples.rows, *ends, via=via, **_moving(options))
    formats.write(options.output, moved, samples)


def _evaluate(options: argparse.Namespace) -> None:
    from multisi import formats, load, plots
    from multisi.files import write_whole

    files = _pairs(options.marginal, "--marginal", "NAME=FILE")
    model = load(options.model, device=options.device)
    held_out = {name: formats.read(file).rows for name, file in files.items()}
    report = model.evaluate(held_out, samples=options.samples, **_moving(options))
    if options.picture:
        write_whole(options.picture, plots.matrix(report))
    print(json.dumps(report.to_dict(), indent=1) if options.json else report)


def _plugins(options: argparse.Namespace) -> None:
    from multisi.registry import installed

    found = [plugin.examined() for plugin in installed().plugins()]
    if options.json:
        print(json.dumps([plugin.to_dict() for plugin in found], indent=1))
    else:
        for p in found:
            said = p.summary if p.state == "ok" else f"{p.state.upper()}: {p.error}"
            said += f" ({p.notes})" if p.notes else ""
            origin = f"{p.distribution} {p.version}"
            print(f"{p.kind or '-':<12} {p.name:<22} {origin:<22} {said}".rstrip())
    broken = [plugin.name for plugin in found if plugin.state == "broken"]
    if options.strict and broken:
        raise PluginError(f"{len(broken)} broken: {', '.join(broken)}.")


def _new_plugin(options: argparse.Namespace) -> None:
    from multisi import scaffold

    place = scaffold.write(options.kind, options.name, options.out)
    print(f"{place} is a package: pip install {place}, then python -m pytest {place}")


def _pairs(texts: Sequence[str], what: str, form: str) -> dict[str, str]:
    """Split NAME=VALUE texts; each name once."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"{what} must have the form {form}; got {text!r}.")
        if name in pairs:
            raise ConfigError(f"{what}: the name {name!r} is given twice.")
        pairs[name] = value
    return pairs


def _options(texts: Sequence[str], what: str) -> dict[str, Any]:
    """Options of a part, as given on the command line."""
    return {key: _value(text) for key, text in _pairs(texts, what, "KEY=VALUE").items()}


def _value(text: str) -> Any:
    """A number, true or false where the text is one; else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
