import numpy as np
import pandas as pd
import pytest
import torch

from multisi import Marginal, trajectories
from multisi.errors import ConfigError, DataError, MultisiError
from multisi.trajectories import read
from multisi.trajectories.conditions import rounded
from multisi.trajectories.groups import groups, only

QUICK = {"progress": False, "network_options": {"width": 64, "depth": 3}, "batch_size": 256}
DOSES = (0.0, 1.0, 2.0)


def cells(n, t, dose, seed=0):
    """Cells that move to the right, and up as fast as the dose."""
    source = torch.Generator().manual_seed(1000 * seed + round(100 * t + 10 * dose))
    return 0.3 * torch.randn(n, 2, generator=source) + torch.tensor([2 * t, 1.5 * t * dose])


@pytest.fixture(scope="module")
def snapshots():
    """Controls at first, and then three doses."""
    later = {}
    for t in (0.5, 1.0):
        x = torch.cat([cells(150, t, dose) for dose in DOSES])
        later[t] = Marginal(x, condition=torch.tensor(DOSES).repeat_interleave(150)[:, None])
    return {0.0: cells(200, 0.0, 0.0), **later}


@pytest.fixture(scope="module")
def fitted(snapshots):
    return trajectories.fit(snapshots, steps=600, spread=0.0, bend=0.5, **QUICK)


def test_each_dose_has_a_law_of_its_own(fitted):
    for dose in DOSES:
        x = fitted.law(0.75, 600, condition=[dose])
        assert (x.mean(0) - torch.tensor([1.5, 1.125 * dose])).norm() < 0.15
        moved = fitted.sample(cells(200, 0.0, 0.0), 0.0, [1.0], condition=[dose])[0]
        assert (moved.mean(0) - torch.tensor([2.0, 1.5 * dose])).norm() < 0.15
        velocity = fitted.velocity(moved, 0.99, condition=[dose]).mean(0)
        assert (velocity - torch.tensor([2.0, 1.5 * dose])).norm() < 0.6


def test_doses_between_are_moved_too(fitted):
    moved = fitted.sample(cells(200, 0.0, 0.0), 0.0, [1.0], condition=[1.5])[0]
    assert 1.7 < moved[:, 1].mean() < 2.8
    with pytest.raises(DataError, match=r"Condition 1\.5 has 0 rows"):
        fitted.law(0.75, 10, condition=[1.5])


def test_rows_are_matched_within_a_condition(snapshots):
    known = read(snapshots)
    found = groups(known)
    assert [group.condition.tolist() for group in found] == [[0.0], [1.0], [2.0]]
    assert all(len(g.snapshots.marginals[0]) == 200 for g in found)
    assert all(len(m) == 150 for g in found for m in g.snapshots.marginals[1:])
    rows = only(known, [1.0]).snapshots.marginals[1].take(torch.arange(150))
    assert rows.equal(cells(150, 0.5, 1.0))


def test_descendants_of_a_dose(fitted):
    assert fitted.descendants(cells(20, 0.0, 0.0), 0.0, 1.0, condition=[2.0]).shape == (20, 150)


def test_columns_of_a_table_are_conditions(snapshots):
    first = pd.DataFrame(snapshots[0.0].numpy(), columns=["u", "v"]).assign(day=0.0, dose=np.nan)
    parts = [first]
    for t in (0.5, 1.0):
        x = snapshots[t].take(torch.arange(450)).numpy()
        told = snapshots[t].condition[:, 0].numpy()
        parts.append(pd.DataFrame(x, columns=["u", "v"]).assign(day=t, dose=told))
    table = pd.concat(parts, ignore_index=True)
    known = read(table, time="day", condition="dose")
    assert known.marginals[0].condition is None and len(groups(known)) == 3
    assert known.marginals[0].event_shape == (2,)
    broken = table.copy()
    broken.loc[300, "dose"] = np.nan
    with pytest.raises(DataError, match="Some rows of a time have no condition"):
        read(broken, time="day", condition="dose")
    with pytest.raises(DataError, match="Encode names"):
        read(table.assign(dose="a"), time="day", condition=["dose", "u"])
    with pytest.raises(ConfigError, match="condition must be one of the columns"):
        read(table, time="day", condition="Dose")


