"""`multisi trajectories`: from a table of cells with times to a model, figures and a picture."""

import argparse
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

from multisi import trajectories
from multisi.analysis import plots
from multisi.cli import outputs
from multisi.cli.values import number, pairs
from multisi.common import checks, devices, seeds
from multisi.common.printable import printable, told
from multisi.errors import ConfigError, DataError
from multisi.files.atomic import write_whole

FILES = ("model.safetensors", "held-out.txt", "ways.png", "cells.h5ad")
"""What is written: the trajectory, figures of times that are left out, a picture, and a copy of an
AnnData with velocities."""
_COLUMNS = ("time", "embedding", "label", "weight", "condition")
_STEPS = 5000
"""Training steps by default."""


def run(options: argparse.Namespace) -> None:
    """Fit trajectories to a table, leave out each time in turn, and draw what was found.

    Arguments:
        options: The options of the command.

    Raises:
        ConfigError: an option has an invalid value, or a package is missing.
        DataError: the table cannot be read, or the folder cannot be created.
    """
    steps = checks.integer(_STEPS if options.steps is None else options.steps, "steps")
    given: dict[str, Any] = {"steps": steps, "progress": not options.quiet}
    given |= {"seed": seeds.check(options.seed), "device": devices.choose(options.device)}
    plots.empty()  # Fails now, not after the work, if matplotlib is missing.
    table, folder = checks.path(options.table, "TABLE"), checks.path(options.out, "--out")
    model, figures, picture, cells = (folder / name for name in FILES)
    written = {path.name: path for path in (model, figures, picture, cells)}
    outputs.check_distinct({"TABLE": table}, written)
    columns = {name: getattr(options, name) for name in _COLUMNS}
    given["masses"] = _masses(options.masses)
    if options.condition and isinstance(given["masses"], dict):
        raise ConfigError(
            "--masses must be counts where there is --condition; multisi.trajectories.fit takes "
            "masses of each condition."
        )
    data = _table(table)
    known = trajectories.read(data, **columns)
    with outputs.new_folder(folder):
        found = trajectories.fit(known, **given)
        found.save(model)
    if hasattr(data, "obsm"):
        told = {name: columns[name] for name in ("time", "embedding", "condition")}
        write_whole(cells, _bytes(trajectories.annotate(found, data, **told)))
    if known.marginals[0].event_shape[0] > 1:
        write_whole(picture, trajectories.ways(found, seed=given["seed"]))
    if len(known.times) > 2:
        judged = str(trajectories.leave_one_out(known, **given))
        write_whole(figures, f"{judged}\n".encode())
        print(judged)
    print(f"Trajectories through {len(known.times)} times: {printable(str(folder), 4000)}")


def _masses(given: Sequence[str] | None) -> Any:
    """The masses of the snapshots: `None`, `"counts"`, or a mapping of time to mass.

    Raises:
        ConfigError: a mass is no number, or a time is repeated.
    """
    if given is None or given == ["counts"]:
        return given and "counts"
    if "counts" in given:
        raise ConfigError("--masses counts is for all times: give it alone.")
    parts = pairs(given, "--masses", "TIME=MASS, or counts")
    try:
        return {_time(time): number(mass) for time, mass in parts.items()}
    except argparse.ArgumentTypeError as error:
        raise ConfigError(f"--masses: {error}.") from None


def _time(text: str) -> float | str:
    """A time: a number, or the text of a date."""
    try:
        return number(text)
    except argparse.ArgumentTypeError:
        return text


def _bytes(data: Any) -> bytes:
    """The file of an AnnData."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "cells.h5ad")
        data.write_h5ad(path)
        return path.read_bytes()


def _table(path: pathlib.Path) -> Any:
    """The table of a file.

    Raises:
        ConfigError: a package is missing, or the ending of the name is unknown.
        DataError: the file cannot be read.
    """
    ending = path.suffix.lower()
    try:
        if ending == ".h5ad":
            import anndata

            return anndata.read_h5ad(path)
        import pandas

        if ending in (".csv", ".tsv"):
            return pandas.read_csv(
                path, sep="," if ending == ".csv" else "\t", float_precision="round_trip"
            )
        if ending == ".parquet":
            return pandas.read_parquet(path)
    except ImportError:
        raise ConfigError(
            "Trajectories of files need more. Try: pip install 'multisi[trajectories]'"
        ) from None
    except Exception as error:
        raise DataError(f"{str(path)!r} could not be read: {told(error)}.") from error
    raise ConfigError(
        "TABLE must be a file whose name ends in .h5ad, .csv, .tsv or .parquet; got "
        f"{str(path)!r}."
    )
