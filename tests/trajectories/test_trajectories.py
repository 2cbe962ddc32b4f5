import datetime

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

import multisi
from multisi import Marginal, trajectories
from multisi.errors import CheckpointError, ConfigError, DataError, ScoreError
from multisi.trajectories import read
from multisi.trajectories.chain import Chain
from multisi.trajectories.choice import choose, states, with_spread
from multisi.trajectories.coupling import Curved
from multisi.trajectories.curves import Curve, slope_weights, spread_at
from multisi.trajectories.slopes import slopes

QUICK = {"progress": False, "network_options": {"width": 64, "depth": 3}, "batch_size": 256}
TIMES = (0.0, 0.25, 0.5, 0.75, 1.0)


def turning(n, t, seed=0):
    """Cells on a circle that turns and grows, which straight lines cut."""
    source = torch.Generator().manual_seed(100 * seed + round(100 * t))
    x = 0.3 * torch.randn(n, 2, generator=source)
    angle = torch.tensor(4.0 * t)
    return x + 3 * torch.stack([angle.cos(), angle.sin()])


@pytest.fixture(scope="module")
def fitted():
    data = {t: turning(600, t) for t in TIMES}
    return trajectories.fit(data, steps=800, **QUICK)


def test_curves_are_those_of_the_spline():
    from scipy.interpolate import CubicSpline

    times, x = [0.0, 1.0, 1.5, 4.0], torch.randn(4, 3, dtype=torch.float64)
    exact = CubicSpline(times, x.numpy(), bc_type="natural")
    slope = slope_weights(times) @ x
    widths = torch.tensor(times).diff()[:, None]
    controls = torch.stack([x[:-1] + widths * slope[:-1] / 3, x[1:] - widths * slope[1:] / 3], 1)
    corners = torch.cat([x, controls.flatten(0, 1)])
    t = torch.linspace(0, 1, 41, dtype=torch.float64)
    path = Curve(times, 0.0, 4.0)
    assert (path(t) >= 0).all() and torch.allclose(path(t).sum(1), torch.ones(41).double())
    assert np.allclose(path(t) @ corners, exact(4 * t.numpy()))
    back = Curve(times, 4.0, 1.0)
    assert np.allclose(back(t) @ corners, exact(4 - 3 * t.numpy()))
    assert back.knots == (0.0, pytest.approx(2.5 / 3), 1.0)


def test_chains_keep_the_laws_and_weights_of_snapshots():
    x = turning(300, 0.0)
    weighted = Marginal(turning(400, 0.5), weights=torch.arange(400.0))
    chain = Chain.of(read({0: x, 0.5: weighted, 1: turning(200, 1.0)}))
    rows = chain.rows(40_000, torch.Generator().manual_seed(0))
    counts = torch.bincount(rows[:, 1], minlength=400) / 40_000
    assert torch.allclose(counts, torch.arange(400.0) / torch.arange(400.0).sum(), atol=2e-3)
    for column, size in zip(rows.unbind(1), (300, 400, 200), strict=True):
        assert column.min() >= 0 and column.max() == size - 1
    straight = chain.take(rows)
    cost = (straight[:, 1] - straight[:, 0]).square().sum(1).mean()
    assert cost < 1.02 * (straight[:, 1].mean(0) - straight[:, 0].mean(0)).square().sum() + 0.05


def test_large_snapshots_are_matched_in_blocks(monkeypatch):
    monkeypatch.setattr("multisi.trajectories.chain._WHOLE", 100)
    monkeypatch.setattr("multisi.trajectories.chain._BLOCK", 128)
    chain = Chain.of(read({0: turning(500, 0.0), 1: turning(431, 0.25)}))
    rows = chain.rows(20_000, torch.Generator().manual_seed(0))
    assert len(rows[:, 1].unique()) == 431 and len(rows[:, 0].unique()) == 500


def test_what_is_lost_halfway_is_made_up_for():
    source = torch.Generator().manual_seed(0)
    data = {t: torch.randn(800, 12, generator=source) for t in (0, 1)}
    chain = Chain.of(read(data))
    bare = Curved(chain, [torch.zeros(800, 12)] * 2, 0.0)
    traces = [
        states(with_spread(bare, 0.0, spread), 0.5, 4000, 0).T.cov().trace()
        for spread in (0.0, 1.0)
    ]
    assert traces[0] < 11 and abs(traces[1] - 12) < 0.5
    assert spread_at(torch.tensor(0.5)).item() == pytest.approx(9 / 32)


