import numpy as np
import pytest
from PIL import Image

from multisi import fit, style
from multisi.cli import main
from multisi.errors import ConfigError, DataError, DataWarning
from multisi.files.formats import check_writable, read_samples, write_samples
from multisi.files.samples import Reading

SOURCE = np.random.default_rng(0)


def paint(place, count=6, size=(8, 6), colour=True, suffix=".png"):
    place.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = SOURCE.integers(0, 256, (*size, 3) if colour else size).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{i}{suffix}")
    return place


def test_pictures_come_back_as_they_are(tmp_path):
    place = paint(tmp_path / "a")
    (place / "notes.txt").write_text("no picture")
    (place / ".hidden.png").write_text("no picture")
    samples = read_samples(place)
    assert samples.rows.shape == (6, 3, 8, 6) and samples.labels is None
    whole = np.asarray(Image.open(place / "3.png"))
    np.testing.assert_allclose(samples.rows[3], np.moveaxis(whole, -1, 0) / 255, atol=1e-6)
    check_writable(tmp_path / "out", samples)
    write_samples(tmp_path / "out", samples.rows, samples)
    for file in sorted(place.glob("[0-9].png")):
        assert (np.asarray(Image.open(tmp_path / "out" / file.name)) == Image.open(file)).all()


def test_folders_in_a_folder_are_labels(tmp_path):
    place = tmp_path / "a"
    paint(place / "x", colour=False), paint(place / "y", colour=False)
    samples = read_samples(place)
    assert samples.rows.shape == (12, 1, 8, 6)
    assert samples.labels.tolist() == ["x"] * 6 + ["y"] * 6
    marginal = style.folder(place, size=4, channels=3)
    assert marginal.event_shape == (3, 4, 4)
    assert marginal.labels.unique(return_counts=True)[1].tolist() == [6, 6]
    both = style.folder(place, mirrored=True)
    assert len(both) == 24 and both.labels.equal(style.folder(place).labels.repeat(2))
    assert both.samples[12:].equal(both.samples[:12].flip(-1))
    write_samples(tmp_path / "out", samples.rows, samples)
    assert len(list((tmp_path / "out" / "y").iterdir())) == 6
    paint(place, count=1)
    with pytest.raises(
        DataError, match=r"has pictures, such as '0\.png', and folders of pictures"
    ):
        read_samples(place)


def test_pictures_are_scaled_and_cut(tmp_path):
    place = tmp_path / "a"
    place.mkdir()
    for i, size in enumerate([(40, 20), (20, 40), (20, 20), (5, 5)]):
        Image.new("RGB", size, (200, 100, 50)).save(place / f"{i}.jpg", quality=95)
    with pytest.raises(DataError, match=r"pictures of 4 sizes, such as .*--size 64"):
        read_samples(place)
    rows = read_samples(place, Reading(size=(10, 12))).rows
    assert rows.shape == (4, 3, 10, 12)
    np.testing.assert_allclose(rows.mean((0, 2, 3)) * 255, [200, 100, 50], atol=3)


def test_transparent_pixels_are_those_of_a_page(tmp_path):
    place = tmp_path / "a"
    place.mkdir()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(place / "clear.png")
    Image.new("RGBA", (4, 4), (255, 0, 0, 255)).save(place / "red.png")
    rows = read_samples(place).rows
    assert (rows[0] == 1).all() and rows[1, :, 0, 0].tolist() == [1, 0, 0]


def test_names_that_differ_by_their_ending(tmp_path):
    place = paint(tmp_path / "a", 2)
    paint(place, 2, suffix=".bmp")
    samples = read_samples(place)
    write_samples(tmp_path / "out", samples.rows, samples)
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["0.bmp.png", "0.png", "1.bmp.png", "1.png"] or len(names) == 4


def test_what_cannot_be_read(tmp_path):
    place = paint(tmp_path / "a")
    for name in ("bad.png", "worse.jpg"):
        (place / name).write_bytes(b"no picture")
    cut = (place / "0.png").read_bytes()[:-40]
    (place / "cut.png").write_bytes(cut)
    with pytest.raises(DataError, match=r"bad\.png.* 2 of 9 pictures cannot be read; unread"):
        read_samples(place)
    with pytest.warns(DataWarning, match="are left out"):
        samples = read_samples(place, Reading(unreadable="skip"))
    assert len(samples.rows) == 6 and samples.files[0] == "0.png"
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"has no pictures\. Known endings"):
        read_samples(empty)
    (empty / "a.png").write_text("")
    with pytest.raises(DataError, match="no picture can be read"):
        read_samples(empty, Reading(unreadable="skip"))
    mixed = paint(paint(tmp_path / "m", 2), 1, colour=False, suffix=".bmp")
    with pytest.raises(DataError, match=r"grey pictures \(0\.bmp\) and coloured ones \(0\.png, 1"):
        read_samples(mixed)
    assert read_samples(mixed, Reading(channels=1)).rows.shape == (3, 1, 8, 6)
    with pytest.raises(DataError, match=r"expands to .*Pass --max-bytes"):
        read_samples(mixed, Reading(channels=3, most_bytes=1000))
    with pytest.raises(DataError, match="is not a folder"):
        style.folder(tmp_path / "gone")
    with pytest.raises(DataError, match="must have 2 pictures or more; got one"):
        style.folder(paint(tmp_path / "one", 1))
    for options in (dict(size=0), dict(size=(1, 2, 3)), dict(channels=2), dict(unreadable="no")):
        with pytest.raises(ConfigError, match=next(iter(options))):
            style.folder(place, **options)


def test_folders_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    paint(tmp_path / "cats", 8), paint(tmp_path / "dogs", 8, size=(10, 10))
    words = "fit --marginal cats=cats --marginal dogs=dogs --size 8x6 --network unet --steps 2 "
    words += "--network-option channels=8 --batch-size 4 --out m.st --quiet"
    assert main(words.split()) == 0
    words = "transport m.st --source cats --target dogs --steps 2 --quiet"
    assert main([*words.split(), "dogs", "out"]) == 0  # In the size of the model.
    assert np.asarray(Image.open("out/5.png")).shape == (8, 6, 3)
    assert main([*words.split(), "dogs", "out.npy"]) == 0
    assert np.load("out.npy").shape == (8, 3, 8, 6)
    words = "evaluate m.st --marginal cats=cats --marginal dogs=dogs --steps 2 --quiet"
    assert main(words.split()) == 0
    capsys.readouterr()
    np.save("rows.npy", np.zeros((4, 3, 8, 6), np.float32))
    for words, message in (
        ("transport m.st --source cats --target dogs rows.npy new", "the format '' is unknown"),
        ("transport m.st --source cats --target dogs gone new", "the format '' is unknown"),
        ("transport m.st --source cats --target dogs --solver no dogs new", "no solver"),
        ("transport m.st --source cats --target dogs dogs rows.npy/new", "is not a folder"),
        ("fit --marginal a=cats --marginal b=dogs --out n.st", "shape"),
        ("fit --marginal a=cats --marginal b=dogs --out n.st --size 8x", "--size must be N or"),
    ):
        assert main([*words.split(), "--quiet"]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists() and not (tmp_path / "n.st").exists()


def test_pictures_of_a_folder_train_a_model(tmp_path):
    place = paint(tmp_path / "a"), paint(tmp_path / "b")
    model = fit({p.name: style.folder(p) for p in place}, steps=2, progress=False)
    assert model.event_shape == (3, 8, 6)
