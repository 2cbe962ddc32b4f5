import json

import pytest
import torch

import multisi
from multisi import training
from multisi.analysis.evaluation import ring
from multisi.analysis.held_out import HeldOut
from multisi.errors import ConfigError, DataError, PluginError, ShapeError

X = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
DATA = {"z": multisi.StandardNormal(), "a": X, "b": X * 0.5 + 2}
SMALL = {"network_options": {"width": 16}, "batch_size": 32}


def fit(marginals=DATA, **options):
    return multisi.fit(marginals, **{"steps": 20, "progress": False} | options)


def test_callbacks_see_every_step_and_may_end_it():
    steps = []
    fit(callbacks=[lambda run: steps.append(run.step), lambda run: run.step == 7])
    assert steps == list(range(1, 8))


def test_the_log(tmp_path):
    log = training.Log(tmp_path / "log.jsonl", every=5)
    fit(callbacks=[log])
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10, 15, 20]
    assert all(line["loss"] > 0 and line["seconds"] > 0 for line in lines)
    with pytest.raises(DataError, match="cannot be written"):
        training.Log(tmp_path / "no" / "log.jsonl")


def test_tensorboard_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match="pip install tensorboard"):
        training.TensorBoard(tmp_path)


def test_early_stopping_keeps_the_best():
    held_out = {"a": X[:100], "b": X[:100] * 0.5 + 2}
    options = {"every": 5, "patience": 3, "samples": 60, "steps": 4}
    runs = []
    watch = [training.EarlyStopping(held_out, **options), runs.append]
    model = fit({"a": X, "b": X * 0.5 + 2}, callbacks=watch, learning_rate=0.3, steps=300, **SMALL)
    run = runs[-1]
    assert run.counts.best_step == run.step - 15
    assert run.step < 300
    data = {name: multisi.Marginal(x) for name, x in held_out.items()}
    value = ring(model.transport, HeldOut(data, samples=60), steps=4)
    assert value == pytest.approx(run.counts.best)
    with pytest.raises(DataError, match="two or more data marginals"):
        fit(held_out={"a": X, "z": multisi.StandardNormal()})


def conditional(rows):
    source = torch.Generator().manual_seed(rows)
    a, c = torch.randn(2, rows, 1, generator=source)
    return {"a": a, "b": multisi.Marginal(2 * c + a.flip(0) / 2, condition=c)}


def test_early_stopping_moves_rows_with_their_conditions():
    runs = []
    stopping = training.EarlyStopping(conditional(80), every=10)
    fit(conditional(100), callbacks=[stopping, runs.append], **SMALL)
    assert 0 < runs[-1].counts.best < 1


@pytest.mark.parametrize(
    ("held_out", "options", "error"),
    [
        ({n: torch.randn(50, 1) for n in "ab"}, {}, ShapeError),
        (conditional(50), {"steps": "x"}, ConfigError),
        (conditional(50), {"solver": "none"}, PluginError),
        ({"a": torch.randn(50, 1), "c": torch.randn(50, 1)}, {}, ConfigError),
    ],
)
def test_early_stopping_fails_before_the_first_step(held_out, options, error):
    steps = []
    stopping = training.EarlyStopping(held_out, every=20, **options)
    with pytest.raises(error, match=r"condition|steps|solver|held_out"):
        fit(conditional(100), callbacks=[lambda run: steps.append(run.step), stopping], **SMALL)
    assert not steps


def test_failing_callback(tmp_path):
    def failing(run):
        raise OSError("the disk of the logs has gone")

    (tmp_path / "logs").mkdir()
    log = training.Log(tmp_path / "logs" / "log.jsonl", every=5)

    def vanish(run):
        if run.step == 7:
            (tmp_path / "logs" / "log.jsonl").unlink()
            (tmp_path / "logs").rmdir()

    steps = []
    callbacks = [failing, log, vanish, lambda run: steps.append(run.step)]
    with pytest.warns(RuntimeWarning) as caught:
        fit(callbacks=callbacks)
    assert steps == list(range(1, 21))
    told = [str(warning.message) for warning in caught]
    assert len(told) == 2
    assert "failing" in told[0] and "at step 1, in" in told[0] and "logs has gone" in told[0]
    assert "Log" in told[1] and "at step 10" in told[1] and "FileNotFoundError" in told[1]


def test_errors_of_the_library_end_the_run():
    def wrong(run):
        raise ConfigError("made wrongly")

    with pytest.raises(ConfigError, match="made wrongly"):
        fit(callbacks=[wrong])
    for callback in (3, None, dict):
        with pytest.raises(ConfigError, match="A callback must be a function"):
            fit(callbacks=[callback])
