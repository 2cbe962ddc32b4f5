"""What files hold beside their numbers, what they leave open, and what they cost."""

import io
import os
import sys
import warnings
import zipfile

import numpy as np
import pandas
import pytest
from PIL import Image, PngImagePlugin

from multisi.errors import ConfigError, DataError, DataWarning
from multisi.files.formats import check_writable, read_samples, write_samples
from multisi.files.samples import Reading

X = np.random.default_rng(0).normal(size=(30, 3))


def text(tmp_path, content, name="x.csv"):
    file = tmp_path / name
    file.write_text(content)
    return file


def table(tmp_path, x=X, **options):
    file = tmp_path / "t.csv"
    pandas.DataFrame(x).to_csv(file, **options)
    return file


def rewritten(tmp_path, file, how=None, suffix=None):
    """The file after its samples are read and written as they are."""
    samples = read_samples(file, how)
    out = tmp_path / f"out{suffix or file.suffix}"
    check_writable(out, samples)
    write_samples(out, samples.rows, samples)
    return out


AMBIGUOUS = [
    ("0,1,2\n0.5,0.7,0.1\n", "counts the columns"),
    ("1,2\n3,4\n", "counts the columns"),
    ("0\n1.5\n", "counts the columns"),
    ("400,410.5,421\n3,1,2\n", "evenly spaced"),
    ("2020,2000,1980\n3,1,2\n", "evenly spaced"),
    ("1990,1995,2003\n0.5,0.7,0.1\n", "whole numbers where all columns have decimals"),
    ("3,7,9\n" + "5,2,1\n2,9,4\n" * 6, "increasing numbers, as no other line does"),
    ("1.0,abc\n2.0,3.0\n", "has numbers and 'abc'"),
    ("age,1990\n2.0,3.0\n", "has numbers and 'age'"),
    (",0,1\n0,2.5,3.5\n", "has numbers and ''"),
    ("1.5,,2\n0,2.5,3.5\n", "has numbers and ''"),
    ("NA,nan\n2.5,3.5\n", "neither names nor numbers"),
    ("2001,2005,2004\n" + "5,2,1\n2,9,4\n" * 6, "numbers far from those of all other lines"),
    ("2,0,1\n5,2,1\n", "counts the columns, in another order"),
    ("0.5,1e-1\n" + "0.12345678,-0.87654321\n" * 10, "far fewer digits than all other lines"),
    ("125E30_2140933\n", "is the only one and has '125E30_2140933'"),
    ("10%,2021-05-01\n", "is the only one and has '10%'"),
    ("dog,NA\n2,3\n", "has 'NA', which may be a missing value"),
]


@pytest.mark.parametrize(("content", "reason"), AMBIGUOUS)
def test_ambiguous_header(content, reason, tmp_path):
    file = text(tmp_path, content)
    with pytest.raises(DataError, match=f"line 1: it .*{reason}.*--header yes .*--header no"):
        read_samples(file)
    found = read_samples(file, Reading(header=True, index=(), missing="drop"))
    assert found.features == tuple(content.splitlines()[0].split(","))
    assert len(found.rows) == content.count("\n") - 1


def test_ambiguous_header_unlike_names(tmp_path):
    glass = text(tmp_path, "RI, Na,Mg ,2020-01-01\n1.5,2,3,4\n2.5,2,1,4\n")
    assert read_samples(glass).features == ("RI", "Na", "Mg", "2020-01-01")
    with pytest.raises(DataError, match="different name; repeated: 'a'"):
        read_samples(text(tmp_path, "a, a\n1,2\n"))


def test_ambiguous_header_with_an_index_is_settled_in_one_step(tmp_path):
    file = table(tmp_path)
    with pytest.raises(DataError, match="--header yes and --index '#1' if these are the names"):
        read_samples(file)
    assert np.array_equal(read_samples(file, Reading(header=True, index=("#1",))).rows, X)


