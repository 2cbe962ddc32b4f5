"""Reading and writing samples, by the ending of the file."""

import importlib
import pathlib
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from multisi.common import checks
from multisi.errors import ConfigError, DataError, DataWarning
from multisi.files import csv_file, numpy_file, parquet_file, picture_file, picture_folder
from multisi.files.atomic import write_whole
from multisi.files.place import check_place
from multisi.files.samples import Array, Reading, Samples

_Reader: TypeAlias = Callable[[Any, Reading], Samples]


class _Format(NamedTuple):
    """How files of one ending are read and written."""

    read: _Reader
    write: Callable[[Array, Samples], bytes]
    package: str | None = None


def _picture(suffix: str) -> _Format:
    def write(rows: Array, like: Samples) -> bytes:
        return picture_file.write(rows, like, suffix)

    return _Format(picture_file.read, write, "PIL")


_FORMATS = {
    ".npy": _Format(numpy_file.read_npy, numpy_file.write_npy),
    ".npz": _Format(numpy_file.read_npz, numpy_file.write_npz),
    ".csv": _Format(csv_file.read, csv_file.write),
    ".parquet": _Format(parquet_file.read, parquet_file.write, "pyarrow"),
    **{suffix: _picture(suffix) for suffix in picture_file.FORMATS},
}


def read_samples(path: Any, how: Reading | None = None) -> Samples:
    """Samples from a file, or from a folder of pictures.

    Arguments:
        path: The file, whose ending names the format, or the folder.
        how: How to read what the file does not say itself.

    Raises:
        DataError: the file is missing, damaged, ambiguous or too large, or its contents are not
            numbers.
        ConfigError: the format is unknown, or needs a package that is not installed.
    """
    path = checks.path(path, "A file")
    folder = path.is_dir() and path.suffix.lower() not in _FORMATS
    reader = picture_folder.read if folder else _of(path).read
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = _read(path, reader, how or Reading())
    for warning in told:  # Those of other packages are about damage that is looked for here.
        if issubclass(warning.category, DataWarning):
            warnings.warn(str(warning.message), DataWarning, stacklevel=2)
    return found


def _read(path: pathlib.Path, reader: _Reader, how: Reading) -> Samples:
    try:
        return reader(path, how)
    except (DataError, ConfigError, MemoryError):
        raise
    except ImportError as error:
        raise _missing(path, error) from None
    except FileNotFoundError:
        raise DataError(f"The file {str(path)!r} does not exist.") from None
    except Exception as error:
        raise DataError(f"{str(path)!r} cannot be read: {error}.") from None


def check_writable(path: Any, like: Samples) -> None:
    """Check, before any work, that samples like these can be written to a path.

    What the format does not keep is the subject of a `DataWarning`.

    Raises:
        DataError: a file cannot be written there.
        ConfigError: the format is unknown, cannot hold the samples, or needs a package that is
            not installed.
    """
    path = checks.path(path, "A file")
    if _is_folder(path, like):
        picture_folder.check(path, like)
        return
    form, suffix = _of(path), path.suffix.lower()
    check_place(path, like.rows.nbytes // (1 if like.picture is None else 4))
    if form.package is not None:
        try:
            importlib.import_module(form.package)
        except ImportError as error:
            raise _missing(path, error) from None
    if suffix in picture_file.FORMATS:
        picture_file.check(path, like, suffix)
        return
    names = like.names() or []
    if suffix == ".parquet" and len(set(names)) < len(names):
        raise ConfigError(
            f"{str(path)!r}: column names must differ; got {', '.join(names)}. Write .csv."
        )
    if suffix in (".csv", ".parquet") and like.rows.ndim > 2:
        raise ConfigError(
            f"{str(path)!r}: a table holds vectors; got rows of shape {like.rows.shape[1:]}. "
            "Write .npy."
        )
    if lost := _lost(like, suffix):
        warnings.warn(
            f"{str(path)!r}: {suffix} does not keep {', '.join(lost)}.", DataWarning, stacklevel=2
        )


def _lost(like: Samples, suffix: str) -> list[str]:
    """What a format that is no picture does not keep of samples."""
    table = suffix in (".csv", ".parquet")
    lost = [f"the column {column.name or column.place + 1!r}" for column in like.aside]
    lost = [] if table else lost
    if like.index is not None and not table:
        lost.append("the index")
    if like.features is not None and suffix == ".npy":
        lost.append("the names of the features")
    if suffix != ".npz" and not like.aside and like.picture is None:
        beside = ("labels", "weights", "condition")
        lost += [f"the {name}" for name in beside if getattr(like, name) is not None]
    if like.picture is not None:
        lost += ["its alpha band"] if like.picture.alpha is not None else []
        lost += [picture_file.SAID[name] for name in like.picture.kept]
        lost += map(repr, like.picture.lost)
    return lost


def write_samples(path: Any, rows: Array, like: Samples) -> None:
    """Write rows atomically, in the format that the ending of `path` names.

    Arguments:
        path: The file.
        rows: Rows of the same shape as those of `like`.
        like: The samples that the rows come from; what they have beside the rows is written too.

    Raises:
        ConfigError: the format is unknown, or needs a package that is not installed.
        DataError: the file cannot be written.
    """
    path = checks.path(path, "A file")
    if _is_folder(path, like):
        picture_folder.write(path, rows, like)
        return
    form = _of(path)
    try:
        write_whole(path, form.write(rows, like))
    except ImportError as error:
        raise _missing(path, error) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)!r} could not be written: {error}.") from error


def _is_folder(path: pathlib.Path, like: Samples) -> bool:
    """Whether samples of a folder are written to another one."""
    return like.files is not None and (path.is_dir() or path.suffix.lower() not in _FORMATS)


def _missing(path: pathlib.Path, error: ImportError) -> ConfigError:
    return ConfigError(
        f"{path.suffix or 'Picture'} files need {error.name or 'pyarrow'}, which is not "
        "installed. Try: pip install 'multisi[files]'"
    )


def _of(path: pathlib.Path) -> _Format:
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(
            f"{str(path)!r}: the format {path.suffix!r} is unknown. "
            f"Use one of {', '.join(sorted(_FORMATS))}."
        )
    return _FORMATS[path.suffix.lower()]
