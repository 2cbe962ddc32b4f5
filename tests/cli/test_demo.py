import json
import pathlib

import numpy as np
import pytest
from PIL import Image

import multisi
from multisi.cli import demo
from multisi.cli.parser import main


def picture(file, colour, size=(40, 30)):
    pixels = np.random.default_rng(0).integers(-30, 30, (size[1], size[0], 3)) + colour
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file)


def test_with_ones_own_images(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    picture("red.png", (200, 40, 40))
    picture("blue.jpg", (40, 40, 200), (300, 500))
    assert main(["demo", "--images", "red.png", "blue.jpg", "--steps", "20", "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "energy distance" in shown and "cycle error" in shown and "seconds" in shown
    grid = np.asarray(Image.open("demo/palettes.png").convert("RGB"))
    assert grid.std() > 10
    assert multisi.load("demo/model.safetensors").marginals == ("noise", "red", "blue")
    assert sorted(p.name for p in pathlib.Path("demo").iterdir()) == [
        "model.safetensors",
        "palettes.png",
    ]


def test_bad_images(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    picture("a.png", (9, 9, 9))
    picture("a.jpg", (9, 9, 9))
    pathlib.Path("file").write_text("")
    for arguments, message in (
        (["--images", "a.png"], "At least 2 images"),
        (["--images", "a.png", "a.jpg"], "rename a"),
        (["--images", "a.png", "b.png"], "The file 'b.png' does not exist"),
        (["--images", "a.png", "file"], "is unknown"),
    ):
        assert main(["demo", *arguments]) == 2
        assert message in capsys.readouterr().err
    Image.new("RGBA", (4, 4), (9, 9, 9, 0)).save("clear.png")
    pathlib.Path("out").mkdir()
    (tmp_path / "out" / "palettes.png").write_bytes((tmp_path / "a.png").read_bytes())
    for arguments, message in (
        (["--images", "a.png", "clear.png"], "has transparent pixels"),
        (["--images", "a.png", "out/palettes.png", "--out", "out"], "is the file of image 2"),
        (["--images", "a.png", "clear.png", "--steps", "0"], "steps must be an integer"),
    ):
        assert main(["demo", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert not pathlib.Path("demo").exists()
    (tmp_path / "noise.png").write_bytes((tmp_path / "a.png").read_bytes())
    assert main(["demo", "--images", "a.png", "noise.png"]) == 2
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    assert main(["demo", "--images", "a.png", "b.png", "--out", "file"]) == 2
    assert "could not be created" in capsys.readouterr().err


@pytest.mark.slow
def test_the_demo(tmp_path):
    """The measures of the demo: twelve ordered pairs of photographs, on held-out pixels."""
    report = demo.run(out=tmp_path, progress=False)
    assert len(report.pairs) == 12
    assert report.mean("energy_distance") <= 0.004
    assert report.mean("gaussian") > 0.015
    assert max(pair.cycle_error for pair in report.pairs) <= 0.01
    assert json.dumps(report.to_dict())
    with Image.open(tmp_path / "palettes.png") as grid:
        assert grid.size[0] > 800