def test_what_conditions_cannot_do_is_refused(snapshots, fitted):
    with pytest.raises(ConfigError, match="have conditions"):
        fitted.law(0.75, 10)
    with pytest.raises(ConfigError, match="one vector"):
        fitted.law(0.75, 10, condition=[1.0, 2.0])
    plain = trajectories.fit({0: cells(50, 0.0, 0.0), 1: cells(50, 1.0, 0.0)}, steps=1, **QUICK)
    with pytest.raises(ConfigError, match="no conditions"):
        plain.law(0.5, 10, condition=[1.0])
    few = {**snapshots, 1.0: Marginal(cells(9, 1.0, 0.0), condition=[[0.0]] * 7 + [[1.0]] * 2)}
    with pytest.raises(DataError, match="needs 4"):
        trajectories.fit(few, **QUICK)
    other = {**snapshots, 1.0: Marginal(cells(9, 1.0, 0.0), condition=[[0.0, 1.0]] * 9)}
    with pytest.raises(DataError, match="one size"):
        trajectories.fit(other, **QUICK)


def test_the_pictures_of_conditions(fitted):
    one, all_of_them = (trajectories.ways(fitted, condition=c) for c in ([2.0], None))
    assert one[1:4] == b"PNG" and len(all_of_them) > 2 * len(one)


def test_times_are_left_out_within_conditions(snapshots):
    found = trajectories.leave_one_out(snapshots, steps=5, **QUICK).figures[0.5]
    parts = [
        trajectories.leave_one_out(kind.snapshots, steps=1, **QUICK).figures[0.5]
        for kind in groups(read(snapshots))
    ]
    for method in ("plan midpoint", "halves"):
        mean = sum(part[method]["w1"] for part in parts) / 3
        assert found[method]["w1"] == pytest.approx(mean, rel=1e-6)


@pytest.fixture(scope="module")
def named():
    parts = []
    for t in (0.0, 0.5, 1.0):
        for drug, up in (("slow", 0.5), ("fast $x", 2.0)):
            x = cells(150, t, up).numpy()
            told = np.nan if t == 0 else drug
            parts.append(pd.DataFrame(x, columns=["u", "v"]).assign(day=t, drug=told))
    return pd.concat(parts, ignore_index=True)


def test_perturbations_have_names(named, tmp_path):
    columns = {"time": "day", "condition": "drug"}
    found = trajectories.fit(named, steps=300, **columns, **QUICK)
    assert found.conditions == ("fast $x", "slow")
    x = cells(100, 0.0, 0.0)
    slow, fast = (
        found.sample(x, 0, [1], condition=d)[0, :, 1].mean() for d in ("slow", "fast $x")
    )
    both = found.sample(x, 0, [1], condition=["slow"] * 50 + ["fast $x"] * 50)[0, :, 1]
    assert fast - slow > 0.8 and both[50:].mean() - both[:50].mean() > 0.8
    assert torch.equal(found.velocity(x, 0, "slow"), found.velocity(x, 0, [0.0, 1.0]))
    assert found.law(0.75, 10, condition="slow").shape == (10, 2)
    assert found.ancestors(x, 1, 0.5, condition="slow").shape == (100, 150)
    assert trajectories.ways(found)[1:4] == b"PNG"
    found.save(tmp_path / "m.safetensors")
    again = trajectories.load(tmp_path / "m.safetensors", named, **columns)
    assert torch.equal(again.law(0.5, 9, condition="slow"), found.law(0.5, 9, condition="slow"))
    with pytest.raises(ConfigError, match=r"one of \['fast \$x', 'slow'\]; got 'fast'"):
        found.law(0.75, 10, condition="fast")
    other = named.assign(drug=named["drug"].replace("slow", "other"))
    with pytest.raises(DataError, match="must have the conditions"):
        trajectories.load(tmp_path / "m.safetensors", other, **columns)
    late = (named["day"] == 1) & (named["drug"] == "slow")
    few = pd.concat([named[~late], named[late][:2]])
    with pytest.raises(DataError, match="Condition slow has 2 rows at time 1"):
        trajectories.fit(few, **columns, **QUICK)


def test_names_of_numeric_conditions_are_refused(fitted):
    with pytest.raises(ConfigError, match="condition must be numbers; got 'slow'"):
        fitted.velocity(cells(9, 0.0, 0.0), 0.0, "slow")


def test_columns_without_any_condition():
    table = pd.DataFrame({"u": np.arange(24.0), "day": [0, 1] * 12, "dose": np.nan})
    with pytest.raises(ConfigError, match="No row has a condition"):
        read(table, time="day", condition="dose")
    with pytest.raises(ConfigError, match="condition must be a list"):
        read(table, time="day", condition=3)


def branches(n, t, drug, seed=0):
    """Cells on two branches, of which the upper one dies under a drug at rate 1."""
    source = torch.Generator().manual_seed(100 * seed + round(10 * t) + drug)
    share = np.exp(-t * drug) / (1 + np.exp(-t * drug))
    side = torch.where(torch.rand(n, generator=source) < share, 1.0, -1.0)
    x = 0.3 * torch.randn(n, 2, generator=source)
    return x + torch.stack([torch.full((n,), 2.0 * t), 1.5 * side], 1)


