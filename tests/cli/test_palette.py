import numpy as np
import pytest
from PIL import Image

from multisi.cli import main

SOURCE = np.random.default_rng(0)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    red, blue = SOURCE.random((2, 20, 30, 3)) * [[[[255, 80, 80]]], [[[80, 80, 255]]]]
    opacity = np.full((20, 30, 1), 255)
    opacity[:3] = 0
    Image.fromarray(red.astype(np.uint8)).save("red.jpg")
    Image.fromarray(np.concatenate([blue, opacity], 2).astype(np.uint8)).save("blue.png")


def test_photographs_get_the_palettes_of_each_other(pictures, tmp_path, capsys):
    words = ["palette", "red.jpg", "blue.png", "--out", "out", "--steps", "200", "--quiet"]
    assert main(words) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "blue-as-barycentre.png",
        "blue-as-red.png",
        "red-as-barycentre.png",
        "red-as-blue.png",
    ]
    assert "4 pictures: out" in capsys.readouterr().out
    blue = np.asarray(Image.open("out/red-as-blue.png").convert("RGB"))
    assert blue.shape == (20, 30, 3) and blue[..., 2].mean() > 1.5 * blue[..., 0].mean()
    red = np.asarray(Image.open("out/blue-as-red.png"))
    assert red.shape == (20, 30, 4) and (red[:3, :, 3] == 0).all()


def test_without_strength_pictures_stay(pictures):
    words = ["palette", "red.jpg", "blue.png", "--out", "out", "--steps", "1", "--quiet"]
    assert main([*words, "--strength", "0"]) == 0
    whole = np.asarray(Image.open("red.jpg"))
    assert (np.asarray(Image.open("out/red-as-blue.png").convert("RGB")) == whole).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["red.jpg"], "At least 2 images"),
        (["red.jpg", "gone.png"], "'gone.png' does not exist"),
        (["red.jpg", "blue.png", "--strength", "2"], "strength must be in [0, 1]; got 2"),
        (["red.jpg", "blue.png", "--steps", "0"], "steps must be"),
    ],
)
def test_what_cannot_be_done_leaves_no_folder(pictures, tmp_path, capsys, words, message):
    assert main(["palette", *words, "--out", "out", "--quiet"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
