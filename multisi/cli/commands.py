"""The commands. Each imports what it needs when it runs, so that `--help` is fast."""

import argparse
from collections.abc import Mapping
from typing import Any

from multisi.cli.values import pairs
from multisi.common.printable import printable
from multisi.errors import ConfigError, DataError, PluginError
from multisi.files.plain import dumps


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


def palette(options: argparse.Namespace) -> None:
    """Give photographs the palettes of each other."""
    from multisi.cli import palette

    steps = {} if options.steps is None else {"steps": options.steps}
    palette.run(
        options.images,
        options.out,
        strength=options.strength,
        grain=options.grain,
        seed=options.seed,
        device=options.device,
        progress=not options.quiet,
        **steps,
    )


def fit(options: argparse.Namespace) -> None:
    """Fit a model to datasets."""
    from multisi.cli import outputs
    from multisi.cli.values import options_of
    from multisi.common import checks
    from multisi.common.processes import World
    from multisi.training import fit

    for flag in ("resume", "shard"):
        if getattr(options, flag) and options.run_dir is None:
            raise ConfigError(f"--{flag} needs --run-dir DIR, the folder of the run.")
    checks.number(options.save_seconds, "save_seconds")
    of_coupling = options_of(options.coupling_option, "--coupling-option")
    of_network = options_of(options.network_option, "--network-option")
    marginals, held_out = _datasets(options)
    out = checks.path(options.out, "--out")
    model = fit(
        marginals,
        coupling_options=of_coupling,
        network_options=of_network,
        held_out=held_out or None,
        callbacks=[outputs.starting(options.log, out)],
        progress=not options.quiet,
        rescue=out.with_name(f"{out.stem[:200]}-interrupted{out.suffix[:20]}"),
        **{name: getattr(options, name) for name in _FIT},
    )
    if World.found(model.device).first:
        outputs.save(model, out)
        if (choice := model.card["training"].get("coupling")) is not None:
            print(f"Coupling: {choice['name']}, since {choice['reason']}.")
        print(f"{model} is in {printable(str(out), 4000)}")


