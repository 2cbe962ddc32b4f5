import math

import numpy as np
import pytest

from multisi.style import colours as palettes
from multisi.style.colours import Lattice, Look, calmed


@pytest.fixture(params=[255, 64])
def cells(request, monkeypatch):
    if request.param == 64:
        monkeypatch.setattr(palettes, "_CORNERS", 0)
    return request.param


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
def test_a_linear_map_is_exact_between_corners(cells, kind):
    rows = np.random.default_rng(0).integers(0, 256, (500, 3)).astype(np.uint8)
    rows[0], rows[1] = 0, 255
    rows = rows if kind is np.uint8 else (rows / 255).astype(np.float32)
    unit = rows / (255 if kind is np.uint8 else 1)
    turn = np.array([[0.3, -1, 0], [2, 0.1, 0.5], [0, 0, 1]])
    lattice = Lattice(rows[:200], rows[200:])
    assert lattice.cells == cells
    assert len(lattice.corners) <= (500 if cells == 255 else 8 * 500)
    (found,) = lattice.between(lattice.corners @ turn + 0.1, rows)
    assert found.dtype == np.float32
    assert np.allclose(found, unit @ turn + 0.1, atol=1e-4)


def test_a_curved_map_errs_by_the_square_of_a_cell(cells):
    rows = np.random.default_rng(0).random((1000, 3))
    lattice = Lattice(rows)
    (found,) = lattice.between(np.sin(3 * lattice.corners), rows)
    assert np.abs(found - np.sin(3 * rows)).max() <= 9 / (8 * cells**2) + 1e-4


def test_any_map_is_exact_for_few_colours_of_8_bits():
    rows = np.random.default_rng(0).integers(0, 256, (500, 3)).astype(np.uint8)
    lattice = Lattice(rows, rows[:9] / np.float32(255))
    values = np.random.default_rng(1).random((len(lattice.corners), 3))
    places = {
        tuple(np.rint(c * 255).astype(int)): v
        for c, v in zip(lattice.corners, values, strict=True)
    }
    exact = [places[tuple(row)] for row in rows.astype(int)]
    assert np.allclose(lattice.between(values, rows)[0], exact, atol=1e-6)


def test_only_the_corners_of_occupied_cells_are_used(cells):
    rows = np.full((10_000, 3), 0.5123)
    assert len(Lattice(rows).corners) == 8
    assert np.allclose(Lattice(rows).corners.mean(0), (np.floor(0.5123 * cells) + 0.5) / cells)


def test_noise_of_even_parts_is_calmed_and_edges_are_not(monkeypatch):
    random = np.random.default_rng(0)
    before = np.full((60, 50, 3), 0.4, np.float32)
    before[:, 25:] = 0.9
    assert np.allclose(calmed(before, before + 0.1), before + 0.1, atol=1e-6)
    noisy = before + random.normal(size=before.shape).astype(np.float32) / 255
    loud = 10 * (noisy - before) + before
    half = calmed(noisy, loud, (3 / 8, 1e-3))
    assert half[:, :20].std() == pytest.approx(10 / 255 * 5 / 8, rel=0.15)
    assert calmed(noisy, loud)[:, :20].std() < 2 / 255
    for calm in ((3 / 8, 1e-3), (1.0, 2e-3)):
        edge = calmed(before, before**2, calm)
        assert np.abs(edge - before**2).max() < 20 * calm[1]
    whole = calmed(noisy, noisy**2)
    monkeypatch.setattr(palettes, "_CHUNK", 350)
    assert np.allclose(calmed(noisy, noisy**2), whole, atol=1e-6)
    levels = np.rint(before * 255).astype(np.uint8)
    after = random.random((60, 50, 3)).astype(np.float32)
    assert np.allclose(calmed(levels, after), calmed(levels / np.float32(255), after))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_small_pictures_are_calmed(size):
    before = np.random.default_rng(0).random((*size, 3)).astype(np.float32)
    assert calmed(before, before**2).shape == (*size, 3)


def test_looks():
    before = np.random.default_rng(0).random((30, 40, 3)).astype(np.float32)
    same = Look.of(before, before)
    assert same.structure == pytest.approx(1) and same.gradient == same.colours == 1
    assert same.outside == 0
    half = Look.of(before, before / 2 - 0.25)
    assert half.outside == pytest.approx(0.5, abs=0.05)
    assert half.structure < 0.9 and half.gradient < 0.5 and half.colours < 0.7
    even = Look.of(before[:5] * 0, before[:5])
    assert math.isnan(even.structure) and math.isnan(even.gradient)
    mean = Look.mean([same, even])
    assert mean.structure == same.structure and mean.colours == (1 + even.colours) / 2
    assert math.isnan(Look.mean([even]).structure)