def alive(t, drug):
    return (1 + np.exp(-t * drug)) / 2


@pytest.fixture(scope="module")
def treated():
    parts = []
    for t in (0.0, 0.5, 1.0):
        for drug in (0, 1):
            x = pd.DataFrame(branches(300, t, drug).numpy(), columns=["u", "v"])
            parts.append(x.assign(day=t, drug=["none", "toxic"][drug] if t else None))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def grown(treated):
    masses = {
        name: {t: alive(t, drug) for t in (0.0, 0.5, 1.0)}
        for drug, name in enumerate(("none", "toxic"))
    }
    columns = {"time": "day", "condition": "drug", "bend": 0.0, "spread": 0.0}
    return trajectories.fit(treated, masses=masses, steps=500, **columns, **QUICK)


def test_growth_under_each_condition(grown):
    high, low = (torch.tensor([[1.0, side]]).expand(20, -1) for side in (1.5, -1.5))
    for x, condition, rate in (
        (high, "none", 0.0),
        (low, "none", 0.0),
        (high, "toxic", -1.0),
        (low, "toxic", 0.0),
    ):
        assert grown.log_growth(x, 0.5, condition).mean() == pytest.approx(rate, abs=0.3)
    for drug, name in enumerate(("none", "toxic")):
        assert grown.mass(0.75, name) == pytest.approx(alive(0.75, drug), rel=0.04)
        share = (grown.law(0.75, 4000, condition=name)[:, 1] > 0).double().mean()
        exact = np.exp(-0.75 * drug) / (1 + np.exp(-0.75 * drug))
        assert share == pytest.approx(exact, abs=0.04)
    states, gained = grown.sample(high, 0.5, [1.0], condition="toxic", return_growth=True)
    assert states.shape == (1, 20, 2) and gained.mean() == pytest.approx(-0.5, abs=0.15)
    assert trajectories.ways(grown)[1:4] == b"PNG"


def test_a_file_keeps_the_growth_of_each_condition(grown, treated, tmp_path):
    grown.save(tmp_path / "m.safetensors")
    columns = {"time": "day", "condition": "drug"}
    again = trajectories.load(tmp_path / "m.safetensors", treated, **columns)
    x = branches(9, 0.5, 1)
    assert torch.equal(again.log_growth(x, 0.5, "toxic"), grown.log_growth(x, 0.5, "toxic"))
    assert again.mass(0.75, [0.0, 1.0]) == grown.mass(0.75, "toxic")


def test_times_are_left_out_with_masses_of_conditions(treated):
    masses = {name: dict.fromkeys((0.0, 0.5, 1.0), 1.0) for name in ("none", "toxic")}
    columns = {"time": "day", "condition": "drug"}
    found = trajectories.leave_one_out(treated, masses=masses, steps=2, **columns, **QUICK)
    assert list(found.figures) == [0.5]


def test_masses_of_conditions_that_are_none(grown, treated):
    columns = {"time": "day", "condition": "drug"}
    each = dict.fromkeys((0.0, 0.5, 1.0), 1.0)
    for masses, words in (
        ({"none": each}, r"masses must have the conditions \['none', 'toxic'\]; got \['none'\]"),
        ({"none": each, "toxic": {0.0: 1.0}}, "masses must have the times"),
        ({"none": each, "new": each}, "condition must be one of"),
        (each, "masses must have the conditions"),
        ({"none": each, "toxic": 3}, "masses must be a mapping"),
    ):
        with pytest.raises((ConfigError, DataError), match=words):
            trajectories.fit(treated, masses=masses, **columns, **QUICK)
    x = branches(9, 0.5, 1)
    for condition in (None, [0.5, 0.5]):
        with pytest.raises(ConfigError, match="Growth is known for the conditions"):
            grown.log_growth(x, 0.5, condition)
    with pytest.raises(ConfigError, match=r"Give condition=, one of \['none', 'toxic'\]"):
        grown.velocity(x, 0.5)
    with pytest.raises(ConfigError, match="one vector of numbers"):
        grown.sample(x, 0.5, [1.0], condition=["none"] * 9, return_growth=True)


def test_masses_by_doses(snapshots):
    each = dict.fromkeys((0.0, 0.5, 1.0), 2.0)
    found = trajectories.fit(snapshots, masses=dict.fromkeys(DOSES, each), steps=2, **QUICK)
    assert found.mass(0.75, [1.0]) == pytest.approx(2.0, rel=0.1)