def test_ambiguous_header_of_pandas(tmp_path):
    file = table(tmp_path, index=False)
    with pytest.raises(DataError, match="counts the columns"):
        read_samples(file)
    found = read_samples(file, Reading(header=True))
    assert found.features == ("0", "1", "2") and np.array_equal(found.rows, X)
    assert len(read_samples(file, Reading(header=False)).rows) == 31


@pytest.mark.parametrize(
    "content",
    [
        "0.3,-1.2\n1,2\n",
        "2,0,2\n1,3,4\n",
        "0,0\n" + "0.5,0.125\n0,0\n" * 9,
        "5,3\n2,4\n",
        "7\n8\n",
        "1,2.5\n3,4\n",
        "2.0,2.0,2.0\n1,2,3\n",
    ],
)
def test_ambiguous_header_unlike_plain_samples(content, tmp_path):
    found = read_samples(text(tmp_path, content))
    assert found.features is None and len(found.rows) == content.count("\n") and found.headless


def test_index_column_is_never_guessed(tmp_path):
    named = [f"person {i}, the" for i in range(30)]
    frame = pandas.DataFrame(X, columns=list("abc"), index=named)
    frame.to_csv(tmp_path / "named.csv")
    frame.reset_index(drop=True).to_csv(tmp_path / "counted.csv")
    frame.assign(row=range(1, 31)).to_csv(tmp_path / "last.csv", index=False)
    for name, message in (
        ("named.csv", "line 2, column 1: 'person 0, the' .*--index '#1'"),
        ("counted.csv", "column 1 has no name.*--index '#1' .*--index none"),
        ("last.csv", "column 'row' counts the rows.*--index row .*--index none"),
    ):
        with pytest.raises(DataError, match=message):
            read_samples(tmp_path / name)
    assert read_samples(tmp_path / "last.csv", Reading(index=())).rows.shape == (30, 4)


def test_index_column_of_parquet_tells_which_rows_are_left_out(tmp_path):
    frame = pandas.DataFrame(X[:5].copy(), columns=["a", "b", "c"])
    frame.iloc[1, 2] = np.nan
    frame.attrs = {"unit": "kg"}
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.warns(DataWarning, match="1 of 5 rows|PANDAS_ATTRS' are not kept") as told:
        out = rewritten(tmp_path, tmp_path / "t.parquet", Reading(missing="drop"))
    assert len(told) == 2
    assert pandas.read_parquet(out).index.tolist() == [0, 2, 3, 4]


IDENTIFIERS = [
    ("user_id", [40, 7, 7], "has the name of an index"),
    ("customerId", [40, 7, 9], "has the name of an index"),
    ("Unnamed: 0", [3, 8, 9], "has the name of an index"),
    ("n", range(1000, 1030), "counts the rows"),
    ("n", [*range(57, 20, -2), *range(20, 57, 2)], "counts the rows"),
]


@pytest.mark.parametrize(("name", "values", "reason"), IDENTIFIERS)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_index_column_of_other_numbers(name, values, reason, suffix, tmp_path):
    frame = pandas.DataFrame({"x": np.linspace(1, 2, len(values)) ** 2, name: values})
    file = tmp_path / f"t{suffix}"
    (frame.to_csv if suffix == ".csv" else frame.to_parquet)(file, index=False)
    with pytest.raises(DataError, match=f"{name}.* {reason}, .*--index "):
        read_samples(file)
    assert read_samples(file, Reading(index=("#2",))).features == ("x",)
    assert read_samples(file, Reading(index=())).rows[:, 1].tolist() == list(values)


def test_index_column_of_several_levels(tmp_path):
    levels = [["x", "x", "y"], [3, 1, 4]]
    file = tmp_path / "t.csv"
    pandas.DataFrame(X[:3], levels, columns=list("abc")).to_csv(file)
    with pytest.raises(DataError, match=r"column 1: 'x' is not a finite number.*--index '#1'"):
        read_samples(file)
    out = rewritten(tmp_path, file, Reading(index=("#1", "#2")))
    assert out.read_text() == file.read_text() and out.read_text().startswith(",,a,b,c")


