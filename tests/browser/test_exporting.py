"""The engine for browsers, run by Node.js, beside PyTorch."""

import json
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import torch

import multisi
import multisi.metrics
from multisi import browser
from multisi.cli import main
from multisi.errors import ConfigError

RUN = """
import { Model, seeded } from "./engine.mjs";
import { readFileSync, writeFileSync } from "node:fs";
const model = new Model(JSON.parse(readFileSync("model.json")));
const given = JSON.parse(readFileSync("given.json"));
const found = given.map(({ rows, source, target, options }) => {
  if ("seed" in options) options.random = seeded(options.seed);
  return model.transport(rows, source, target, options);
});
writeFileSync("found.json", JSON.stringify(found));
"""
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")


@pytest.fixture(scope="module")
def model():
    source = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 2, generator=source)
    data = {"noise": multisi.StandardNormal(), "a": 3 + x, "b": x * torch.tensor([5.0, 0.2]) - 9}
    return multisi.fit(
        data, network_options={"preset": "small"}, steps=300, seed=0, progress=False
    )


def moved(model, folder, cases):
    """What the engine makes of some cases of rows, source, target and options."""
    browser.export(model, folder / "model.json")
    (folder / "engine.mjs").write_text(browser.engine())
    (folder / "run.mjs").write_text(RUN)
    (folder / "given.json").write_text(json.dumps(cases))
    subprocess.run(["node", "run.mjs"], cwd=folder, check=True)
    return [np.array(rows) for rows in json.loads((folder / "found.json").read_text())]


@needs_node
def test_transports_are_those_of_the_library(model, tmp_path):
    rng, cases, expected = np.random.default_rng(0), [], []
    middle = [0.2, 0.5, 0.3]
    for solver in ("euler", "heun", "midpoint", "rk4"):
        for source, target in (("a", "b"), ("noise", "a"), ("b", "noise"), ("a", middle)):
            x = rng.normal(size=(50, 2)) + (3 if source == "a" else 0)
            x = x * [5, 0.2] - 9 if source == "b" else x
            options = {"steps": 6, "solver": solver}
            cases.append(dict(rows=x.tolist(), source=source, target=target, options=options))
            point = np.array(target) if isinstance(target, list) else target
            expected.append(model.transport(x, source, point, **options))
    options = {"steps": 64, "solver": "rk4"}  # The library's steps are even in arc length.
    for target in ("b", middle):
        x = 3 + rng.normal(size=(50, 2))
        given = options | {"interpolant": "trigonometric"}
        cases.append(dict(rows=x.tolist(), source="a", target=target, options=given))
        point = np.array(target) if isinstance(target, list) else target
        expected.append(model.transport(x, "a", point, **given))
    for found, truth in zip(moved(model, tmp_path, cases), expected, strict=True):
        np.testing.assert_allclose(found, truth, atol=1e-4 * np.abs(truth).max(), rtol=1e-4)


@needs_node
def test_draws_have_the_laws_of_the_library(model, tmp_path):
    x = 3 + np.random.default_rng(1).normal(size=(2000, 2))
    cases = [
        dict(rows=x.tolist(), source="a", target=target, options=dict(steps=64, noise=1, seed=3))
        for target in ("b", "noise")
    ]
    for found, target in zip(moved(model, tmp_path, cases), ("b", "noise"), strict=True):
        truth = model.transport(x, "a", target, noise=1.0, steps=64, seed=0)
        scale = truth.std(0)
        assert np.abs((found.mean(0) - truth.mean(0)) / scale).max() < 0.1
        assert np.abs(found.std(0) / scale - 1).max() < 0.1


def test_what_does_not_run_in_a_browser(tmp_path):
    x = torch.rand(20, 1, 4, 4)
    pictures = multisi.fit({"a": x, "b": x}, steps=1, progress=False)
    with pytest.raises(ConfigError, match="Only models of vectors with network='mlp'"):
        browser.export(pictures, tmp_path / "m.json")
    told = multisi.Marginal(x.flatten(1), condition=x[:, 0, 0])
    told = multisi.fit({"a": told, "b": x.flatten(1)}, steps=1, progress=False)
    with pytest.raises(ConfigError, match="model must be"):
        browser.export(3, tmp_path / "m.json")
    with pytest.raises(ConfigError, match="with a condition"):
        browser.export(told, tmp_path / "m.json")
    assert not (tmp_path / "m.json").exists()


def test_the_command(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model.save("m.safetensors")
    assert main(["export", "m.safetensors", "m.json", "--engine", "multisi.js"]) == 0
    assert json.loads((tmp_path / "m.json").read_text())["marginals"] == ["noise", "a", "b"]
    assert (tmp_path / "multisi.js").read_text() == browser.engine()
    assert main(["export", "m.safetensors", "m.safetensors"]) == 2
    assert "is the file of MODEL" in capsys.readouterr().err


def test_the_page_has_this_engine():
    place = pathlib.Path(__file__).parents[2] / "docs" / "assets" / "play"
    assert (place / "multisi.js").read_text() == browser.engine(), "run docs/make_play.py"


@needs_node
def test_the_page_moves_its_samples(tmp_path):
    place = pathlib.Path(__file__).parents[2] / "docs" / "assets" / "play"
    for name, ending in (("model", "mjs"), ("multisi", "mjs")):
        (tmp_path / f"{name}.{ending}").write_text((place / f"{name}.js").read_text())
    (tmp_path / "run.mjs").write_text(
        'import file from "./model.mjs";'
        'import { Model } from "./multisi.mjs";'
        'const moved = new Model(file).transport(file.samples.ring, "ring", "squares");'
        "console.log(JSON.stringify({ moved, squares: file.samples.squares }));"
    )
    shown = subprocess.run(
        ["node", "run.mjs"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    found = json.loads(shown.stdout)
    moved, squares = (torch.tensor(found[name]) for name in ("moved", "squares"))
    assert multisi.metrics.energy_distance(moved, squares) < 0.02