def test_text_that_looks_like_numbers_is_a_name(treated):
    for names in (("1", "2"), ("001", "1"), ("1_0", "10"), ("inf", "nan"), ("x", "x\0")):
        table = treated.assign(
            drug=treated["drug"].map(dict(zip(("none", "toxic"), names, strict=True)))
        )
        for drug in (table["drug"], table["drug"].astype("category")):
            found = read(table.assign(drug=drug), time="day", condition="drug")
            assert found.conditions == tuple(sorted(names)) and len(groups(found)) == 2
    numbers = treated["drug"].map({"none": 1, "toxic": 2}).astype("category")
    found = read(treated.assign(drug=numbers), time="day", condition="drug")
    assert not found.conditions and [g.key for g in groups(found)] == [(1.0,), (2.0,)]


def test_names_in_arrays_of_every_kind(grown):
    x = branches(4, 0.5, 1)
    names = ["none", "toxic", "toxic", "none"]
    exact = grown.velocity(x, 0.5, names)
    series = pd.Series(names)
    for given in (
        tuple(names),
        np.array(names),
        np.array(names, object),
        series,
        series.astype("category"),
        series.astype("string"),
        pd.Index(names),
    ):
        assert torch.equal(grown.velocity(x, 0.5, given), exact)
    for ragged in ([["none"], ["none", "toxic"]], [["none"]] * 4):
        with pytest.raises(MultisiError, match="condition"):
            grown.velocity(x, 0.5, ragged)
        with pytest.raises(MultisiError, match="condition"):
            grown.log_growth(x, 0.5, ragged)


def test_doses_in_both_accuracies():
    x = cells(40, 0.0, 0.0)
    doses = torch.tensor([[0.1], [0.7]]).repeat_interleave(20, 0)
    data = {0: x, 1: Marginal(x + 1, condition=doses), 2: Marginal(x, condition=doses.double())}
    each = {0: 1.0, 1: 1.0, 2: 1.0}
    found = trajectories.fit(data, masses={0.1: each, np.float32(0.7): each}, steps=1, **QUICK)
    assert len(groups(read(data))) == 2
    assert rounded(np.array([1e300, 0.1, 2**40 + 1])).tolist() == [
        1e300,
        np.float32(0.1),
        2**40 + 1,
    ]
    asked = torch.tensor([0.1], requires_grad=True)
    assert found.log_growth(x, 0.5, asked).shape == (40,)
    for dose in (0.1, [0.1], np.float32(0.1), torch.tensor([0.1]), np.array([0.1])):
        assert found.law(0.5, 3, condition=dose).shape == (3, 2)
        assert found.mass(0.5, dose) == pytest.approx(1.0, rel=0.2)
        assert found.log_growth(x, 0.5, dose).shape == (40,)
        assert found.sample(x, 0, [1], condition=dose).shape == (1, 40, 2)


def test_a_time_with_conditions_is_left_out_between_times_without(treated):
    shared = treated.assign(drug=treated["drug"].where(treated["day"] == 0.5, None))
    columns = {"time": "day", "condition": "drug"}
    found = trajectories.leave_one_out(shared, masses="counts", steps=1, **columns, **QUICK)
    assert list(found.figures) == [0.5]


def test_a_mapping_for_a_trajectory_with_names(grown, treated, tmp_path):
    grown.save(tmp_path / "m.safetensors")
    columns = ["u", "v"]
    mapping = {
        day: Marginal(
            part[columns].to_numpy(),
            condition=None if day == 0 else pd.get_dummies(part["drug"]).to_numpy(float),
        )
        for day, part in treated.groupby("day")
    }
    for again, options in (
        (trajectories.load(tmp_path / "m.safetensors"), {"samples": mapping}),
        (trajectories.load(tmp_path / "m.safetensors", mapping), {}),
    ):
        made = again.law(0.25, 9, condition="toxic", **options)
        assert torch.allclose(made, grown.law(0.25, 9, condition="toxic"))


def test_descendants_have_the_same_labels_under_all_conditions(treated):
    side = np.where(treated["v"] > 0, "upper", "lower")
    some = treated.assign(kind=side)
    some = some[(some["drug"] != "toxic") | (some["kind"] == "lower")]
    columns = {"time": "day", "condition": "drug", "label": "kind"}
    found = trajectories.fit(some, steps=1, **columns, **QUICK)
    assert found.labels == ("lower", "upper")
    for drug in ("none", "toxic"):
        told = found.descendants(branches(9, 0.5, 0), 0.5, 1.0, condition=drug)
        assert told.shape == (9, 2)
    assert told[:, 1].sum() == 0