def _datasets(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The marginals and the held-out samples of `fit`, once its outputs are known to be right."""
    from multisi.cli import inputs, outputs
    from multisi.data import StandardNormal

    files = inputs.files_of(options.marginal, "--marginal")
    held_out = inputs.files_of(options.held_out, "--held-out")
    if options.no_noise and options.noise_name is not None:
        raise ConfigError("--no-noise and --noise-name exclude each other.")
    noise = "noise" if options.noise_name is None else options.noise_name
    noise = None if options.no_noise else noise
    if noise in files:
        raise ConfigError(
            f"A dataset has the name of the noise marginal, {noise!r}. Rename the "
            "dataset, or the noise by --noise-name NAME."
        )
    _check_known(held_out, files)
    read = {f"--marginal {name}": file for name, file in files.items()}
    read |= {f"--held-out {name}": file for name, file in held_out.items()}
    written = {"--out": options.out, "--log": options.log, "--run-dir": options.run_dir}
    outputs.check_distinct(read, written)
    outputs.check_place(options.out)
    if options.log is not None:
        outputs.check_log(options.log)
    how = inputs.reading(options, files)
    found = inputs.read_all(files, how, options.header)
    judging = inputs.read_all(held_out, how, options.header)
    inputs.check_found([*found.values(), *judging.values()], how)
    features = next((s.features for s in found.values() if s.features is not None), None)
    marginals: dict[str, Any] = {} if noise is None else {noise: StandardNormal()}
    marginals |= inputs.marginals_of(found, features)
    judges = inputs.marginals_of(judging, features)
    _check_alike(judges, marginals)
    return marginals, judges


def _check_known(held_out: Mapping[str, Any], files: Mapping[str, Any]) -> None:
    """Check the names of held-out samples before any work."""
    if unknown := sorted(set(held_out) - set(files)):
        raise ConfigError(
            f"--held-out: no dataset is named {unknown[0]!r}. Known: {', '.join(files)}."
        )
    if len(held_out) == 1:
        raise ConfigError("--held-out must be given for two or more datasets; got one.")


def _check_alike(held_out: Mapping[str, Any], marginals: Mapping[str, Any]) -> None:
    """Check the shapes of held-out samples before any work."""
    for name, marginal in held_out.items():
        if marginal.event_shape != marginals[name].event_shape or len(marginal) < 4:
            raise DataError(
                f"--held-out {name!r} must have at least 4 rows of shape "
                f"{marginals[name].event_shape}; got {len(marginal)} of shape "
                f"{marginal.event_shape}."
            )


_FIT = (
    *("coupling", "network", "steps", "max_seconds", "batch_size", "learning_rate", "units"),
    *("precision", "shard", "run_dir", "resume", "save_seconds", "seed", "device"),
)
"""Options that are passed to `multisi.fit` unchanged."""


def _transport_options(options: argparse.Namespace) -> dict[str, Any]:
    names = ("noise", "solver", "interpolant", "path", "steps", "seed")
    return {name: getattr(options, name) for name in names} | {"progress": not options.quiet}


def transport(options: argparse.Namespace) -> None:
    """Transport the samples of a file."""
    import numpy as np

    from multisi.cli import inputs, outputs
    from multisi.common import arrays
    from multisi.common.processes import World
    from multisi.files.formats import check_writable, read_samples, write_samples
    from multisi.model import load

    outputs.check_distinct({"MODEL": options.model, "IN": options.input}, {"OUT": options.output})
    asked = options.condition
    one, options.condition = inputs.condition_of(asked)
    how = inputs.reading(options)
    model = load(options.model, device=options.device)
    samples = read_samples(options.input, inputs.fitting(how, model.event_shape))
    inputs.check_found([samples], how)
    if one is not None:
        inputs.check_number(asked[0], samples)
    check_writable(options.output, samples)
    ordered = inputs.order(samples, model.features, repr(options.input))
    rows = samples.rows if ordered is None else samples.rows[:, ordered]
    condition = samples.condition if one is None else np.tile(one, (len(rows), 1))
    given = arrays.floats(rows, "IN")  # Torch takes no foreign byte order, and no longdouble.
    world, count = World.found(model.device), len(rows)
    mine = world.share(count)
    # Numbered rows have the same noise for any number of processes.
    moved = model.transport(
        given[mine],
        _point(options.source, model),
        _point(options.target, model),
        via=[_point(text, model) for text in options.via] if options.via else None,
        rows=range(mine.start, mine.stop),
        condition=None if condition is None else condition[mine],
        **_transport_options(options),
    )
    whole = arrays.as_given(world.gather(moved, count), rows)
    if world.first:
        placed = whole if ordered is None else whole[:, np.argsort(ordered)]
        write_samples(options.output, placed, samples)


def _point(text: str, model: Any) -> Any:
    """A point of the simplex as `transport` takes it."""
    if text == "barycenter" and text not in model.marginals:
        return model.barycenter
    if "=" not in text or text in model.marginals:
        return text
    return pairs(text.split(","), "a mixture", "NAME=WEIGHT,NAME=WEIGHT")


def evaluate(options: argparse.Namespace) -> None:
    """Evaluate a model on held-out samples."""
    from multisi.analysis import plots
    from multisi.cli import inputs, outputs
    from multisi.common import checks
    from multisi.files.atomic import write_whole
    from multisi.model import load

    files = inputs.files_of(options.marginal, "--marginal")
    read = {"MODEL": options.model} | {f"--marginal {n}": file for n, file in files.items()}
    outputs.check_distinct(read, {"--picture": options.picture})
    kind = None
    if options.picture is not None:
        kind = plots.check_format(options.picture)
        plots.empty()  # Fails now, not after the work, if matplotlib is missing.
        outputs.check_place(options.picture)
    how = inputs.reading(options, files)
    model = load(options.model, device=options.device)
    found = inputs.read_all(files, inputs.fitting(how, model.event_shape), options.header)
    inputs.check_found(list(found.values()), how)
    held_out = inputs.marginals_of(found, model.features)
    report = model.evaluate(
        held_out, samples=options.samples, units=options.units, **_transport_options(options)
    )
    print(dumps(report.to_dict(), indent=1) if options.json else report)
    if kind is not None:
        write_whole(checks.path(options.picture, "--picture"), plots.matrix(report, format=kind))


def inspect(options: argparse.Namespace) -> None:
    """Describe a model file."""
    from multisi.cli.inspect import description, text

    found = description(options.model)
    print(dumps(found, indent=1) if options.json else text(found))


def export(options: argparse.Namespace) -> None:
    """Write a model for browsers."""
    from multisi import browser
    from multisi.cli import outputs
    from multisi.common import checks
    from multisi.files.atomic import write_whole
    from multisi.model import load

    written = {"OUT": options.output, "--engine": options.engine}
    outputs.check_distinct({"MODEL": options.model}, written)
    for path in filter(None, written.values()):
        outputs.check_place(path)
    browser.export(load(options.model, device="cpu"), options.output)
    if options.engine is not None:
        write_whole(checks.path(options.engine, "--engine"), browser.engine().encode())


def plugins(options: argparse.Namespace) -> None:
    """List the installed plugins."""
    from multisi.registry import installed

    found = [plugin.examined() for plugin in installed().plugins()]
    if options.json:
        print(dumps([plugin.to_dict() for plugin in found], indent=1))
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
    shown = printable(str(place), 4000)
    print(f"{shown} is a package: pip install {shown}, then python -m pytest {shown}")


def repair(options: argparse.Namespace) -> None:
    """Repair a table, or undo it."""
    from multisi.cli import repair

    repair.run(options)


def trajectories(options: argparse.Namespace) -> None:
    """Join snapshots in time."""
    from multisi.cli import trajectories

    trajectories.run(options)
