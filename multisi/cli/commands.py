"""The commands. Each imports what it needs when it runs, so that `--help` is fast."""

import argparse
import json
from collections.abc import Sequence
from typing import Any

from multisi.errors import ConfigError, PluginError


def demo(options: argparse.Namespace) -> None:
    """Transfer colours between photographs."""
    from multisi.cli import demo

    steps = {} if options.steps is None else {"steps": options.steps}
    demo.run(
        options.images,
        options.out,
        seed=options.seed,
        device=options.device,
        progress=not options.quiet,
        **steps,
    )


def fit(options: argparse.Namespace) -> None:
    """Fit a model to datasets."""
    import pathlib

    from multisi.common.processes import World
    from multisi.data import StandardNormal
    from multisi.files.samples import check_place, read_samples
    from multisi.training import Log, fit

    for flag in ("resume", "shard"):
        if getattr(options, flag) and options.run_dir is None:
            raise ConfigError(f"--{flag} needs --run-dir DIR, the folder of the run.")
    files = _pairs(options.marginal, "--marginal", "NAME=FILE")
    check_place(options.out)
    marginals: dict[str, Any] = {} if options.no_noise else {options.noise: StandardNormal()}
    if not options.no_noise and options.noise in files:
        raise ConfigError(
            f"A dataset has the name of the noise marginal, {options.noise!r}. Rename the "
            "dataset, or the noise by --noise NAME."
        )
    marginals |= {name: read_samples(file).rows for name, file in files.items()}
    out = pathlib.Path(options.out)
    held_out = _pairs(options.held_out, "--held-out", "NAME=FILE")
    model = fit(
        marginals,
        coupling_options=_options(options.coupling_option, "--coupling-option"),
        network_options=_options(options.network_option, "--network-option"),
        held_out={name: read_samples(file).rows for name, file in held_out.items()} or None,
        callbacks=[] if options.log is None else [Log(options.log)],
        progress=not options.quiet,
        rescue=out.with_name(f"{out.stem}-interrupted{out.suffix}"),
        **{name: getattr(options, name) for name in _FIT},
    )
    if World.found(model.device).first:
        model.save(out)
        print(f"{model} is in {out}")


_FIT = (
    *("coupling", "network", "steps", "max_seconds", "batch_size", "learning_rate", "precision"),
    *("shard", "run_dir", "resume", "save_seconds", "seed", "device"),
)
"""Options that are passed to `multisi.fit` unchanged."""


def _transport_options(options: argparse.Namespace) -> dict[str, Any]:
    names = ("noise", "solver", "interpolant", "path", "steps", "seed")
    return {name: getattr(options, name) for name in names} | {"progress": not options.quiet}


def transport(options: argparse.Namespace) -> None:
    """Transport the samples of a file."""
    import torch

    from multisi.common import arrays
    from multisi.common.processes import World
    from multisi.files.samples import check_writable, read_samples, write_samples
    from multisi.model import load

    model = load(options.model, device=options.device)
    samples = read_samples(options.input)
    check_writable(options.output, samples)

    def point(text: str) -> Any:
        if text == "barycenter" and text not in model.marginals:
            return model.barycenter
        if "=" not in text or text in model.marginals:
            return text
        return _pairs(text.split(","), "a mixture", "NAME=WEIGHT,NAME=WEIGHT")

    via = [point(text) for text in options.via] if options.via else None
    ends = (point(options.source), point(options.target))
    world, count = World.found(model.device), len(samples.rows)
    mine = world.share(count)
    # Numbered rows have the same noise for any number of processes.
    moved = model.transport(
        samples.rows[mine],
        *ends,
        via=via,
        rows=range(mine.start, mine.stop),
        **_transport_options(options),
    )
    whole = world.gather(torch.as_tensor(moved), count)
    if world.first:
        write_samples(options.output, arrays.as_given(whole, samples.rows), samples)


def evaluate(options: argparse.Namespace) -> None:
    """Evaluate a model on held-out samples."""
    from multisi.analysis import plots
    from multisi.files.atomic import write_whole
    from multisi.files.samples import check_place, read_samples
    from multisi.model import load

    files = _pairs(options.marginal, "--marginal", "NAME=FILE")
    if options.picture:
        check_place(options.picture)
        plots.empty()  # Fails now, not after the work, if matplotlib is missing.
    model = load(options.model, device=options.device)
    held_out = {name: read_samples(file).rows for name, file in files.items()}
    report = model.evaluate(held_out, samples=options.samples, **_transport_options(options))
    print(json.dumps(report.to_dict(), indent=1) if options.json else report)
    if options.picture:
        write_whole(options.picture, plots.matrix(report))


def inspect(options: argparse.Namespace) -> None:
    """Describe a model file."""
    from multisi.cli.inspect import description, text

    found = description(options.model)
    print(json.dumps(found, indent=1) if options.json else text(found))


def plugins(options: argparse.Namespace) -> None:
    """List the installed plugins."""
    from multisi.registry import installed

    found = [plugin.examined() for plugin in installed().plugins()]
    if options.json:
        print(json.dumps([plugin.to_dict() for plugin in found], indent=1))
    else:
        for p in found:
            remark = p.summary if p.state == "ok" else f"{p.state.upper()}: {p.error}"
            remark += f" ({p.notes})" if p.notes else ""
            origin = f"{p.distribution} {p.version}"
            print(f"{p.kind or '-':<12} {p.name:<22} {origin:<22} {remark}".rstrip())
    broken = [plugin.name for plugin in found if plugin.state == "broken"]
    if options.strict and broken:
        raise PluginError(
            f"Broken plugins ({len(broken)}): {', '.join(broken)}. Fix, uninstall or disable them."
        )


def new_plugin(options: argparse.Namespace) -> None:
    """Write a package with a plugin."""
    from multisi.cli.new_plugin import write_package

    place = write_package(options.kind, options.name, options.out)
    print(f"{place} is a package: pip install {place}, then python -m pytest {place}")


def _pairs(texts: Sequence[str], what: str, form: str) -> dict[str, str]:
    """Split texts NAME=VALUE into a dict.

    Raises:
        ConfigError: a text does not have this form, or a name is repeated.
    """
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
    """Options of a coupling or network, given as KEY=VALUE."""
    return {key: _value(text) for key, text in _pairs(texts, what, "KEY=VALUE").items()}


def _value(text: str) -> Any:
    """The value of a JSON text, such as a number, true or false; otherwise the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