def test_index_column_unlike_whole_numbers(tmp_path):
    age = [*range(18, 30), 29, 31, 40]
    frame = pandas.DataFrame({"age": age, "index": np.linspace(1, 2, 15), "grid": age[::-1]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert read_samples(tmp_path / "t.csv").features == ("age", "index", "grid")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_index_column_comes_out_with_its_rows(suffix, tmp_path):
    codes = [f"{i:05d} é\"'," for i in range(30)]
    frame = pandas.DataFrame(X, columns=list("abc"))
    frame.insert(1, "code", codes)
    frame.insert(3, "when", pandas.date_range("2020", periods=30).astype(str))
    file = tmp_path / f"t{suffix}"
    frame.to_csv(file, index=False) if suffix == ".csv" else frame.to_parquet(file)
    how = Reading(index=("code", "#4"))
    found = read_samples(file, how)
    assert found.features == ("a", "b", "c") and np.array_equal(found.rows, X)
    read = pandas.read_csv if suffix == ".csv" else pandas.read_parquet
    back = read(rewritten(tmp_path, file, how), **({"dtype": {"code": str}} if suffix == ".csv"
                                                   else {}))  # fmt: skip
    pandas.testing.assert_frame_equal(back, frame)


def test_index_column_of_parquet_is_kept(tmp_path):
    index = pandas.Index([f"p{i}" for i in range(30)], name="person")
    frame = pandas.DataFrame(X, columns=list("abc"), index=index)
    frame.to_parquet(tmp_path / "t.parquet")
    back = pandas.read_parquet(rewritten(tmp_path, tmp_path / "t.parquet"))
    pandas.testing.assert_frame_equal(back, frame)
    out = rewritten(tmp_path, tmp_path / "t.parquet", suffix=".csv")
    assert out.read_text().startswith("person,a,b,c\np0,")
    with pytest.warns(DataWarning, match="does not keep the index, the names of the features"):
        rewritten(tmp_path, tmp_path / "t.parquet", suffix=".npy")


@pytest.mark.parametrize("word", ["", "NA", "nan", "NaN", "null", "N/A", " ", "None", "?"])
def test_missing_value(word, tmp_path):
    file = text(tmp_path, f"id,a,w,b\nx,1.5,1,2.5\ny,3.5,2,{word}\nz,5.5,3,6.5\nu,,4,7.5\n")
    how = {"index": ("id",), "weights": "w"}
    with pytest.raises(DataError, match=r"line 3, column 'b': a value is missing.*--missing drop"):
        read_samples(file, Reading(**how))
    with pytest.warns(DataWarning, match="2 of 4 rows have missing values"):
        found = read_samples(file, Reading(**how, missing="drop"))
    assert found.rows.tolist() == [[1.5, 2.5], [5.5, 6.5]] and found.weights.tolist() == [1, 3]
    with pytest.warns(DataWarning, match="2 of 4"):
        out = rewritten(tmp_path, file, Reading(**how, missing="drop"))
    assert out.read_text() == "id,a,w,b\nx,1.5,1,2.5\nz,5.5,3,6.5\n"


def test_missing_value_in_other_files(tmp_path):
    x = X.copy()
    x[4, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", samples=x, weights=np.arange(30))
    frame = pandas.DataFrame(x, columns=list("abc")).convert_dtypes()
    frame["d"] = pandas.array([True, None, *[False] * 28], dtype="boolean")
    frame.to_parquet(tmp_path / "x.parquet")
    for name, place, left in (
        ("x.npy", "row 4", 29), ("x.npz", "row 4", 29), ("x.parquet", "row 1, column 'd'", 28)
    ):  # fmt: skip
        with pytest.raises(DataError, match=f"{place}: a value is missing"):
            read_samples(tmp_path / name)
        with pytest.warns(DataWarning, match="rows have missing values"):
            found = read_samples(tmp_path / name, Reading(missing="drop"))
        assert len(found.rows) == left and np.isfinite(found.rows).all()
        assert found.weights is None or len(found.weights) == left
    one = text(tmp_path, "a\n1\n\n2\n\n")
    with pytest.raises(DataError, match="line 3, column 'a': a value is missing"):
        read_samples(one)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a;b\n1;2\n3;4\n", "'1;2' is not a finite number. The file seems .* separated by ';'"),
        ("1,5;2,5\n3,5;4,5\n", "line 1: it has numbers and '5;2'"),
        ("a\tb\n1\t2\n", r"'1\\t2' .* separated by tabs"),
        ("a b\n1 2\n", "'1 2' .* separated by spaces"),
        ("a,b\n1,1_000\n", "line 2, column 'b': '1_000' is not a finite number"),
        ("a,b\n1,inf\n", "line 2, column 'b': 'inf' is not a finite number"),
        ("a,b\n1,1e999\n", "line 2, column 'b': '1e999' is not a finite number"),
        ("a,b\n1,True\n2,False\n", "line 2, column 'b': 'True' is not a finite number"),
        ("a,b\n1,2\nTrue,3\n", "line 3, column 'a': 'True' is not a finite number"),
        ("a,b\n1,٣\n", "line 2, column 'b': '٣' is not"),
        ("a,b\n1,2\n3\n", "line 3: expected 2 cells; got 1"),
        ("a,b\n1,2,3\n", "line 2: expected 2 cells; got 3"),
        ("a,b\n# note\n1,2\n", "line 2: expected 2 cells; got 1"),
        ('a,b\n1,"2\n', "line 2: unexpected end of data"),
        ('a,b\n1,"2"3\n', "line 2: .*expected after"),
        ("a,b\n1,2\0\n", "line 2, column 'b': .2.x00. is not"),
        ("a,b\n1,x;5\n", "'x;5' is not a finite number. Mend it"),
        ("a;b;c\n1,5;2,5;3,0\n", "expected 1 cell; got 4. .* write decimals with points"),
        ("# a remark\na,b\n1,2\n", "expected 1 cell; got 2. .* a comment, remove it"),
        ("a,b,a\n1,2,3\n", "different name; repeated: 'a'"),
        ("a,id\n1,x\n2,y\n", "line 2, column 'id': 'x' .* keep the column aside by --index id"),
    ],
)
def test_odd_cell(content, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_samples(text(tmp_path, content))


def test_odd_cell_beside_a_column_of_texts(tmp_path):
    """Short lines are filled up by pandas, with empty texts."""
    short = text(tmp_path, "a,id\n1,x\n2\n")
    with pytest.raises(DataError, match="line 3: expected 2 cells; got 1"):
        read_samples(short, Reading(index=("id",)))
    quoted = text(tmp_path, '"a","id"\n"1","x\ny"\n\n 2 ,"z"""\n')
    found = read_samples(quoted, Reading(index=("id",)))
    assert found.rows.tolist() == [[1], [2]] and found.aside[0].cells == ["x\ny", 'z"']


def picture(tmp_path, mode, name="p.png", **options):
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (6, 5, 4), np.uint8))
    image = image.convert(mode)
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA", "L", "RGB"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_transparent_picture(mode, suffix, tmp_path):
    mode = "RGBA" if mode == "PA" else mode
    with Image.open(picture(tmp_path, mode)) as image:
        first = image.getpixel((0, 0))
    file = picture(tmp_path, mode, **({} if "A" in mode else {"transparency": first}))
    with Image.open(file) as image:
        expected = np.asarray(image.convert("RGBA"))
    found = read_samples(file)
    assert np.allclose(found.weights, expected[..., 3].ravel() / 255)
    assert np.allclose(found.rows, expected[..., :3].reshape(-1, 3) / 255)
    with Image.open(rewritten(tmp_path, file, suffix=suffix)) as image:
        assert image.mode == "RGBA"
        assert np.array_equal(np.asarray(image.convert("RGBA"))[..., 3], expected[..., 3])
    for other in (".jpg", ".bmp"):
        with pytest.raises(ConfigError, match="cannot hold the transparency of the picture"):
            check_writable(tmp_path / f"y{other}", found)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp", ".jpg", ".bmp"])
