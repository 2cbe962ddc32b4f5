import numpy as np
import pytest
import torch

from multisi import Marginal, StandardNormal, fit, style
from multisi.errors import ConfigError, DataError, ShapeError

SOURCE = np.random.default_rng(0)


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


@pytest.mark.parametrize("told", [False, True])
def test_restoration_of_two_corruptions_by_one_model(told):
    """Squares of three sizes: what is masked or reduced is told by the rest."""
    source, random = torch.Generator().manual_seed(0), np.random.default_rng(0)
    x = np.zeros((400, 1, 8, 8), np.float32)
    for picture, side in zip(x, random.integers(1, 4, 400), strict=True):
        picture[0, 4 - side : 4 + side, 4 - side : 4 + side] = 1
    x = torch.as_tensor(x)
    corrupt = {"masked": style.Masked(0.5, fill=0.5), "small": style.Reduced(2)}
    low = {name: c(x, source) for name, c in corrupt.items()}
    model = fit(
        {**low, "clean": x},
        coupling="data-dependent",
        coupling_options={
            "made": list(corrupt),
            "of": "clean",
            "corrupt": list(corrupt.values()),
            "sigma": 0.1,
            "told": told,
        },
        steps=600,
        progress=False,
    )
    options = {"draws": 4, "sigma": 0.1, "steps": 8, "told": told}
    for name, pictures in low.items():
        draws = style.translate(model, pictures[:100], name, "clean", **options)
        error = (draws.mean(0) - x[:100]).square().mean()
        assert error < (pictures[:100] - x[:100]).square().mean() / 2
        assert not torch.equal(draws[0], draws[1])
    again = style.translate(model, pictures[:100], name, "clean", **options)
    assert torch.equal(draws, again)


class Half:
    """A codec of the means of squares."""

    def encode(self, pictures):
        return torch.nn.functional.avg_pool2d(pictures, 2)

    def decode(self, codes):
        return torch.nn.functional.interpolate(codes, scale_factor=2.0)


def test_pictures_are_moved_as_codes():
    a, b = torch.rand(2, 50, 1, 8, 8, generator=torch.Generator().manual_seed(0)).unbind()
    codec = Half()
    model = fit({"a": codec.encode(a), "b": codec.encode(b)}, steps=20, progress=False)
    moved = style.translate(model, a, "a", "b", codec=codec, steps=4)
    expected = codec.decode(model.transport(codec.encode(a), "a", "b", steps=4))
    assert torch.equal(moved, expected)
    report = style.evaluate(model, {"a": a, "b": b}, codec=codec, steps=4)
    assert 0 < report.mean("cycle_error") < 1


def test_codecs_that_cannot_be_used():
    class Broken(Half):
        def decode(self, codes):
            return codes * float("nan")

    class Short(Half):
        def decode(self, codes):
            return super().decode(codes)[:3]

    x = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    codes = Half().encode(x)
    model = fit({"a": codes, "b": codes}, steps=1, progress=False)
    for codec, error, message in (
        (Broken(), DataError, "What the codec decodes must be finite"),
        (Short(), ShapeError, "keep the number of rows, 20; got 3"),
        (object(), ConfigError, "has the methods encode and decode"),
    ):
        with pytest.raises(error, match=message):
            style.translate(model, x, "a", "b", codec=codec, steps=2)


@pytest.fixture(scope="module")
def told():
    """Dark and bright pictures of two domains, matched at random."""
    random = np.random.default_rng(0)
    shade = random.integers(0, 2, 600)
    rows = (shade[:, None, None, None] + 0.2 * random.random((600, 1, 2, 2))).astype(np.float32)
    names = np.array(["dark", "bright"])[shade]
    marginals = {"a": rows, "b": style.labelled(rows + 2, names, drop=0.2)}
    return fit(marginals, coupling="independent", steps=800, progress=False), rows, shade


def test_labels_are_told_and_lead(told):
    model, rows, shade = told
    dark = style.translate(model, rows[:200], "a", "b", label="dark", steps=8)
    bright = style.translate(model, rows[:200], "a", "b", label="bright", steps=8)
    assert abs(dark.mean() - 2.1) < 0.25 and abs(bright.mean() - 3.1) < 0.25
    free, plain, led = (
        style.translate(model, rows[:200], "a", "b", label="bright", guidance=scale, solver="heun")
        for scale in (0.0, 1.0, 1.5)
    )
    dark_before = shade[:200] == 0
    assert free[dark_before].mean() < 2.5 < plain[dark_before].mean() < led[dark_before].mean()
    several = style.translate(model, rows[:2], "a", "b", label=["dark", "bright"], steps=8)
    np.testing.assert_allclose(several[0], dark[0], atol=1e-4)
    np.testing.assert_allclose(several[1], bright[1], atol=1e-4)


def test_readers_tell_what_they_see(told):
    model, rows, shade = told
    names = np.array(["dark", "bright"])
    data = {"a": Marginal(rows, labels=shade), "b": Marginal(rows + 2, labels=shade)}
    known = {"a": lambda x: (x.mean(1) > 0.6) * 1, "b": lambda x: (x.mean(1) > 2.6) * 1}
    readers = {name: lambda x, read=read: names[read(x)] for name, read in known.items()}
    options = {"readers": readers, "solver": "heun", "steps": 8}
    report = style.evaluate(model, data, classifiers=known, **options)
    assert next(p.accuracy for p in report.pairs if p.target == "b") > 0.95
    with pytest.raises(ConfigError, match="readers must have all domains; b are missing"):
        style.evaluate(model, data, readers={"a": readers["a"]})


