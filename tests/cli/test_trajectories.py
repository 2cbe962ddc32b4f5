import numpy as np
import pandas as pd
import pytest

from multisi import trajectories
from multisi.cli import main


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    found = pd.DataFrame(rng.normal(size=(90, 2)), columns=["u", "v"])
    found["day"] = np.repeat([0, 1, 3], 30)
    found["u"] += found["day"]
    found.to_csv("cells.csv", index=False)
    return found


WORDS = ["trajectories", "cells.csv", "--time", "day", "--out", "out", "--quiet", "--steps", "3"]


def test_a_table_becomes_a_model_figures_and_a_picture(table, tmp_path, capsys):
    assert main(WORDS) == 0
    shown = capsys.readouterr().out
    assert "plan midpoint" in shown and "through 3 times: out" in shown
    assert (tmp_path / "out/held-out.txt").read_text() in shown
    assert (tmp_path / "out/ways.png").read_bytes().startswith(b"\x89PNG")
    found = trajectories.load("out/model.safetensors", table[["u", "v", "day"]], time="day")
    assert found.law(2.0, 5).shape == (5, 2)


def test_masses_and_perturbations(table):
    table.assign(day=pd.to_datetime("2026-01-01") + pd.to_timedelta(table["day"], "D")).to_csv(
        "dated.csv", index=False
    )
    masses = [f"--masses=2026-01-0{day}=1.5" for day in (1, 2, 4)]
    assert main([word.replace("cells", "dated") for word in WORDS] + masses) == 0
    assert trajectories.load("out/model.safetensors").log_growth(np.zeros((4, 2)), 1).shape == (4,)
    table.assign(drug=np.tile(["none", "new"], 45)).to_csv("cells.csv", index=False)
    assert main([*WORDS, "--condition", "drug"]) == 0
    found = trajectories.load("out/model.safetensors")
    assert found.conditions == ("new", "none")
    assert found.sample(np.zeros((4, 2)), 0, [3], condition="new").shape == (1, 4, 2)
    assert main([*WORDS, "--condition", "drug", "--masses", "counts"]) == 0
    found = trajectories.load("out/model.safetensors")
    assert found.log_growth(np.zeros((4, 2)), 1, "new").shape == (4,)


def test_annotated_data_whose_first_time_is_shared(table, tmp_path, capsys):
    anndata = pytest.importorskip("anndata")
    drug = np.where(table["day"] == 0, None, np.tile(["none", "new"], 45))
    data = anndata.AnnData(obs=table[["day"]].assign(drug=drug).rename(index=str))
    data.obsm["X_pca"] = table[["u", "v"]].to_numpy()
    data.write_h5ad("cells.h5ad")
    words = [word.replace("cells.csv", "cells.h5ad") for word in WORDS]
    assert main([*words, "--condition", "drug", "--masses", "counts"]) == 0
    told = anndata.read_h5ad(tmp_path / "out/cells.h5ad")
    assert np.isfinite(told.obsm["X_pca_velocity"]).all()
    assert np.isfinite(told.obs["log_growth"]).all()
    for wrong, message in (("1=1", "must be counts where"), ("counts", "give it alone")):
        more = ["--masses", "0=1"] if wrong == "counts" else ["--condition", "drug"]
        assert main([*words, "--masses", wrong, *more]) == 2
        assert message in capsys.readouterr().err


def test_annotated_data(table, capsys):
    anndata = pytest.importorskip("anndata")
    data = anndata.AnnData(obs=table[["day"]].rename(index=str))
    data.obsm["X_umap"] = table[["u", "v"]].to_numpy()
    data.write_h5ad("cells.h5ad")
    words = [word.replace("cells.csv", "cells.h5ad") for word in WORDS]
    assert main(words) == 2
    assert "it has 'X_umap'" in capsys.readouterr().err
    assert main([*words, "--embedding", "X_umap"]) == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--quiet": "--masses=1=2"}, "masses must have the times"),
        ({"--quiet": "--masses=1=two"}, "--masses: expected a finite number"),
        ({"--quiet": "--condition=drug"}, "condition must be one of the columns"),
        ({"cells.csv": "gone.csv"}, "could not be read"),
        ({"cells.csv": "cells.xls"}, "name ends in .h5ad, .csv, .tsv or .parquet"),
        ({"day": "hour"}, "time must be one of the columns 'u', 'v', 'day'"),
        ({"day": "u"}, "At time "),
        ({"3": "0"}, "steps must be"),
    ],
)
def test_what_cannot_be_joined_leaves_no_folder(table, tmp_path, capsys, changed, message):
    assert main([changed.get(word, word) for word in WORDS]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