def test_the_bend_is_chosen_by_times_left_out():
    assert choose(read({t: turning(300, t) for t in TIMES}))[0] == 1
    source = torch.Generator().manual_seed(0)
    rough = {t: torch.randn(300, 2, generator=source) + (-1) ** k for k, t in enumerate(TIMES)}
    assert choose(read(rough))[0] == 0
    assert choose(read({0: turning(9, 0.0), 1: turning(9, 1.0)})) == (0.5, 1.0)


def test_laws_at_times_that_were_not_seen(fitted):
    for t in (0.125, 0.375, 0.9):
        moved, fresh = fitted.law(t, 600), turning(600, t, seed=1)
        assert (moved.mean(0) - fresh.mean(0)).norm() < 0.2
        assert multisi.metrics.energy_distance(moved, fresh) < 0.05
    assert torch.equal(fitted.law(0.375, 50, seed=3), fitted.law(0.375, 50, seed=3))


def test_states_forward_and_backward_in_any_order(fitted):
    x = turning(200, 0.5)
    moved = fitted.sample(x, 0.5, [1.0, 0.25, 0.5, 0.6])
    assert moved.shape == (4, 200, 2) and torch.equal(moved[2], x)
    for t, state in zip((1.0, 0.25, 0.5, 0.6), moved, strict=True):
        assert (state.mean(0) - turning(2000, t, 1).mean(0)).norm() < 0.2
    assert torch.allclose(fitted.sample(moved[0], 1.0, [0.5])[0], x, atol=0.05)
    arrays = fitted.sample(x.numpy(), 0.5, [0.75])
    assert isinstance(arrays, np.ndarray) and arrays.shape == (1, 200, 2)


def test_the_velocity_is_that_of_the_states(fitted):
    x = turning(100, 0.25)
    near = fitted.sample(x, 0.25, [0.26], steps=64)[0]
    velocity = fitted.velocity(x, 0.25)
    assert torch.allclose((near - x) / 0.01, velocity, atol=1.5)
    assert torch.allclose(velocity.mean(0), torch.tensor([-10.1, 6.5]), atol=1.5)


def test_ancestors_and_descendants():
    def branching(n, t):
        side = torch.arange(n) % 2
        move = torch.stack([torch.full((n,), 4.0 * t), (2.0 * side - 1) * (1 + 2 * t)], 1)
        source = torch.Generator().manual_seed(round(10 * t))
        x = move + 0.2 * torch.randn(n, 2, generator=source)
        return Marginal(x, labels=["up" if s else "down" for s in side.tolist()])

    data = {t: branching(200, t) for t in (0.0, 1.0, 2.0)}
    found = trajectories.fit(data, steps=200, **QUICK)
    x = data[0.0].samples
    shares = found.descendants(x, 0.0, 2.0)  # Of "down" and "up".
    assert shares.shape == (200, 2) and torch.allclose(shares.sum(1), torch.ones(200).double())
    assert (shares[::2, 0] > 0.99).float().mean() > 0.95
    back = found.ancestors(data[2.0].samples, 2.0, 0.0)
    assert (back[1::2, 1] > 0.99).float().mean() > 0.95
    with pytest.raises(ConfigError, match="at must be the time of a snapshot"):
        found.descendants(x, 0.0, 1.5)


def test_noise_has_the_laws_of_the_flow():
    data = {t: turning(600, t) for t in (0.0, 0.25, 0.5)}
    found = trajectories.fit(data, score=True, steps=1200, **QUICK)
    x = turning(600, 0.0)
    ends = [found.sample(x, 0.0, [0.5], noise=noise, seed=0)[0] for noise in (0.0, 1.0)]
    for end in ends:
        assert multisi.metrics.energy_distance(end, turning(600, 0.5, 1)) < 0.05
    kept = [((x - x.mean(0)) * (end - end.mean(0))).mean() for end in ends]
    assert kept[1] < 0.8 * kept[0]


