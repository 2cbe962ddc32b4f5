import math

import numpy as np
import pytest
import torch

from multisi import Marginal, trajectories
from multisi.errors import CheckpointError, ConfigError, DataError
from multisi.files import checkpoint
from multisi.trajectories import read
from multisi.trajectories.chain import Chain
from multisi.trajectories.curves import Curve
from multisi.trajectories.growing import Growing
from multisi.trajectories.growth import Growth, base_rates, gains, learn, masses_of
from multisi.trajectories.relatives import thinned

QUICK = {"progress": False, "network_options": {"width": 64, "depth": 3}, "batch_size": 256}
TIMES, RATE, SHARE = (0.0, 0.5, 1.0, 1.5), 1.0, 0.4


def upper(t):
    """The share of the branch that grows."""
    grown = SHARE * math.exp(RATE * t)
    return grown / (grown + 1 - SHARE)


def mass(t):
    return SHARE * math.exp(RATE * t) + 1 - SHARE


def cells(n, t, seed=0):
    """Two branches that move on together; the upper one grows."""
    source = torch.Generator().manual_seed(100 * seed + round(100 * t))
    branch = torch.arange(n) < round(n * upper(t))
    x = 0.3 * torch.randn(n, 2, generator=source)
    return x + torch.stack([torch.full((n,), 2 * t), torch.where(branch, 2.0, -2.0)], 1)


@pytest.fixture(scope="module")
def snapshots():
    return {t: cells(200, t) for t in TIMES}


@pytest.fixture(scope="module")
def fitted(snapshots):
    masses = {t: mass(t) for t in TIMES}
    return trajectories.fit(snapshots, masses=masses, bend=1.0, spread=0.0, steps=600, **QUICK)


def test_rates_of_branches(fitted):
    for t in (0.5, 1.0, 1.25):
        rate, high = fitted.log_growth(cells(400, t), t), cells(400, t)[:, 1] > 0
        assert abs(rate[high].mean() - RATE) < 0.25 and abs(rate[~high].mean()) < 0.25


def test_masses_of_branches_at_times_that_were_not_seen(fitted):
    for t in (0.25, 0.75, 1.25):
        x = fitted.law(t, 4000)
        share = (x[:, 1] > 0).double().mean().item()
        assert x.shape == (4000, 2) and share == pytest.approx(upper(t), rel=0.04)
        assert fitted.mass(t) == pytest.approx(mass(t), rel=0.04)
    assert fitted.mass(0.5) == pytest.approx(mass(0.5), rel=1e-6)


def test_the_law_without_growth_has_other_shares(snapshots):
    kept = trajectories.fit(snapshots, bend=1.0, spread=0.0, steps=1, **QUICK)
    with pytest.raises(ConfigError, match="no growth"):
        kept.log_growth(snapshots[0.0], 0.0)
    with pytest.raises(ConfigError, match="no growth"):
        kept.mass(0.3)
    with pytest.raises(ConfigError, match="no growth"):
        kept.sample(snapshots[0.0], 0.0, [0.3], return_growth=True)


def test_growth_along_a_way_is_the_integral_of_the_rate(fitted):
    x = cells(50, 0.5)
    times = np.linspace(0.5, 1.0, 65)
    states, gained = fitted.sample(x, 0.5, times, return_growth=True, steps=64)
    rates = torch.stack([fitted.log_growth(s, t) for s, t in zip(states, times, strict=True)])
    exact = (rates[1:-2] + rates[2:-1]).sum(0) / 256 + (rates[1] + rates[-2]) / 128
    assert torch.allclose(gained[-1], exact, atol=0.01)
    assert torch.equal(gained[0], torch.zeros(50).double())
    back = fitted.sample(states[-1], 1.0, [0.5], return_growth=True)[1][0]
    assert torch.allclose(back, -gained[-1], atol=1e-3)


def test_descendants_count_by_mass(fitted, snapshots):
    plan = fitted.descendants(snapshots[0.0], 0.0, 1.5)
    assert plan.shape == (200, 200) and torch.allclose(plan.sum(1), torch.ones(200).double())
    low = cells(200, 0.0)[:, 1] < 0
    assert plan[low][:, :40].sum() < 0.05 * low.sum()


def test_pairs_keep_the_laws_of_both_ends():
    known = read({t: cells(150, t) for t in TIMES})
    growth = learn(known, [mass(t) for t in TIMES])
    chain = Chain.of(known, 0, gains(growth, known))
    coupling = Growing(chain, [torch.zeros(150, 2)] * 4, 0.0)
    for s, end in ((0.0, 1), (1.0, 2)):
        path = Curve(TIMES, 0.5, 1.0)(torch.tensor([s], dtype=torch.float64))
        xs, told = coupling.sample_at(path.expand(20_000, -1), seed=0, step=0)
        drawn = xs[:, end] if s in (0.0, 1.0) else None
        share = (drawn[:, 1] > 0).double().mean().item()
        assert told is None and share == pytest.approx(upper(TIMES[end]), abs=0.02)


