import pathlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from multisi.cli import demo
from multisi.errors import DataError, DataWarning
from multisi.style import photographs


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def picture(file, colour, **kept):
    pixels = np.random.default_rng(0).integers(-30, 30, (30, 40, 3)) + colour
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, **kept)


def pixels(file):
    with Image.open(file) as image:
        return np.asarray(image).astype(int)


@pytest.mark.parametrize(
    ("size", "alpha", "message"),
    [
        ((20, 20), 0, "at least 8 pixels that are not transparent; got 0"),
        ((1, 1), 255, "at least 8 pixels that are not transparent; got 1"),
        ((4, 4), 1, "'b' must have at least 4 rows"),
    ],
)
def test_photograph_without_colours(size, alpha, message):
    picture("a.png", (200, 60, 60))
    shown = Image.new("RGBA", size, (9, 9, 9, alpha))
    shown.putpixel((0, 0), (9, 9, 9, 255 if alpha else 0))
    shown.save("b.png")
    with pytest.raises(DataError, match=message):
        demo.run(["a.png", "b.png"], steps=1, progress=False)
    assert not pathlib.Path("demo").exists()


def test_photographs_of_one_name():
    given = ["x/sea.png", "y/Sea.jpg", "sea-2.png", "Barycentre.png", "l" * 90 + ".png"]
    found = photographs.names(given, "barycentre")
    assert found == ["sea", "Sea-2", "sea-2-2", "Barycentre-2", "l" * 40]


def test_photographs_of_different_profiles():
    # Primaries that are swapped: red of the file is green to the eye.
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    picture("a.png", (200, 60, 60), icc_profile=bytes(profile))
    picture("b.png", (60, 60, 200))
    first, second = photographs.read(["a.png", "b.png"])
    assert first.foreign and not second.foreign
    assert np.abs(first.colours[..., [1, 0, 2]] - pixels("a.png")).max() <= 2
    first.write("c.png", first.pixels.astype(np.float32) / 255)
    assert np.abs(pixels("a.png") - pixels("c.png")).max() <= 2
    with Image.open("c.png") as after:
        assert after.info["icc_profile"] == bytes(profile)
    assert not photographs.read(["a.png", "a.png"])[0].foreign


def test_photographs_of_different_profiles_that_are_damaged():
    picture("a.png", (60, 60, 200))
    picture("b.png", (60, 60, 200), icc_profile=b"nonsense" * 30)
    with pytest.warns(DataWarning, match=r"'b.png': its colour profile cannot be used"):
        found = photographs.read(["a.png", "b.png"])
    assert np.array_equal(found[1].colours, pixels("b.png"))
