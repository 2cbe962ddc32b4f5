import numpy as np
import pytest

from multisi.errors import ConfigError, DataError
from multisi.files.formats import check_writable, read_samples, write_samples
from multisi.files.samples import Picture, Samples

ROWS = np.arange(12.0).reshape(6, 2) / 12


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".parquet"])
def test_tables_round_trip(suffix, tmp_path):
    file = tmp_path / f"x{suffix}"
    write_samples(file, ROWS, Samples(ROWS, ("width", "height")))
    back = read_samples(file)
    assert np.array_equal(back.rows, ROWS)
    if suffix in (".csv", ".parquet"):
        assert back.features == ("width", "height")


def test_csv_with_and_without_header(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("1,2.5\n3,4\n\n5,6\n")
    assert read_samples(file).features is None and read_samples(file).rows.shape == (3, 2)
    write_samples(tmp_path / "y.csv", read_samples(file).rows, read_samples(file))
    assert (tmp_path / "y.csv").read_text() == "1.0,2.5\n3.0,4.0\n5.0,6.0\n"
    file.write_bytes("\ufeffa,b\r\n1,7\r\n".encode())
    assert read_samples(file).features == ("a", "b") and read_samples(file).rows[0, 1] == 7


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".jpg"])
def test_images_are_pixels(suffix, tmp_path):
    rows = np.linspace(0, 1, 8 * 16 * 3).reshape(-1, 3)
    file = tmp_path / f"x{suffix}"
    write_samples(file, rows, Samples(rows, picture=Picture((8, 16))))
    back = read_samples(file)
    assert back.picture.size == (8, 16) and back.rows.shape == (128, 3)
    assert np.abs(back.rows - rows).max() < (
        0.5 / 255 + 1e-6 if suffix in (".png", ".bmp") else 0.2
    )


def test_images_of_other_modes(tmp_path):
    from PIL import Image

    Image.new("L", (4, 2), 51).save(tmp_path / "grey.png")
    assert np.allclose(read_samples(tmp_path / "grey.png").rows, 0.2)
    Image.new("RGBA", (4, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_samples(tmp_path / "clear.png").rows.shape == (8, 3)
    Image.new("I;16", (4, 2), 60000).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match=r"8 bits per channel; got mode I;16 of 16"):
        read_samples(tmp_path / "deep.png")


def test_photographs_stand_upright(tmp_path):
    from PIL import Image

    image, turned = Image.new("RGB", (4, 2)), Image.Exif()
    turned[0x0112] = 6  # The camera was turned by a quarter.
    image.save(tmp_path / "turned.jpg", exif=turned)
    assert read_samples(tmp_path / "turned.jpg").picture.size == (4, 2)


def test_arrays_of_images(tmp_path):
    rows = np.zeros((3, 2, 4, 4))
    write_samples(tmp_path / "x.npy", rows, Samples(rows))
    assert read_samples(tmp_path / "x.npy").rows.shape == rows.shape
    with pytest.raises(ConfigError, match="a table holds vectors"):
        check_writable(tmp_path / "x.csv", Samples(rows))
    picture = Samples(ROWS, picture=Picture((3, 2)))
    check_writable(tmp_path / "p.npy", picture)
    write_samples(tmp_path / "p.npy", np.zeros((6, 3)), picture)
    assert read_samples(tmp_path / "p.npy").rows.shape == (3, 2, 3)


def text(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    return file


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("x.xlsx", b"", ConfigError, r"'\.xlsx' is unknown. Use one of \.bmp"),
        ("x", b"", ConfigError, "is unknown"),
        ("x.npy", b"not numpy", DataError, r"x\.npy' cannot be read"),
        ("x.npz", b"not numpy", DataError, "cannot be read"),
        ("x.png", b"not an image", DataError, "cannot be read"),
        ("x.parquet", b"not parquet", DataError, "cannot be read"),
        ("x.csv", b"", DataError, "got an empty file"),
        ("x.csv", b"a,b\n1,2\n3\n", DataError, "line 3: expected 2 cells; got 1"),
        ("x.csv", b"a,b\n1,dog\n", DataError, "line 2, column 'b': 'dog' is not a finite number"),
        ("x.csv", b"a,b\n1,1_000\n", DataError, "line 2, column 'b': '1_000' is not a"),
        ("x.csv", b"1_000,1\n2,3\n", DataError, "line 1: it has numbers and '1_000'"),
        ("x.csv", b"\xff\xfe\x00", DataError, "cannot be read"),
    ],
)
def test_bad_files(name, content, error, message, tmp_path):
    with pytest.raises(error, match=message):
        read_samples(text(tmp_path, name, content))


def test_bad_arrays_and_places(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        read_samples(tmp_path / "gone.npy")
    np.savez(tmp_path / "two.npz", a=ROWS, b=ROWS)
    with pytest.raises(DataError, match=r"one array, or the arrays samples, .*; got 'a', 'b'"):
        read_samples(tmp_path / "two.npz")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="must be numbers; got objects"):
        read_samples(tmp_path / "objects.npy")
    samples = Samples(ROWS)
    with pytest.raises(DataError, match=r"the folder .* does not exist"):
        check_writable(tmp_path / "no" / "x.npy", samples)
    (tmp_path / "dir.npy").mkdir()
    with pytest.raises(DataError, match="is a folder"):
        check_writable(tmp_path / "dir.npy", samples)
    with pytest.raises(ConfigError, match="only samples from an image"):
        check_writable(tmp_path / "x.png", samples)


def test_a_table_without_rows(tmp_path):
    empty = read_samples(text(tmp_path, "x.csv", b"a,b\n"))
    assert empty.rows.shape == (0, 2)
    for suffix in (".csv", ".parquet", ".npz"):
        write_samples(tmp_path / f"y{suffix}", empty.rows, empty)
        assert read_samples(tmp_path / f"y{suffix}").rows.shape == (0, 2)
    assert (tmp_path / "y.csv").read_text() == "a,b\n"


def test_columns_of_one_name(tmp_path):
    with pytest.raises(DataError, match="must have a different name; repeated: 'a'"):
        read_samples(text(tmp_path, "x.csv", b"a,a\n1,2\n"))
    twins = Samples(ROWS, ("a", "a"))
    with pytest.raises(ConfigError, match=r"must differ; got a, a\. Write \.csv"):
        check_writable(tmp_path / "y.parquet", twins)


@pytest.mark.parametrize("name", ["x.parquet", "x.png"])
def test_rows_that_a_format_cannot_write(name, tmp_path):
    like = Samples(ROWS, ("a", "b"), picture=Picture((3, 2)))
    with pytest.raises(DataError, match="could not be written"):
        write_samples(tmp_path / name, np.zeros((5, 3)), like)
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named(tmp_path, monkeypatch):
    import sys

    (tmp_path / "x.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"pip install 'multisi\[files\]'"):
        read_samples(tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match=r"pip install 'multisi\[files\]'"):
        write_samples(tmp_path / "x.parquet", ROWS, Samples(ROWS))
