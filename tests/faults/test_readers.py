"""Changed files of samples: each is refused, or read as numpy, pandas or Pillow read it."""

import contextlib
import io
import random
import warnings

import numpy as np
import pandas
import pytest
from packaging.version import Version
from PIL import Image

from multisi.errors import DataWarning, MultisiError
from multisi.files.formats import read_samples
from tests.faults.test_fuzz import mutated, within_bounds

SOURCE = np.random.default_rng(0)
# Until then the numbers of pandas were not exact unless asked for.
OLD = Version(pandas.__version__) < Version("3.1")
EXACTLY = {"float_precision": "round_trip"} if OLD else {}
ROWS = SOURCE.normal(size=(12, 3))
PIXELS = SOURCE.integers(0, 256, (9, 11, 4), dtype=np.uint8)


def bytes_of(save):
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def archive(save, **options):
    return bytes_of(lambda file: save(file, samples=ROWS, weights=np.arange(12), **options))


FILES = {
    "npy": [bytes_of(lambda file: np.save(file, ROWS))],
    "npz": [archive(np.savez), archive(np.savez_compressed, features=np.array(list("abc")))],
    "csv": [
        pandas.DataFrame(ROWS, columns=list("abc")).to_csv(index=False).encode(),
        pandas.DataFrame(ROWS * 1e9).to_csv(index=False, header=False).encode(),
        b'"age","size"\n' + b"".join(b"%d,%.1f\r\n" % (20 + i % 5, i / 3) for i in range(30)),
    ],
    "parquet": [bytes_of(pandas.DataFrame(ROWS, columns=list("abc")).to_parquet)],
    "png": [
        bytes_of(lambda file: Image.fromarray(PIXELS).save(file, "PNG", dpi=(72, 72))),
        bytes_of(lambda file: Image.fromarray(PIXELS[..., 0]).convert("P").save(file, "PNG")),
    ],
    "tiff": [
        bytes_of(lambda file: Image.fromarray(PIXELS[..., :3]).save(file, "TIFF")),
        bytes_of(lambda file, kind="tiff_lzw": Image.fromarray(PIXELS).save(
            file, "TIFF", compression=kind)),
    ],
}  # fmt: skip


def by_others(kind, file):
    """The numbers that numpy, pandas or Pillow read from a file."""
    if kind == "npy":
        return np.load(file)
    if kind == "npz":
        with np.load(file) as arrays:
            return arrays["samples"]
    if kind == "parquet":
        return pandas.read_parquet(file).to_numpy(np.float64)
    if kind == "csv":
        for header in (None, 0):
            with contextlib.suppress(ValueError):
                table = pandas.read_csv(file, header=header, index_col=False, **EXACTLY)
                return table.to_numpy(np.float64)
        raise ValueError("not even pandas reads it")
    with Image.open(file) as image:
        return np.asarray(image.convert("RGBA"))[..., :3].reshape(-1, 3) / np.float32(255)


@pytest.mark.parametrize("kind", FILES)
def test_changed_file_of_samples(kind, tmp_path):
    """Two thousand of each kind, each in at most 5 seconds, and 1 GB of memory."""
    file, source, refused = tmp_path / f"x.{kind}", random.Random(kind), 0
    for i in range(2000):
        data = mutated(FILES[kind][i % len(FILES[kind])], source)
        file.write_bytes(data)
        found = None
        try:
            with within_bounds(), warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)
                found = read_samples(file).rows
        except MultisiError as error:
            refused += 1
            assert str(file) in str(error)
        if found is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = by_others(kind, file)
            assert found.dtype.kind == expected.dtype.kind or expected.dtype.kind in "iub"
            assert np.array_equal(found, expected.astype(found.dtype)), (i, data)
    assert 100 < refused < 2000