def test_labels_that_cannot_be_told(told, model):
    with pytest.raises(DataError, match="does not know the label 'grey'; it knows"):
        style.translate(told[0], told[1], "a", "b", label="grey")
    with pytest.raises(DataError, match="one for each of 3 rows"):
        style.translate(told[0], told[1][:3], "a", "b", label=["dark", "dark"])
    with pytest.raises(ConfigError, match="has no labels to be told"):
        style.translate(model[0], model[1][0], "a", "b", label="dark")
    with pytest.raises(ConfigError, match="Set label"):
        style.translate(told[0], told[1], "a", "b", guidance=2.0)
    x = np.zeros((4, 1, 2, 2), np.float32)
    for options, error, message in (
        (dict(drop=1), ConfigError, "drop must be less than 1"),
        (dict(classes=["a", "a"]), ConfigError, "classes must differ"),
        (dict(classes=["b"]), DataError, "label 'a' is not among the classes"),
        (dict(labels=["a"]), DataError, "one label for each of 4 pictures"),
    ):
        with pytest.raises(error, match=message):
            style.labelled(x, options.pop("labels", list("aabb")), **options)


def test_canvases(model):
    made, (a, b, c) = model
    page = style.matrix(made, {"a": a[0], "b": b[0], "c": c[0]}, steps=4)
    assert page.shape == (20, 20, 3) and page.dtype == np.uint8
    np.testing.assert_array_equal(page[2:6, 2:6, 0], np.rint(255 * a[0, 0]))
    moved = made.transport(a[:1], "a", "c", steps=4)[0, 0]
    np.testing.assert_allclose(page[2:6, 14:18, 0], 255 * moved.clip(0, 1), atol=0.6)
    page = style.triangle(made, a[0], "a", rows=3, steps=4)
    assert page.shape == (20, 20, 3)
    np.testing.assert_allclose(page[2:6, 8:12, 0], 255 * a[0, 0], atol=0.6)
    np.testing.assert_allclose(page[14:18, 14:18, 0], 255 * moved.clip(0, 1), atol=0.6)
    with pytest.raises(ConfigError, match="2 domains or more; got 1"):
        style.matrix(made, {"a": a[0]})
    with pytest.raises(ConfigError, match="three different corners"):
        style.triangle(made, a[0], "a", ["a", "b", "b"])
    with pytest.raises(ShapeError, match=r"with 1 or 3 channels; got \(4, 4\)"):
        style.triangle(made, a[0, 0], "a")


def test_shapes_forget_place_size_and_slant():
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")

    def ring(cx, cy, rx, ry, slant):
        r = (((x - cx - slant * (y - cy)) / rx) ** 2 + ((y - cy) / ry) ** 2).sqrt()
        return (-(((r - 1) * 4) ** 2)).exp()

    rings = torch.stack([ring(12, 12, 6, 6, 0), ring(9, 13, 4, 7, 0.3), ring(13, 10, 7, 5, -0.2)])
    bar = ((x - 12).abs() < 2).float() * ((y - 12).abs() < 8)
    found = style.shapes(torch.cat([rings, 1 - rings[:1], bar[None]])[:, None])
    assert found.shape == (5, 576)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(5))
    gaps = torch.cdist(found, found)
    assert gaps[0, 1:4].max() < 0.25 < 0.5 < gaps[0, 4]
    assert style.shapes(torch.zeros(2, 3, 5, 7)).isfinite().all()
    whole = (255 * rings).to(torch.uint8)
    torch.testing.assert_close(style.poses(whole), style.poses(whole.float()))
    for pictures in (torch.zeros(4, 4), torch.zeros(0, 1, 4, 4)):
        with pytest.raises(ShapeError, match=r"\(n, c, h, w\) or \(n, h, w\); got"):
            style.shapes(pictures)
    with pytest.raises(DataError, match="pictures must be finite"):
        style.poses(rings * float("nan"))


@pytest.mark.parametrize("corruption", [style.Masked(0.3), style.Blurred(1.0), style.Noisy(0.1)])
def test_corruptions(corruption):
    x = torch.rand(50, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    made = corruption(x, torch.Generator().manual_seed(0))
    assert made.shape == x.shape
    assert torch.equal(made, corruption(x, torch.Generator().manual_seed(0)))
    assert not torch.equal(made, x)
    with pytest.raises(ShapeError, match=r"must have the shape \(n, c, h, w\)"):
        corruption(x[0], torch.Generator())


def test_bad_corruptions():
    for make, message in (
        (lambda: style.Masked(1.0), "share must be between 0 and 1"),
        (lambda: style.Masked(0.5, fill=float("nan")), "fill must be a finite number"),
        (lambda: style.Reduced(1), "factor must be"),
        (lambda: style.Blurred(0.0), "spread must be"),
        (lambda: style.Noisy(-1.0), "spread must be"),
    ):
        with pytest.raises(ConfigError, match=message):
            make()
    with pytest.raises(ShapeError, match="Sides must be multiples of 2"):
        style.Reduced(2)(torch.zeros(1, 1, 3, 4), torch.Generator())
