import json
import pathlib

import numpy as np
import pytest
from PIL import Image, ImageCms

import multisi
from multisi.cli import demo
from multisi.cli.parser import main


def picture(file, colour, size=(40, 30), mode="RGB", **kept):
    pixels = np.random.default_rng(0).integers(-30, 30, (size[1], size[0], 3)) + colour
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode).save(file, **kept)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*images, steps=20, out="demo"):
    return main(["demo", "--images", *images, "--out", out, "--steps", str(steps), "--quiet"])


def names(place="demo"):
    return sorted(p.name for p in pathlib.Path(place).iterdir())


def test_with_ones_own_images(folder, capsys):
    picture("red.png", (200, 40, 40))
    picture("blue.jpg", (40, 40, 200), (300, 500))
    assert run("red.png", "blue.jpg", steps=200) == 0
    shown = capsys.readouterr().out
    for text in ("energy distance", "cycle error", "seconds", "structural similarity", "gamut"):
        assert text in shown
    assert np.asarray(Image.open("demo/palettes.png").convert("RGB")).std() > 10
    assert multisi.load("demo/model.safetensors").marginals == ("red", "blue")
    moved = [f"{a}-as-{b}.png" for a, b in (("red", "blue"), ("blue", "red"))]
    moved += [f"{a}-as-barycentre.png" for a in ("red", "blue")]
    assert names() == sorted([*moved, "model.safetensors", "palettes.png"])
    for source, target, size in (("red", "blue", (40, 30)), ("blue", "red", (300, 500))):
        with Image.open(f"demo/{source}-as-{target}.png") as image:
            assert image.size == size and image.mode == "RGB"
            colours = np.asarray(image).reshape(-1, 3).mean(0)
        with Image.open({"red": "red.png", "blue": "blue.jpg"}[target]) as image:
            assert np.allclose(colours, np.asarray(image).reshape(-1, 3).mean(0), atol=8)


def test_all_beside_the_colours_is_kept(folder):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[315] = "An author"
    picture("a.jpg", (200, 40, 40), icc_profile=profile, exif=exif, dpi=(300, 300))
    pixels = np.full((20, 30, 4), (40, 40, 200, 255), np.uint8)
    pixels[:10] = 9, 250, 9, 0
    pixels[10:12, :, 3] = 128
    pixels[..., 2] += np.arange(30, dtype=np.uint8)
    Image.fromarray(pixels).save("b.png", icc_profile=profile)
    assert run("a.jpg", "b.png", steps=300) == 0
    with Image.open("demo/a-as-b.png") as image:
        assert image.info["icc_profile"] == profile
        assert image.getexif()[315] == "An author"
        assert np.allclose(image.info["dpi"], 300, atol=0.1)
        # The green of the transparent pixels is not learned.
        assert np.asarray(image)[..., 1].max() < 90
    with Image.open("demo/b-as-a.png") as image:
        assert image.mode == "RGBA" and image.info["icc_profile"] == profile
        assert np.array_equal(np.asarray(image)[..., 3], pixels[..., 3])


def test_unusual_images(folder):
    pathlib.Path("in").mkdir()
    picture("in/a.png", (200, 60, 60))
    picture("grey.png", (90, 90, 120), size=(8, 1), mode="L")
    Image.new("RGB", (40, 30), (9, 99, 200)).save("even.png")
    images = {"a": "in/a.png", "a-2": "a.png", "grey": "grey.png", "even": "even.png"}
    before = pathlib.Path("in/a.png").read_bytes()
    pathlib.Path("a.png").write_bytes(before)
    assert run(*images.values(), out="in", steps=3) == 0  # The folder has one of the inputs.
    assert pathlib.Path("in/a.png").read_bytes() == before
    targets = [*images, "barycentre"]
    moved = [f"{a}-as-{b}.png" for a in images for b in targets if a != b]
    assert names("in") == sorted([*moved, "a.png", "model.safetensors", "palettes.png"])
    for name, source in images.items():
        with Image.open(source) as image, Image.open(f"in/{name}-as-barycentre.png") as became:
            assert became.size == image.size


def test_bad_images(folder, capsys):
    picture("a.png", (9, 9, 9))
    picture("cmyk.jpg", (9, 9, 9), mode="CMYK")
    Image.fromarray(np.full((30, 40), 999, np.uint16)).save("deep.png")
    Image.new("RGBA", (4, 4), (9, 9, 9, 0)).save("clear.png")
    pathlib.Path("file").write_text("")
    pathlib.Path("out").mkdir()
    for name in ("palettes", "a-as-b"):
        (folder / "out" / f"{name}.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "b.png").symlink_to(folder / "out" / "a-as-b.png")
    for images, out, message in (
        (["a.png"], "demo", "At least 2 images"),
        (["a.png", "gone.png"], "demo", "The file 'gone.png' does not exist"),
        (["a.png", "file"], "demo", "is unknown"),
        (["a.png", "cmyk.jpg"], "demo", "must be RGB, grey or of a palette"),
        (["a.png", "deep.png"], "demo", "16 bits per channel"),
        (["a.png", "out/palettes.png"], "out", "is the file of image 2"),
        (["a.png", "b.png"], "out", "is the file of image 2"),
    ):
        assert run(*images, out=out) == 2
        assert message in capsys.readouterr().err
    assert run("a.png", "clear.png", steps=0) == 2
    assert "steps must be an integer" in capsys.readouterr().err
    assert not pathlib.Path("demo").exists()
    assert names("out") == ["a-as-b.png", "palettes.png"]
    picture("c.png", (9, 9, 9))
    assert run("a.png", "c.png", out="file") == 2
    assert "could not be created" in capsys.readouterr().err


@pytest.mark.slow
def test_the_demo(tmp_path):
    """The measures of the demo: twelve ordered pairs of photographs, on held-out pixels."""
    report = demo.run(out=tmp_path, progress=False)
    assert len(report.pairs) == 12
    assert report.mean("energy_distance") <= 0.001
    assert report.mean("gaussian") > 0.015
    assert max(pair.cycle_error for pair in report.pairs) <= 0.01
    assert json.dumps(report.to_dict())
    with Image.open(tmp_path / "palettes.png") as grid:
        assert grid.size[0] > 800