def test_a_file_of_a_trajectory(fitted, tmp_path):
    file, x = tmp_path / "cells.safetensors", turning(50, 0.0)
    fitted.save(file)
    again = trajectories.load(file)
    assert again.times == fitted.times
    assert torch.equal(again.sample(x, 0.0, [0.3]), fitted.sample(x, 0.0, [0.3]))
    with pytest.raises(ConfigError, match="load it with them"):
        again.law(0.3, 10)
    data = {t: turning(600, t) for t in TIMES}
    assert torch.equal(again.law(0.3, 10, samples=data), fitted.law(0.3, 10))
    assert torch.equal(trajectories.load(file, data).law(0.3, 10), fitted.law(0.3, 10))
    plain = multisi.fit({"a": x, "b": x}, steps=1, **QUICK)
    plain.save(file)
    with pytest.raises(CheckpointError, match="a model, and no trajectory"):
        trajectories.load(file)


def test_times_left_out_in_turn():
    data = {t: turning(150, t) for t in TIMES}
    found = trajectories.leave_one_out(data, [0.5], steps=300, **QUICK)
    assert found.mean() < found.mean("plan midpoint")
    assert found.mean("halves", "energy_distance") < 0.05
    assert "plan midpoint" in str(found) and len(str(found).splitlines()) == 6
    with pytest.raises(DataError, match="must lie between others"):
        trajectories.leave_one_out(data, [0.0])


def cells():
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.0, (90, 20))
    obs = pd.DataFrame({"day": np.repeat([0.0, 2.0, 7.0], 30), "kind": ["x", "y", "z"] * 30})
    obs.index = obs.index.map(str)
    data = anndata.AnnData(sparse.csr_matrix(counts), obs=obs)
    data.obsm["X_pca"] = rng.normal(size=(90, 3)) + obs[["day"]].to_numpy()
    return data