def test_transparent_picture_that_is_opaque(suffix, tmp_path):
    image = Image.fromarray(np.full((3, 4, 4), 255, np.uint8))
    image.save(tmp_path / "p.png")
    if suffix in (".png", ".tiff"):
        kept = rewritten(tmp_path, tmp_path / "p.png", suffix=suffix)
    else:
        with pytest.warns(DataWarning, match="its alpha band, which is opaque"):
            kept = rewritten(tmp_path, tmp_path / "p.png", suffix=suffix)
    with Image.open(kept) as image:
        assert image.mode == ("RGBA" if suffix in (".png", ".tiff") else "RGB")


def test_what_a_picture_holds_beside_of_grey(tmp_path):
    """The profile of a grey picture is none of colours."""
    profile = bytes(16) + b"GRAY" + bytes(108)
    Image.new("L", (4, 3), 7).save(tmp_path / "p.png", icc_profile=profile)
    with pytest.warns(DataWarning, match="the profile of other colours"):
        out = rewritten(tmp_path, tmp_path / "p.png")
    with Image.open(out) as image:
        assert "icc_profile" not in image.info
    colours = bytes(16) + b"RGB " + bytes(108)
    Image.new("RGB", (4, 3)).save(tmp_path / "q.png", icc_profile=colours)
    for file, lost in (("p.png", "the profile of other colours"), ("q.png", "its colour profile")):
        with pytest.warns(DataWarning, match=f"npy does not keep .*{lost}"):
            check_writable(tmp_path / "o.npy", read_samples(tmp_path / file))


