import time

import pytest
import torch

import multisi
from multisi import training
from multisi.errors import TrainingDivergedError
from multisi.training.balance import Balance
from multisi.training.gradient import Gradient

X = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
DATA = {"z": multisi.StandardNormal(), "a": X, "b": X * 0.5 + 2}
SMALL = {"network_options": {"width": 16}, "batch_size": 32}


def fit(marginals=DATA, **options):
    return multisi.fit(marginals, **{"steps": 20, "progress": False} | options)


def weights(model):
    return torch.cat([p.flatten() for p in model.conditional_means.parameters()])


def test_a_loop_by_hand_does_what_fit_does():
    batches = training.Batches(DATA, seed=1)
    means = batches.means("mlp", width=16)
    schedule = training.Schedule(steps=20)
    optimiser = torch.optim.Adam(means.parameters())
    average = training.Average(means)
    balance = Balance(3, means.reference)
    gradient = Gradient(means, balance, accumulate=1, rows=batches.batch_size)
    for step in range(20):
        optimiser.param_groups[0]["lr"] = schedule.rate(step / 20)
        optimiser.zero_grad()
        _, seen = gradient(batches(step), batches.batch_size)
        balance.add(seen)
        optimiser.step()
        average.update()
    model = batches.model(average.means)
    same = fit(network_options={"width": 16}, seed=1, clip=None)
    assert torch.allclose(weights(model), weights(same), atol=1e-5)
    assert model.transport(X, "a", "b").shape == X.shape


def test_parts_of_a_batch_add_up():
    whole, parts = (fit(accumulate=n, batch_size=50, seed=2) for n in (1, 7))
    assert torch.allclose(weights(whole), weights(parts), atol=1e-4)


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


def test_the_time_limit_counts_from_the_call():
    def run(**schedule):
        batches = training.Batches(DATA, batch_size=8, device="cpu")
        options = {"steps": 10**6} | schedule
        return training.Training(batches.means(width=8), batches, training.Schedule(**options))

    late = run(max_seconds=900)
    late.run(since=time.perf_counter() - 1000)
    assert late.step == 1 and late.counts.prepared >= 1000 and late.seconds > 1000
    # What was prepared takes its share of the limit, and none of the warm-up.
    waited = run(max_seconds=1000.5)
    waited.run(since=time.perf_counter() - 1000)
    assert 1000.5 <= waited.seconds < 1010 and waited.step > 1
    # A resumed run has what is left.
    resumed = run(max_seconds=1000.5)
    resumed.restore(*waited.state(), waited.average.means.state_dict())
    resumed.run()
    assert resumed.step == waited.step and resumed.seconds >= waited.seconds


def test_a_fit_takes_the_time_that_it_is_given():
    start = time.perf_counter()
    card = fit(steps=10**6, max_seconds=0.5, **SMALL).card["training"]
    assert 0.5 <= card["seconds"] <= time.perf_counter() - start + 0.1
    assert card["steps"] > 1
