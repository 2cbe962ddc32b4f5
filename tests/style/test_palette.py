import numpy as np
import pytest

from multisi import style
from multisi.errors import ConfigError, DataError

SOURCE = np.random.default_rng(0)
RED, BLUE, GREEN = (
    SOURCE.random((size, size + 3, 3)) * tint
    for size, tint in ((24, (1, 0.3, 0.3)), (20, (0.3, 0.3, 1)), (16, (0.3, 1, 0.3)))
)


@pytest.fixture(scope="module")
def palettes():
    return style.palette({"red": RED, "blue": BLUE, "green": GREEN}, training=400)


def test_colours_are_those_of_the_other_picture(palettes):
    assert len(palettes) == 6 and set(palettes) == {
        (a, b) for a in palettes.pictures for b in palettes.pictures if a != b
    }
    for (source, target), picture in palettes.items():
        assert picture.shape == palettes.pictures[source].shape
        np.testing.assert_allclose(
            picture.mean((0, 1)), palettes.pictures[target].mean((0, 1)), atol=0.06
        )
    with pytest.raises(KeyError, match="known: "):
        palettes["red", "red"]


def test_strength_goes_from_the_source_to_the_target(palettes):
    whole = palettes["red", "blue"]
    assert (palettes.picture("red", "blue", 0) == RED).all()
    half, inside = palettes.picture("red", "blue", 0.5), (whole > 0) & (whole < 1)
    np.testing.assert_allclose(half[inside], ((RED + whole) / 2)[inside], atol=1e-6)
    mixed = palettes.picture("red", palettes.model.barycenter)
    assert 0.3 < mixed[..., 0].mean() / RED[..., 0].mean() < 1
    for strength in (-0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="strength must be"):
            palettes.picture("red", "blue", strength)


def test_bytes_opacity_and_lists():
    small = np.rint(255 * RED).astype(np.uint8)
    opacity = np.full((*small.shape[:2], 1), 255, np.uint8)
    opacity[:5] = 0
    seen = np.concatenate([small, opacity], 2)
    found = style.palette([seen, BLUE.astype(np.float32)], training=30)
    assert found[0, 1].dtype == np.uint8 and found[1, 0].dtype == np.float32
    assert (found[0, 1][..., 3] == opacity[..., 0]).all()
    rough = style.Palettes(found.pictures, found.model, grain=True)
    assert not np.array_equal(rough[0, 1], found[0, 1])


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([RED], "At least 2 pictures"),
        ([RED, BLUE[..., 0]], r"Picture 1 must be \(h, w, 3\).*Repeat a grey picture"),
        ([RED, 2 * BLUE], r"Picture 1 .*\[0, 1\]; it has other values"),
        ({1: RED, "1": BLUE}, "Names must differ as text"),
        ([RED, (255 * BLUE).astype(int)], "Picture 1 .*got int64"),
        ({"a": RED, "b": BLUE[:1, :3]}, "'b' must have at least 8 pixels"),
        ({"a": RED, "b": np.zeros((9, 9, 4))}, "'b' must have at least 8 pixels"),
    ],
)
def test_pictures_that_cannot_be_used(pictures, message):
    with pytest.raises((ConfigError, DataError), match=message):
        style.palette(pictures, training=1)