def test_what_a_picture_holds_beside_is_kept(tmp_path):
    exif = Image.Exif()
    exif[315], exif[274] = "an author", 6
    file = picture(
        tmp_path, "RGB", "p.jpg", dpi=(300, 300), icc_profile=b"profile" * 20, exif=exif
    )
    for suffix in (".png", ".jpg", ".tif"):
        with Image.open(rewritten(tmp_path, file, suffix=suffix)) as image:
            assert image.size == (6, 5) and image.info["icc_profile"] == b"profile" * 20
            assert round(float(image.info["dpi"][0])) == 300
            assert image.getexif()[315] == "an author" and image.getexif().get(274, 1) == 1
    with pytest.warns(DataWarning, match=r"not kept: .*its colour profile, its EXIF data\.|EXIF"):
        rewritten(tmp_path, file, suffix=".bmp")


def test_what_a_picture_holds_beside_and_loses(tmp_path):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Title", "a logo")
    noted = picture(tmp_path, "RGB", pnginfo=notes)
    commented = picture(tmp_path, "RGB", "c.jpg", comment=b"a remark")
    for file, name in ((noted, "'Title'"), (commented, "'comment'")):
        with pytest.warns(DataWarning, match=f"not kept: {name}"):
            rewritten(tmp_path, file)


@pytest.mark.parametrize("suffix", [".tif", ".webp", ".png"])
def test_several_pages(suffix, tmp_path):
    pages = [Image.new("RGB", (4, 4), (60 * i, 0, 0)) for i in range(3)]
    pages[0].save(tmp_path / f"p{suffix}", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match="has 3 pages or frames; a picture has one"):
        read_samples(tmp_path / f"p{suffix}")


def test_damaged_picture(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "p.png", "GIF")
    (tmp_path / "empty.webp").touch()
    for name in ("p.png", "empty.webp"):
        with pytest.raises(
            DataError, match=f"{name}' .* damaged, or none of BMP, JPEG, PNG, TIFF"
        ):
            read_samples(tmp_path / name)


def test_several_pages_of_a_camera(tmp_path):
    image = Image.new("RGB", (8, 8), (200, 0, 0))
    image.save(tmp_path / "p.jpg", "MPO", save_all=True, append_images=[image.resize((4, 4))])
    with pytest.warns(DataWarning, match="only the main one of its 2 pictures is used"):
        assert read_samples(tmp_path / "p.jpg").picture.size == (8, 8)