def test_base_rates_meet_the_masses():
    known = read({t: cells(150, t) for t in TIMES})
    growth = learn(known, [mass(t) for t in TIMES])
    growth.coefficients = torch.randn(len(growth.coefficients), dtype=torch.float64)
    growth.base = base_rates(growth, known)
    for k, (ahead, back) in enumerate(gains(growth, known)):
        half = float(growth.base[k]) * 0.25
        there = math.log(mass(TIMES[k])) + half + float(ahead.logsumexp(0)) - math.log(150)
        here = math.log(mass(TIMES[k + 1])) - half + float(back.logsumexp(0)) - math.log(150)
        assert there == pytest.approx(here)
    assert growth.between(0.25, 1.25) == pytest.approx(-growth.between(1.25, 0.25))


def test_growth_does_not_depend_on_the_unit_of_time():
    hours = {24 * t: cells(200, t) for t in TIMES}
    days = {t: cells(200, t) for t in TIMES}
    one, other = (learn(read(x), [mass(t) for t in TIMES]) for x in (hours, days))
    rate = one(days[1.0], 24.0), other(days[1.0], 1.0)
    assert torch.allclose(24 * rate[0], rate[1], rtol=1e-4, atol=1e-6)


def test_masses_are_given_or_counted(snapshots):
    known = read({0: cells(100, 0.0), 1: cells(300, 1.0)})
    assert masses_of("counts", known) == [100.0, 300.0]
    assert masses_of({1: 2, 0.0: 1.5}, known) == [1.5, 2.0]
    for masses in ({0: 1}, {0: 1, 1: 0}, {0: 1, 1: math.nan}, {0: 1, 1: "a"}, {0: 1, 2: 1}):
        with pytest.raises(DataError, match="masses"):
            masses_of(masses, known)
    for masses in (3, "rows", [1, 2]):
        with pytest.raises(ConfigError, match="masses must be a mapping"):
            masses_of(masses, known)


def test_a_file_keeps_the_growth(fitted, snapshots, tmp_path):
    path = tmp_path / "cells.safetensors"
    fitted.save(path)
    back = trajectories.load(path, snapshots)
    x = cells(20, 0.7)
    assert torch.equal(back.log_growth(x, 0.7), fitted.log_growth(x, 0.7))
    assert back.mass(0.3) == fitted.mass(0.3)
    with pytest.raises(ConfigError, match="snapshots"):
        trajectories.load(path).mass(0.3)
    tensors, told = checkpoint.read(path)
    del tensors["growth.0.base"]
    checkpoint.write(path, tensors, told)
    with pytest.raises(CheckpointError, match="damaged"):
        trajectories.load(path)


def test_weights_count_in_growth():
    weighted = {
        t: Marginal(cells(150, 1.0), weights=(cells(150, 1.0)[:, 1] > 0) * t + 0.5)
        for t in (0.0, 1.0)
    }
    growth = learn(read(weighted), [1.0, 1.0])
    assert isinstance(growth, Growth) and torch.isfinite(growth(cells(9, 1.0), 0.5)).all()


def test_rows_as_often_as_their_mass_asks():
    counts = torch.bincount(
        thinned(torch.tensor([1.0, 2.0, 5.0]).log(), 800, torch.Generator().manual_seed(0))
    )
    assert (counts - torch.tensor([100, 200, 500])).abs().max() <= 1


def test_the_picture_has_a_map_of_growth(fitted):
    assert trajectories.ways(fitted)[1:4] == b"PNG"


def test_snapshots_of_equal_rows():
    same = {0: torch.ones(900, 2), 1: 2 * torch.ones(50, 2)}
    found = trajectories.fit(same, masses={0: 1.0, 1: 2.0}, steps=2, **QUICK)
    rate = found.log_growth(torch.ones(3, 2), 0.5)
    assert torch.allclose(rate, torch.full((3,), math.log(2)).double())


def test_options_that_laws_set_already(fitted, snapshots):
    with pytest.raises(ConfigError, match="return_growth cannot be an option"):
        fitted.law(0.5, 9, return_growth=True)
    with pytest.raises(ConfigError, match="return_growth cannot be an option"):
        fitted.descendants(snapshots[0.0], 0.0, 1.0, return_growth=True)
    with pytest.raises(ConfigError, match="return_growth must be"):
        fitted.sample(snapshots[0.0], 0.0, [1.0], return_growth="yes")
    assert fitted.law(0.9, 1).shape == (1, 2)


def test_growth_with_noise(snapshots):
    masses = {t: mass(t) for t in TIMES}
    found = trajectories.fit(
        snapshots, masses=masses, score=True, bend=1.0, spread=0.0, steps=600, **QUICK
    )
    x = found.law(0.75, 2000, noise=0.5)
    share = (x[:, 1] > 0).double().mean().item()
    assert share == pytest.approx(upper(0.75), rel=0.06)
