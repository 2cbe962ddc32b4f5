"""Faults of trajectories: in snapshots, and in files."""

import copy

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from multisi import Marginal, trajectories
from multisi.errors import CheckpointError, DataError, MultisiError
from multisi.files import checkpoint
from multisi.trajectories.growth import Growth

X = np.random.default_rng(0).normal(size=(9, 2))
QUICK = {"progress": False, "network_options": {"width": 8, "depth": 2}, "steps": 1}
TABLE = pd.DataFrame(np.tile(X, (2, 1)), columns=["u", "v"]).assign(day=np.repeat([0, 1], 9))
COUNTS = anndata.AnnData(sparse.csr_matrix(np.ones((18, 5), int)), obs=TABLE.rename(index=str))
COUNTS.obsm["X_umap"] = np.tile(X, (2, 1))


@pytest.mark.parametrize(
    ("snapshots", "options", "words"),
    [
        ({}, {}, "two times or more are needed; got 0"),
        ({0: X}, {}, "two times or more are needed; got 1"),
        ({0: X, "0": X}, {}, "Times must differ"),
        ({"early": X, "late": X}, {}, r"Times must be numbers or dates.*Map categories"),
        ({0: X, float("nan"): X}, {}, "Times must be finite"),
        ({0: X, 1: X[:1]}, {}, r"At time 1|needs 4 rows"),
        ({0: X, 1: X[:3]}, {}, "needs 4 rows; time 1 has 3"),
        ({0: X, 1: np.where(X > 0, np.nan, X)}, {}, "At time 1"),
        ({0: X, 1: np.zeros((9, 2, 2))}, {}, "must be vectors"),
        ({0: X, 1: X[:, :1]}, {}, r"event shape|same shape|features"),
        ({0: X, 1: sparse.csr_matrix(X)}, {}, "At time 1.*toarray"),
        ([X, X], {}, "must be a mapping of time to samples"),
        (TABLE, {}, "time must be one of the columns 'u', 'v', 'day'"),
        (TABLE.assign(day=np.nan), {"time": "day"}, "18 rows have no time"),
        (TABLE.assign(day="monday"), {"time": "day"}, "two times or more"),
        (TABLE.assign(day=["a", "b"] * 9), {"time": "day"}, "Map categories"),
        (TABLE.assign(day=pd.Categorical([0] * 18, [0, 1])), {"time": "day"}, "got 1"),
        (COUNTS, {"time": "day"}, r"it has 'X_umap'. Counts must be normalised and embedded"),
        ({0: X, 1: X}, {"masses": {0: 1}}, "masses must have the times"),
        ({0: X, 1: X}, {"masses": {0: 1, 1: True}}, "masses must be positive numbers"),
        (TABLE, {"time": "day", "condition": ["u", "u"]}, "must name each column once"),
        (TABLE.assign(c=pd.Timestamp(0)), {"time": "day", "condition": "c"}, "numbers or names"),
        (TABLE.assign(c=1j), {"time": "day", "condition": "c"}, "numbers or names"),
        ({0: X, 1: X}, {"bend": 2}, "bend must be a number from 0 to 1"),
    ],
)
def test_snapshots_that_are_none(snapshots, options, words):
    with pytest.raises(MultisiError, match=words):
        trajectories.fit(snapshots, **options, **QUICK)


@pytest.fixture(scope="module")
def grown():
    return trajectories.fit({0: X, 1: X + 1, 2: X + 2}, masses={0: 1, 1: 2, 2: 3}, **QUICK)


CARDS = {
    "times": (3, [0, 1], [0, 1, 2, 3], [0, 1, 3], [0, 2, 1], ["a", "b", "c"], {"a": 1}, None),
    "conditions": (5, [1], "ab", ["a"], ["a", "b"]),
    "origin": (5.5, "x", ["2020"], "NaT"),
}


@pytest.mark.parametrize(("what", "value"), [(k, v) for k, vs in CARDS.items() for v in vs])
def test_trajectory_in_a_file_that_is_none(grown, tmp_path, what, value):
    file = tmp_path / "cells.safetensors"
    grown.save(file)
    tensors, told = checkpoint.read(file)
    told = copy.deepcopy(dict(told))
    told["card"]["trajectory"][what] = value
    checkpoint.write(file, tensors, told)
    with pytest.raises(CheckpointError, match=f"its {what} are not"):
        trajectories.load(file)


@pytest.mark.parametrize("name", Growth.__annotations__)
def test_trajectory_in_a_file_that_is_none_by_its_growth(grown, tmp_path, name):
    file = tmp_path / "cells.safetensors"
    grown.save(file)
    tensors, told = checkpoint.read(file)
    whole = tensors.pop(f"growth.0.{name}")
    changes = [None, whole[:1], whole[:0], whole.sum(), whole.long(), whole * torch.nan]
    if name in ("deviations", "masses"):
        changes.append(-whole)
    for changed in changes:
        here = tensors if changed is None else {**tensors, f"growth.0.{name}": changed}
        checkpoint.write(file, here, told)
        with pytest.raises(CheckpointError, match="its growth is not"):
            trajectories.load(file)


@pytest.mark.parametrize("grown_by", [3, [[1.0]], [[], []], [["a"]], []])
def test_trajectory_in_a_file_that_is_none_by_what_grew(grown, tmp_path, grown_by):
    file = tmp_path / "cells.safetensors"
    grown.save(file)
    tensors, told = checkpoint.read(file)
    told = copy.deepcopy(dict(told))
    told["card"]["trajectory"]["grown"] = grown_by
    checkpoint.write(file, tensors, told)
    with pytest.raises(CheckpointError, match="its growth is not"):
        trajectories.load(file)


def test_snapshots_of_another_trajectory(grown, tmp_path):
    file = tmp_path / "cells.safetensors"
    grown.save(file)
    for snapshots, words in (
        ({0: X, 1: X}, r"must have the times .*\(0.0, 1.0, 2.0\); got \(0.0, 1.0\)"),
        ({t: np.c_[X, X] for t in range(3)}, r"must have the shape of a row .*\(2,\); got \(4,\)"),
    ):
        with pytest.raises(DataError, match=words):
            trajectories.load(file, snapshots)
    dated = {f"2026-01-0{day}": X for day in (1, 2, 3)}
    with pytest.raises(DataError, match="must have the first date"):
        trajectories.load(file, dated)
    told = {t: Marginal(X, condition=[[0.0], [1.0], [1.0]] * 3) for t in range(3)}
    with pytest.raises(DataError, match="must have the size of a condition"):
        trajectories.load(file, told)
    assert trajectories.load(file, {t: X for t in range(3)}).mass(0.5) > 0


def test_snapshots_of_another_trajectory_are_aligned_by_name(tmp_path):
    table = pd.concat([TABLE.assign(v=TABLE["v"] + 30), TABLE.assign(day=2)])
    found = trajectories.fit(table, time="day", **QUICK)
    found.save(tmp_path / "cells.safetensors")
    swapped = table[["v", "day", "u"]]
    again = trajectories.load(tmp_path / "cells.safetensors", swapped, time="day")
    assert torch.equal(again.law(0, 5), found.law(0, 5))
    other = trajectories.read(swapped, time="day")
    assert torch.equal(found.law(0, 5, samples=other), found.law(0, 5))
    renamed = table.rename(columns={"u": "q"})
    with pytest.raises(DataError, match="q"):
        trajectories.load(tmp_path / "cells.safetensors", renamed, time="day")