def test_snapshots_of_annotated_data_and_tables(tmp_path):
    data = cells()
    found = read(data, time="day", label="kind")
    assert found.times == (0.0, 2.0, 7.0) and found.marginals[0].event_shape == (3,)
    assert found.marginals[1].labels is not None
    data.write_h5ad(tmp_path / "cells.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    again = read(backed, time="day")
    assert torch.equal(again.samples[2], found.samples[2])
    table = pd.DataFrame(data.obsm["X_pca"], columns=list("uvw")).assign(
        day=data.obs["day"].values
    )
    fitted = trajectories.fit(table, time="day", steps=1, **QUICK)
    assert fitted.model.features == ("u", "v", "w")
    moved = fitted.sample(table[["u", "v", "w"]][:5], 0.0, [1.0])
    assert np.asarray(moved).shape == (1, 5, 3)
    for bad, options, words in (
        (data, {"time": "day", "embedding": "X_umap"}, "obsm has no 'X_umap'; it has 'X_pca'"),
        (data, {"time": "hour"}, "time must be one of the columns 'day', 'kind'; got 'hour'"),
        (data, {}, "time must be one of the columns"),
        (data, {"time": "day", "label": "type"}, "label must be one of the columns"),
        (table, {"time": "day", "embedding": "X_pca"}, "embedding is for AnnData"),
    ):
        with pytest.raises(ConfigError, match=words):
            read(bad, **options)


def test_dates_and_orders_of_times():
    x = np.random.default_rng(0).normal(size=(9, 2))
    dates = [datetime.date(2026, 3, day) for day in (20, 1, 6)]
    assert read(dict.fromkeys(dates, x)).times == (0.0, 5.0, 19.0)
    assert read({3: x, 1: x + 1, 2: x}).times == (1.0, 2.0, 3.0)
    assert read({"3": x, "1": x}).times == (1.0, 3.0)


X = np.random.default_rng(0).normal(size=(9, 2))


def test_what_a_trajectory_refuses(fitted):
    x = turning(5, 0.0)
    for time in (-0.1, 1.5, float("nan"), "noon"):
        with pytest.raises(ConfigError, match="times must lie between 0 and 1"):
            fitted.sample(x, 0.0, [time])
        with pytest.raises(ConfigError, match="times must"):
            fitted.law(time, 5)
    with pytest.raises(ConfigError, match="got none"):
        fitted.sample(x, 0.0, [])
    with pytest.raises(ScoreError, match="noise > 0 needs the score"):
        fitted.sample(x, 0.0, [0.3], noise=0.5)
    data = {t: turning(20, t) for t in TIMES}
    with pytest.raises(ConfigError, match="coupling cannot be an option here"):
        trajectories.fit(data, coupling="ot")
    for bend in (1.5, -1, "curved"):
        with pytest.raises(ConfigError, match="bend must"):
            trajectories.fit(data, bend=bend)


def test_the_unit_and_the_origin_of_times_do_not_matter():
    x = {t: turning(60, t) for t in TIMES}
    plain = trajectories.fit(x, steps=3, **QUICK)
    for unit, origin in ((1e-9, 0.0), (2.0**40, 0.0), (1.0, 2.0**30)):
        moved = trajectories.fit({origin + unit * t: y for t, y in x.items()}, steps=3, **QUICK)
        law = moved.law(origin + unit * 0.375, 20)
        assert torch.allclose(law, plain.law(0.375, 20), atol=1e-4)
        velocity = moved.velocity(law, origin + unit * 0.375) * unit
        assert torch.allclose(velocity, plain.velocity(law, 0.375), atol=1e-2)


def test_options_that_are_set_already(fitted):
    x = turning(5, 0.0)
    for name in ("grid", "path", "return_path"):
        with pytest.raises(ConfigError, match=f"{name} cannot be an option here"):
            fitted.sample(x, 0.0, [1.0], **{name: None})
    with pytest.raises(DataError, match="must have the times of the trajectory"):
        fitted.law(0.5, 5, samples={0: X, 7: X})
    with pytest.raises(ConfigError, match="earlier for ancestors"):
        fitted.ancestors(x, 0.0, 1.0)
    assert fitted.descendants(x[:0], 0.0, 1.0).shape == (0, 600)
    for at in ("noon", [1.0]):
        with pytest.raises(ConfigError, match="times must lie"):
            fitted.descendants(x, 0.0, at)
    assert len(fitted.sample(x, 0.0, torch.tensor([0.5, 1.0]))) == 2


def test_columns_that_are_there_twice():
    table = pd.DataFrame(np.c_[X, X[:, :1]], columns=["u", "t", "t"])
    for time in ("t", ["u"]):
        with pytest.raises(ConfigError, match="time must be one of the columns"):
            read(table, time=time)
    dates = [pd.Timestamp(2026, 1, day, tz="Europe/Berlin") for day in (1, 3)]
    assert read(dict.fromkeys(dates, X)).times == (0.0, 2.0)


def test_slopes_are_means_over_neighbours():
    chain = Chain.of(read({t: turning(300, t) for t in TIMES}))
    found = slopes(chain)
    assert [len(each) for each in found] == [300] * 5
    assert torch.allclose(found[2].mean(0), torch.tensor([-10.9, -5.0]), atol=1.0)
    assert found[2].std(0).max() < 1.0


@pytest.mark.parametrize("backed", [False, True])
def test_velocities_in_a_copy_of_an_anndata(tmp_path, backed):
    table = pd.DataFrame(
        {"day": np.repeat([0, 1, 2], 30), "kind": pd.Categorical(["a", "b", "c"] * 30)}
    ).rename(index=str)
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(1.0, (90, 7)))
    data = anndata.AnnData(counts.astype(np.float32), obs=table)
    data.var["gene"] = list("ABCDEFG")
    data.obsm["X_pca"] = torch.cat([turning(30, t) for t in (0.0, 0.25, 0.5)]).numpy()
    data.obsm["X_umap"] = np.ones((90, 2))
    data.uns["note"] = "kept"
    data.write_h5ad(tmp_path / "cells.h5ad")
    data = anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r" if backed else None)
    before = (tmp_path / "cells.h5ad").read_bytes()
    masses = {0: 1.0, 1: 1.2, 2: 1.5}
    found = trajectories.fit(data, time="day", masses=masses, steps=2, **QUICK)
    told = trajectories.annotate(found, data, time="day")
    told.write_h5ad(tmp_path / "out.h5ad")
    back = anndata.read_h5ad(tmp_path / "out.h5ad")
    assert (tmp_path / "cells.h5ad").read_bytes() == before
    assert list(back.obs.columns) == ["day", "kind", "log_growth"] and back.uns["note"] == "kept"
    assert list(back.var["gene"]) == list("ABCDEFG") and (back.X != counts).nnz == 0
    assert set(back.obsm) == {"X_pca", "X_umap", "X_pca_velocity"}
    here = (table["day"] == 1).to_numpy()
    rows = np.asarray(data.obsm["X_pca"][here], np.float64)
    assert np.allclose(back.obsm["X_pca_velocity"][here], found.velocity(rows, 1.0), atol=1e-5)
    for wrong, words in (
        ({"time": "hour"}, "one of the columns"),
        ({"time": "day", "embedding": "p"}, "obsm"),
    ):
        with pytest.raises(ConfigError, match=words):
            trajectories.annotate(found, data, **wrong)
    with pytest.raises(ConfigError, match="must be an AnnData"):
        trajectories.annotate(found, table, time="day")


