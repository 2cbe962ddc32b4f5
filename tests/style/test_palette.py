import numpy as np
import pytest

from multisi import Marginal, StandardNormal, fit, style
from multisi.errors import ConfigError, DataError, ShapeError

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


@pytest.fixture(scope="module")
def model():
    a, b, c = (SOURCE.random((60, 1, 4, 4)).astype(np.float32) / 2 + k / 4 for k in range(3))
    return fit({"a": a, "b": b, "c": c}, steps=200, progress=False, coupling="ot"), (a, b, c)


def test_pictures_come_out_as_they_went_in(model):
    made, (a, *_) = model
    moved = style.translate(made, a, "a", "b", steps=8)
    assert isinstance(moved, np.ndarray) and moved.shape == a.shape
    last = style.translate(made, np.moveaxis(a, 1, -1), "a", "b", steps=8)
    np.testing.assert_allclose(np.moveaxis(last, -1, 1), moved)
    small = style.translate(made, np.rint(255 * a).astype(np.uint8), "a", "b", steps=8)
    assert small.dtype == np.uint8 and np.abs(small / 255 - moved).max() < 0.02
    noisy = fit({"noise": StandardNormal(), "a": a, "b": a + 1}, steps=3, progress=False)
    drawn = style.translate(noisy, a, "a", "b", draws=3, noise=1.0, steps=4, seed=0)
    assert drawn.shape == (3, *a.shape) and not np.array_equal(drawn[0], drawn[1])
    with pytest.raises(ConfigError, match="draws need noise"):
        style.translate(made, a, "a", "b", draws=3)
    with pytest.raises(DataError, match=r"must be uint8 or floats; got torch\.int64"):
        style.translate(made, a.astype(int), "a", "b")
    with pytest.raises(ShapeError, match=r"pictures \(1, 4, 4\), \(c, h, w\); got the shape"):
        style.translate(made, a[:, :, :3], "a", "b")


def test_directions_are_judged(model):
    made, parts = model
    labels = [(x.mean((1, 2, 3)) > np.median(x.mean((1, 2, 3)))).astype(int) for x in parts]
    data = {n: Marginal(x, labels=y) for n, x, y in zip("abc", parts, labels, strict=True)}
    report = style.evaluate(made, data, train=data, paired=True, steps=8)
    assert len(report.pairs) == 6
    assert report.mean("cycle_error") < 0.1 and report.mean("accuracy") > 0.5
    through = style.evaluate(made, data, via=made.barycenter, steps=8)
    assert np.isnan(through.mean("paired_error")) and np.isnan(through.mean("accuracy"))
    assert through.mean("composition") < 0.1 * report.mean("composition") + 1e-3
    text = str(report)
    assert "energy_distance" in text and "mean" in text
    assert report.to_dict()["means"]["accuracy"] == report.mean("accuracy")


def test_what_cannot_be_judged(model):
    made, (a, b, _) = model
    with pytest.raises(ConfigError, match="2 domains or more"):
        style.evaluate(made, {"a": a})
    with pytest.raises(DataError, match=r"as many rows; got \[60, 50\]"):
        style.evaluate(made, {"a": a, "b": b[:50]}, paired=True)
    with pytest.raises(ConfigError, match="train must have all domains; b are missing"):
        style.evaluate(made, {"a": a, "b": b}, train={"a": Marginal(a)})
    for few in (a[:3], np.ones_like(a)):
        with pytest.raises(DataError, match="'b' must have 4 pictures or more, not all alike"):
            style.evaluate(made, {"a": a, "b": few})
    with pytest.raises(DataError, match="A classifier needs labels"):
        style.evaluate(made, {"a": a, "b": b}, train={"a": Marginal(a), "b": Marginal(b)})
