"""Shapes that do not fit, and settings of torch that a user has chosen."""

import contextlib

import numpy as np
import pytest
import torch

import multisi
from multisi import Marginal, StandardNormal
from multisi.errors import ShapeError

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
PATH = multisi.paths.Segment([torch.eye(3)[1], torch.eye(3)[2]])
SMALL = {"width": 8, "depth": 1}


def fit(data, **options):
    return multisi.fit(
        data,
        **{"steps": 2, "progress": False, "batch_size": 16, "network_options": SMALL} | options,
    )


@pytest.mark.parametrize(
    ("fitted", "given", "hint"),
    [
        ((3, 8, 8), (3, 10, 10), "got"),
        ((3, 8, 8), (1, 8, 8), "got"),
        ((3, 8, 8), (8, 8), "got"),
        ((3, 8, 8), (8, 8, 3), "The axes are in another order: use numpy.moveaxis"),
        ((3, 8, 8), (192,), "Reshape it"),
        ((192,), (3, 8, 8), "Reshape it"),
        ((1,), (), "Reshape it"),
        ((), (1,), "Reshape it"),
        ((4,), (5,), "got"),
    ],
)
def test_shape_of_other_samples(fitted, given, hint, tmp_path):
    x = np.random.default_rng(0).normal(size=(60, *fitted))
    y = np.zeros((5, *given))
    model = fit({"z": StandardNormal(), "a": x, "b": x + 1})
    model.save(tmp_path / "m.safetensors")
    for each in (model, multisi.load(tmp_path / "m.safetensors")):
        for call in (
            lambda each=each: each.transport(y, "a", "b"),
            lambda each=each: each.transport(y, "z", "b", noise=0.5),
            lambda each=each: each.couple(y, "a"),
            lambda each=each: each.means(y, "a"),
            lambda each=each: each.score(y, {"z": 0.5, "a": 0.5}),
            lambda each=each: each.denoiser(y, "z"),
            lambda each=each: each.velocity(y, PATH, 0.5),
            lambda each=each: each.log_prob(y, "a"),
            lambda each=each: each.classify(y),
        ):
            with pytest.raises(ShapeError, match=rf"x must have shape \(b.*{hint}"):
                call()
    with pytest.raises(ShapeError, match="same event shape"):
        fit({"a": x, "b": y})


class Module(torch.nn.Module):
    """A network of the user, which does not tell its shapes."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 6, 3, padding=1)

    def forward(self, x, alpha):
        return self.layer(x).reshape(-1, 2, *x.shape[1:])


def test_shape_of_other_samples_with_a_module(tmp_path):
    x = torch.randn(30, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    model = fit({"a": x, "b": x + 1}, network=Module(), network_options=None)
    model.save(tmp_path / "m.safetensors")
    for each in (model, multisi.load(tmp_path / "m.safetensors", network=Module())):
        assert each.event_shape == (3, 8, 8)
        with pytest.raises(ShapeError, match=r"x must have shape \(b, 3, 8, 8\); got \(5, 3, 10"):
            each.transport(torch.zeros(5, 3, 10, 10), "a", "b")


EXACT = multisi.Model(
    multisi.GaussianMixtureMeans(
        [torch.ones(1)] * 2, [torch.zeros(1, 3), torch.ones(1, 3)], [torch.eye(3)[None]] * 2
    ),
    ["a", "b"],
)


def everything(folder):
    """What most users call, with all that a marginal carries."""
    b = Marginal(X + 1, labels=[0, 1] * 20, weights=np.arange(40), condition=X[:, :1])
    data = {"z": StandardNormal(), "a": Marginal(X, labels=[1, 0] * 20), "b": b}
    found = {}
    for coupling in ("independent", "ot", "class-aware"):
        model = fit(data, coupling=coupling, device="cpu")
        told = {"condition": X[:, 1:2], "steps": 3}
        found[coupling] = model.transport(X, "a", "b", **told)
    model = fit(data, device="cpu")
    for solver in ("srk", "midpoint"):
        found[solver] = model.transport(
            X, "a", "b", noise=0.5, seed=1, rows=range(40), solver=solver, **told
        )
    found["adaptive"] = model.transport(X, "a", "b", solver="adaptive", condition=[0.5])
    found["log_prob"] = model.log_prob(X, "a", **told)
    found["score"] = model.score(X, {"z": 0.5, "a": 0.5}, condition=[0.5])
    found["means"] = model.means(X, "a", condition=[0.5])
    found["velocity"] = model.velocity(X, PATH, 0.5, condition=[0.5])
    model.save(folder / "m.safetensors")
    found["loaded"] = multisi.load(folder / "m.safetensors").transport(X, "a", "b", **told)
    report = EXACT.evaluate({"a": X, "b": X + 1}, steps=3)
    found["report"] = torch.tensor([pair.energy_distance for pair in report.pairs], device="cpu")
    for name in ("energy_distance", "wasserstein", "sliced_wasserstein"):
        value = getattr(multisi.metrics, name)(X, X + 1)
        found[name] = torch.tensor(value, dtype=torch.float64, device="cpu")
    found["exact"] = EXACT.transport(X, "a", "b")
    return found


@contextlib.contextmanager
def setting(set_it, value, before):
    set_it(value)
    try:
        yield
    finally:
        set_it(before)


def deterministic(value):
    torch.use_deterministic_algorithms(value)


SETTINGS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "meta": lambda: setting(torch.set_default_device, "meta", None),
    "deterministic": lambda: setting(deterministic, True, False),
    "one thread": lambda: setting(torch.set_num_threads, 1, torch.get_num_threads()),
}


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return everything(tmp_path_factory.mktemp("usual"))


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_torch(name, usual, tmp_path):
    with SETTINGS[name]():
        found = everything(tmp_path)
    for key, value in usual.items():
        assert torch.allclose(found[key], value, atol=1e-5), key


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_settings_of_torch_for_the_default_type(kind, usual, tmp_path):
    """Networks are then made with other weights; results are finite, and keep their type."""
    with setting(torch.set_default_dtype, kind, torch.float32):
        found = everything(tmp_path)
    for key, value in usual.items():
        assert found[key].dtype == (kind if key == "report" else value.dtype), key
        assert torch.isfinite(found[key]).all(), key
    assert torch.allclose(found["exact"], usual["exact"], atol=1e-5)


def test_settings_of_torch_are_left_as_they_were(tmp_path):
    before = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    everything(tmp_path)
    with contextlib.suppress(ShapeError):
        fit({"a": X, "b": X[:, :2]})
    after = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