def test_dates_wherever_there_are_times(tmp_path):
    days = [datetime.date(2026, 1, day) for day in (1, 4, 9)]
    data = {day: turning(60, t) for day, t in zip(days, (0.0, 0.25, 0.5), strict=True)}
    masses = pd.Series([1.0, 1.2, 1.4], index=days)
    found = trajectories.fit(data, masses=masses, steps=2, **QUICK)
    x = data[days[0]]
    assert torch.equal(
        found.sample(x, days[0], [days[2], "2026-01-03"]), found.sample(x, 0, [8.0, 2.0])
    )
    assert found.mass("2026-01-04") == pytest.approx(1.2)
    found.save(tmp_path / "cells.safetensors")
    back = trajectories.load(tmp_path / "cells.safetensors", data)
    assert back.mass(days[1]) == found.mass(3)
    table = trajectories.leave_one_out(data, [days[1]], masses=masses, steps=2, **QUICK)
    assert list(table.figures) == [3.0]
    with pytest.raises(ConfigError, match="days since 2026-01-01"):
        found.law("2026-02-01", 5)
    late = anndata.AnnData(obs=pd.DataFrame({"day": days[1:2] * 9}, index=list("abcdefghi")))
    late.obsm["X_pca"] = x[:9].numpy()
    told = trajectories.annotate(found, late, time="day")
    assert np.allclose(told.obs["log_growth"], found.log_growth(x[:9], 3.0))
    numbers = trajectories.fit({0: X, 1: X + 1}, steps=2, **QUICK)
    with pytest.raises(DataError, match="these cells have dates"):
        trajectories.annotate(numbers, late, time="day")
    late.obs["day"] = [0.0, None] * 4 + [1.0]
    with pytest.raises(DataError, match="4 rows have no time"):
        trajectories.annotate(numbers, late, time="day")
    with pytest.raises(ConfigError, match="time must be one of the columns"):
        trajectories.annotate(numbers, late, time=["day"])


def test_dates_in_arrays():
    days = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-04"])
    data = {day: turning(30, 0.1 * i) for i, day in enumerate(days)}
    found = trajectories.fit(data, steps=1, **QUICK)
    x = turning(5, 0.0)
    exact = found.sample(x, 0, [0, 1, 3])
    for times in (days, days.to_series(), days.to_numpy(), list(days), days.to_numpy("M8[D]")):
        assert torch.equal(found.sample(x, days[0], times), exact)
    for one in (days[1], days[1].to_datetime64(), days[1].date(), "2026-01-02", 1):
        assert torch.allclose(found.sample(x, days[0], one), exact[1:2], atol=1e-2)
    for left in (days[1:2], days[1], "2026-01-02", 1.0):
        assert list(trajectories.leave_one_out(data, left, steps=1, **QUICK).figures) == [1.0]


def test_labels_are_in_the_order_of_their_text():
    source, names = np.random.default_rng(0), ("alpha", "beta", "gamma")
    parts = [
        pd.DataFrame(source.normal(size=(20, 2)) + 20 * k, columns=["u", "v"]).assign(t=t, kind=n)
        for t in (0, 1)
        for k, n in enumerate(names)
    ]
    table = pd.concat(parts, ignore_index=True)
    found = trajectories.fit(table, time="t", label="kind", steps=1, **QUICK)
    assert found.labels == names
    start = table[table["t"] == 0][["u", "v"]].to_numpy()
    told = found.ancestors(start, 1, 0)
    assert (
        told.shape == (60, 3) and (told.argmax(1) == torch.arange(3).repeat_interleave(20)).all()
    )
