import copy
import json

import pytest
import torch

import multisi
from multisi import training
from multisi.errors import ConfigError, DataError, TrainingDivergedError

X = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
DATA = {"z": multisi.StandardNormal(), "a": X, "b": X * 0.5 + 2}


SMALL = {"network_options": {"width": 16}, "batch_size": 32}


def fit(marginals=DATA, **options):
    return multisi.fit(marginals, **{"steps": 20, "progress": False} | options)


def weights(model):
    return torch.cat([p.flatten() for p in model.conditional_means.parameters()])


def test_batches_are_a_function_of_the_step():
    one, other = (training.Batches(DATA, batch_size=32, seed=3) for _ in range(2))
    for step in (70, 0, 5, 5, 70):
        ours, theirs = one(step), other(step)
        assert torch.equal(ours.x, theirs.x) and torch.equal(ours.target, theirs.target)
    assert not torch.equal(one(0).alpha, one(1).alpha)
    assert not torch.equal(one(0).x, training.Batches(DATA, batch_size=32, seed=4)(0).x)


def test_batches_are_standardised():
    batches = training.Batches(
        {"a": X * 100 + 7000, "b": X * 100 + 7300},
        batch_size=4000,
    )
    assert batches(0).x.abs().mean() < 2 and batches(0).x.mean().abs() < 0.1


def test_a_loop_by_hand_does_what_fit_does():
    batches = training.Batches(DATA, seed=1)
    means = batches.means("mlp", width=16)
    schedule = training.Schedule(steps=20)
    optimiser = torch.optim.Adam(means.parameters())
    average = training.Average(means)
    for step in range(20):
        optimiser.param_groups[0]["lr"] = schedule.rate(step / 20)
        optimiser.zero_grad()
        training.loss(means, batches(step)).backward()
        optimiser.step()
        average.update()
    model = batches.model(average.means)
    same = fit(network_options={"width": 16}, seed=1, clip=None)
    assert torch.allclose(weights(model), weights(same), atol=1e-5)
    assert model.transport(X, "a", "b").shape == X.shape


def test_parts_of_a_batch_add_up():
    whole, parts = (fit(accumulate=n, batch_size=50, seed=2) for n in (1, 7))
    assert torch.allclose(weights(whole), weights(parts), atol=1e-4)


def test_weights_are_one_vector_and_nobody_notices():
    class Odd(torch.nn.Module):
        """Two types, a weight that is shared, one that is frozen, one that is not used."""

        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(4, 6, bias=False)
            self.again = self.first
            self.wide = torch.nn.Parameter(torch.ones(4, dtype=torch.float64))
            self.still = torch.nn.Parameter(torch.ones(()), requires_grad=False)
            self.idle = torch.nn.Parameter(torch.ones(3))

        def forward(self, x, alpha):
            rows = torch.cat([x, alpha[:, :2]], 1) * self.wide * self.still
            rows = rows.to(self.first.weight)
            return (self.first(rows) + self.again(rows)).reshape(len(x), 3, 2)

    network = Odd()
    before = {name: p.clone() for name, p in network.named_parameters()}
    model = fit(network=network, steps=30)
    after = dict(network.named_parameters())
    moved = {name for name, p in after.items() if not torch.equal(p, before[name])}
    assert moved == {"first.weight", "wide"}
    assert after["wide"].dtype == torch.float64 and not after["still"].requires_grad
    assert all(p.untyped_storage().nbytes() == p.nbytes for p in after.values())
    again = copy.deepcopy(model)
    assert torch.equal(again.transport(X, "a", "b"), model.transport(X, "a", "b"))


def test_bfloat16():
    model, plain = (fit(precision=p, steps=100, **SMALL) for p in ("bfloat16", None))
    assert weights(model).dtype == torch.float32
    moved = [m.transport(X, "a", "b") for m in (model, plain)]
    assert 0 < (moved[0] - moved[1]).abs().mean() < 0.3
    assert (moved[0] - X).abs().mean() > 1  # It has learned to move.


def test_the_clip_bounds_the_gradient():
    seen = []

    def look(run):
        seen.append(run.weights.flat.vectors[0].grad.norm().item())

    fit(clip=1e-3, callbacks=[look])
    assert max(seen) <= 1.001e-3
    fit(clip=None, callbacks=[look])
    assert max(seen) > 1e-2


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
    assert run.best_step == run.step - 15
    assert run.step < 300
    again = training.EarlyStopping(held_out, **options)
    value = multisi.analysis.report.ring(model.transport, again._data, samples=60, steps=4)
    assert value == pytest.approx(run.best)
    with pytest.raises(DataError, match="two or more data marginals"):
        fit(held_out={"a": X, "z": multisi.StandardNormal()})


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


class Growing(multisi.Coupling):
    """Draws that grow without bound after some steps."""

    def __init__(self, start, factor):
        self.start, self.factor = start, factor

    def sample(self, n, *, seed, step):
        xs = torch.randn(n, 2, 2, generator=torch.Generator().manual_seed(step))
        return xs * (self.factor if step >= self.start else 1)


@pytest.mark.parametrize(("factor", "what"), [(1e4, "has grown from"), (float("nan"), "not been")])
def test_divergence_keeps_the_last_good_weights(factor, what, tmp_path):
    file = tmp_path / "rescued.safetensors"
    with pytest.raises(TrainingDivergedError, match=what) as caught:
        fit({"a": X, "b": X}, coupling=Growing(200, factor), steps=400, rescue=file)
    assert str(file) in str(caught.value) and "weights are those of step" in str(caught.value)
    moved = multisi.load(file).transport(X, "a", "b")
    assert moved.abs().max() < 10


def test_divergence_names_the_marginal():
    class Bad(multisi.Coupling):
        def sample(self, n, *, seed, step):
            xs = torch.randn(n, 2, 2)
            xs[:, 1] *= float("nan") if step > 5 else 1
            return xs

    with pytest.raises(TrainingDivergedError, match="The draws of 'b' are not finite at step 25"):
        fit({"a": X, "b": X}, coupling=Bad(), steps=99, rescue="/nowhere/at/all")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(clip=0), "clip must be a finite number above 0"),
        (dict(accumulate=0), "accumulate must be an integer"),
        (dict(accumulate=10**6), "accumulate must be at most the rows of a process"),
        (dict(shard=1, run_dir="run"), "shard must be an instance of bool"),
        (dict(shard=True), "shard needs run_dir"),
        (dict(precision="float8"), "precision must be 'bfloat16' or None"),
        (dict(law="edges"), "law must be an instance of SimplexLaw"),
        (dict(coupling=Growing(0, 1), coupling_options={"a": 1}), "given by its name"),
        (dict(network_options={"preset": "huge"}), "preset must be one of small, medium, large"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        fit(**options)