def deep_png():
    """A picture of 16 bits per channel, which Pillow reads as one of 8."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data)
        )  # fmt: skip

    lines = b"".join(b"\0" + bytes(range(12)) for _ in range(2))
    head = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(k, d) for k, d in ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    )


def test_picture_of_another_mode(tmp_path):
    (tmp_path / "deep.png").write_bytes(deep_png())
    with Image.open(tmp_path / "deep.png") as image:
        assert image.mode == "RGB"
    with pytest.raises(DataError, match="8 bits per channel; got mode RGB of 16 bits"):
        read_samples(tmp_path / "deep.png")
    for mode in ("CMYK", "YCbCr"):
        Image.new(mode, (3, 3)).save(tmp_path / "x.tif")
        # Old versions of Pillow cannot read what they wrote.
        with pytest.raises(DataError, match=f"must be RGB, grey .* got mode {mode}|truncated"):
            read_samples(tmp_path / "x.tif")
    for mode in ("1", "L"):
        assert read_samples(picture(tmp_path, mode)).rows.shape == (30, 3)


def test_file_that_expands(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", samples=np.zeros(2**29 + 1, np.int8))
    Image.new("1", (7000, 7000)).save(tmp_path / "x.png")
    columns = {f"c{i}": np.zeros(2**20, bool) for i in range(65)}
    pandas.DataFrame(columns).to_parquet(tmp_path / "x.parquet")
    for name in ("x.npz", "x.png", "x.parquet"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(DataError, match=r"expands to .* more than 5.*--max-bytes \d+"):
                read_samples(tmp_path / name)
    small = picture(tmp_path, "RGB", "s.png")
    with pytest.raises(DataError, match="expands to 360, more than 100"):
        read_samples(small, Reading(most_bytes=100))
    assert len(read_samples(small, Reading(most_bytes=360)).rows) == 30


def test_claims_of_a_header(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((10, 2)))
    whole = buffer.getvalue()
    for claim in (b"(99, 2)", b"(-1, 2)", b"(10, 9)", b"(9, 2) "):
        lie = whole.replace(b"(10, 2)", claim)
        (tmp_path / "x.npy").write_bytes(lie)
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("samples.npy", lie)
        for name in ("x.npy", "x.npz"):
            with pytest.raises(DataError, match="damaged: its header claims"):
                read_samples(tmp_path / name)


def test_array_of_another_name(tmp_path):
    rows, file = np.ones((4, 2)), tmp_path / "x.npz"
    np.savez(file, samples=rows, labels=[1, 2, 3, 4], weights=[1.0, 0, 2, 3], features=["a", "b"],
             condition=np.zeros((4, 1)))  # fmt: skip
    found = read_samples(file)
    assert found.features == ("a", "b") and found.weights.tolist() == [1, 0, 2, 3]
    assert found.labels.tolist() == [1, 2, 3, 4] and found.condition.shape == (4, 1)
    back = read_samples(rewritten(tmp_path, file))
    assert back.features == found.features and np.array_equal(back.weights, found.weights)
    np.savez(file, samples=rows, weight=[1.0, 0, 2, 3])
    with pytest.raises(DataError, match=r"must hold one array, .* got 'samples', 'weight'"):
        read_samples(file)
    np.save(tmp_path / "x.npy", np.zeros(3, dtype=[("age", "f8"), ("size", "f8")]))
    with pytest.raises(DataError, match=r"must be numbers; got .*'age'.*the array features of a"):
        read_samples(tmp_path / "x.npy")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".parquet", ".png", ".tiff", ".jpg"])
def test_pipe_as_a_file(suffix, tmp_path):
    os.mkfifo(tmp_path / f"x{suffix}")
    with pytest.raises(DataError, match="is a pipe, not a regular file"):
        read_samples(tmp_path / f"x{suffix}")
    (tmp_path / f"d{suffix}").mkdir()
    with pytest.raises(DataError, match="is a folder, not a regular file"):
        read_samples(tmp_path / f"d{suffix}")


def test_columns_that_are_no_numbers(tmp_path):
    frame = pandas.DataFrame({"a": X[:, 0], "when": pandas.date_range("2020", periods=30)})
    frame["flag"] = X[:, 1] > 0
    frame["count"] = pandas.array(range(5, 35), dtype="Int64")
    frame.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"column 'when' must hold numbers; got .*--index when"):
        read_samples(tmp_path / "x.parquet")
    found = read_samples(tmp_path / "x.parquet", Reading(index=("when",)))
    assert found.features == ("a", "flag", "count")
    assert np.array_equal(found.rows, frame[["a", "flag", "count"]].to_numpy(np.float64))


def test_numbers_of_a_table_are_exact(tmp_path, monkeypatch):
    source = np.random.default_rng(2)
    x = source.normal(size=(200, 7)) * 10.0 ** source.integers(-300, 300, (200, 7))
    x[0] = [5e-324, 1.7976931348623157e308, -0.0, 0.1 + 0.2, 1 / 3, 2**53 + 2.0, 1e22]
    for name in ("x", "y"):
        pandas.DataFrame(x, columns=list("abcdefg")).to_csv(tmp_path / f"{name}.csv", index=False)
    plain = (tmp_path / "y.csv").read_text()
    text(tmp_path, plain.replace("5e-324", '"5e-324"').replace("\n", "\n \n"), "y.csv")
    for module in (pandas, None):  # Without pandas numbers are read line by line.
        monkeypatch.setitem(sys.modules, "pandas", module)
        for name in ("x", "y"):
            found = read_samples(tmp_path / f"{name}.csv").rows
            assert found.tobytes() == x.tobytes(), name


BIG = 2**53 + 1


@pytest.mark.parametrize("values", [[BIG, 2], [BIG, 0.5], [-BIG, 10**30], [2**63 + 1, 2]])
def test_whole_numbers_beyond_float(values, tmp_path):
    file = text(tmp_path, f"a,b\n{values[0]},1.5\n{values[1]},2.5\n")
    with pytest.warns(DataWarning, match=r"column 'a' .* beyond 2\^53, .* pass --index a "):
        rows = read_samples(file).rows
    assert np.array_equal(rows[:, 0], np.array(values, float))
    aside = read_samples(file, Reading(index=("a",)))
    assert aside.aside[0].cells == [str(value) for value in values]


def test_whole_numbers_beyond_float_in_other_files(tmp_path):
    frame = pandas.DataFrame({"a": [1.5, 2.5], "b": pandas.array([BIG, 2], dtype="Int64")})
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.warns(DataWarning, match=r"column 'b' .* beyond 2\^53"):
        read_samples(tmp_path / "t.parquet")
    np.save(tmp_path / "t.npy", np.array([[BIG], [2]]))
    with pytest.warns(DataWarning, match=r"the samples have whole numbers beyond 2\^53"):
        read_samples(tmp_path / "t.npy")
    exact = text(tmp_path, f"a,b\n{2**60},1e300\n{BIG - 1},2.5\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_samples(exact).rows.tolist() == [[2.0**60, 1e300], [2.0**53, 2.5]]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_whole_numbers_beyond_float_as_labels(suffix, tmp_path):
    frame = pandas.DataFrame({"a": [1.5, 2.5, 3.5], "l": [BIG, BIG - 1, 3]})
    file = tmp_path / f"t{suffix}"
    (frame.to_csv if suffix == ".csv" else frame.to_parquet)(file, index=False)
    assert read_samples(file, Reading(labels="l")).labels.tolist() == [BIG, BIG - 1, 3]
    for number in ("1e300", "1.5", str(2**63)):
        other = text(tmp_path, f"a,l\n1,{number}\n2,3\n")
        with pytest.raises(DataError, match=r"whole numbers below 2\^63; column 'l' has others"):
            read_samples(other, Reading(labels="l"))
