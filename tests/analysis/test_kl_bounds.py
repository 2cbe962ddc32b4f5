import math

import pytest
import torch

import multisi
from multisi import ConditionalMeans, Diffusion, ProbabilityFlow, analysis, noise
from multisi.analysis.calibration import Calibration
from multisi.errors import ConfigError, DataError, ScoreError, ShapeError
from multisi.interpolants.barycentric import Barycentric
from multisi.paths.polyline import Segment

E = torch.eye(2, dtype=torch.float64)
MEAN = torch.tensor([1.5, -1.0], dtype=torch.float64)
COVARIANCE = torch.tensor([[1.0, 0.4], [0.4, 0.5]], dtype=torch.float64)
ONE = torch.ones(1, dtype=torch.float64)
EXACT = multisi.GaussianMixtureMeans(
    [ONE, ONE], [0 * MEAN[None], MEAN[None]], [E[None], COVARIANCE[None]]
)
TRUTH = multisi.Model(EXACT, ("noise", "a"), "noise")
PATH = Segment([E[0], E[1]])


class Perturbed(torch.nn.Module):
    """The exact means and an affine error that keeps the score finite."""

    def __init__(self, seed):
        super().__init__()
        source = torch.Generator().manual_seed(seed)
        matrix = torch.randn(2, 2, generator=source, dtype=torch.float64)
        shift = torch.randn(2, generator=source, dtype=torch.float64)
        self.register_buffer("matrix", 0.2 * matrix)
        self.register_buffer("shift", 0.3 * shift)

    def forward(self, x, alpha):
        error = x @ self.matrix.T + self.shift
        first, second = alpha[:, :1], alpha[:, 1:]
        return EXACT(x, alpha) + torch.stack([-first * second * error, first**2 * error], 1)


def samples(n=20_000):
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return {"a": MEAN + z @ torch.linalg.cholesky(COVARIANCE).T}


def true_kl(network, epsilon, steps=60):
    """KL divergence of the target from the law at the end, whose moments are integrated."""
    means = ConditionalMeans(network)
    if epsilon:
        dynamics = Diffusion(means, PATH, Barycentric(), noise.constant(epsilon))
    else:
        dynamics = ProbabilityFlow(means, PATH, Barycentric())
    basis = torch.cat([torch.zeros(1, 2), torch.eye(2)]).double()
    m, c, h = torch.zeros(2).double(), E.clone(), 1 / steps
    for i in range(steps):
        drift = dynamics.drift(basis, (i + 0.5) * h)
        slope, at_zero = (drift[1:] - drift[0]).T, drift[0]
        rate = slope @ m + at_zero
        step = torch.matrix_exp(slope * h)
        kick = 2 * epsilon * h * E
        m, c = m + h * rate + h * h / 2 * slope @ rate, step @ (c + kick / 2) @ step.T + kick / 2
    inverse = torch.linalg.inv(c)
    gap = m - MEAN
    return (
        torch.trace(inverse @ COVARIANCE)
        + gap @ inverse @ gap
        - 2
        + torch.logdet(c)
        - torch.logdet(COVARIANCE)
    ).item() / 2


@pytest.mark.parametrize("seed", range(3))
def test_bounds_hold_and_point_to_the_best_noise(seed):
    network = Perturbed(seed)
    model = multisi.Model(network, ("noise", "a"), "noise")
    options = dict(exact=True, path=PATH, count=4000, noise=noise.constant(1.0))
    found = analysis.bounds(model, TRUTH, samples(), "noise", "a", **options)
    scan = [0.1 * 1.35**i for i in range(16)]
    each = [true_kl(network, epsilon) for epsilon in scan]
    velocity, score = found.velocity.value, found.score.value
    for epsilon, kl in zip(scan, each, strict=True):
        assert kl <= velocity / (2 * epsilon) + epsilon * score / 2
    assert true_kl(network, 1.0) <= float(found.diffusion)
    assert float(found.diffusion) <= velocity / 2 + score / 2
    best = scan[min(range(len(scan)), key=lambda i: each[i])]
    assert best / 2 <= found.epsilon <= best * 2
    assert found.best == pytest.approx(math.sqrt(velocity * score)) and found.exact


def test_the_flow_needs_the_fisher_term():
    for seed in range(2):
        model = multisi.Model(Perturbed(seed), ("noise", "a"), "noise")
        options = dict(exact=True, path=PATH, count=200, fisher=True, steps=16)
        found = analysis.bounds(model, TRUTH, samples(), "noise", "a", **options)
        assert true_kl(Perturbed(seed), 0.0) <= found.flow
        assert found.fisher.value > 0 and found.diffusion is None


def test_a_perfect_model_has_no_loss():
    found = analysis.bounds(TRUTH, TRUTH, samples(100), "noise", "a", exact=True, path=PATH)
    assert found.velocity.value == found.score.value == 0 and found.epsilon == math.inf


def test_auto_takes_the_best_constant():
    model = multisi.Model(Perturbed(1), ("noise", "a"), "noise")
    z = torch.randn(50, 2, dtype=torch.float64)
    with pytest.raises(ConfigError, match=r"call model.calibrate\(twin, samples\) first"):
        model.transport(z, "noise", "a", noise="auto")
    model.calibrate(TRUTH, samples(), exact=True)
    options = dict(path=PATH, seed=0, steps=8)
    best = analysis.bounds(model, TRUTH, samples(), "noise", "a", exact=True, path=PATH).epsilon
    moved = model.transport(z, "noise", "a", noise="auto", **options)
    again = model.transport(z, "noise", "a", noise=noise.constant(best), **options)
    assert torch.equal(moved, again)
    with pytest.raises(ConfigError, match="by their names"):
        model.transport(z, [1.0, 0.0], "a", noise="auto")
    with pytest.raises(ConfigError, match="found no difference"):
        TRUTH.calibrate(TRUTH, samples(50)).transport(z, "noise", "a", noise="auto", path=PATH)
    with pytest.raises(ConfigError, match="noise must be a finite number"):
        model.transport(z, "noise", "a", noise="automatic")


def test_twins_estimate_half_their_difference():
    one, two = (multisi.Model(Perturbed(seed), ("noise", "a"), "noise") for seed in (0, 1))
    options = dict(path=PATH, count=4000)
    whole = analysis.bounds(one, two, samples(), "noise", "a", exact=True, **options)
    half = analysis.bounds(one, two, samples(), "noise", "a", exact=False, **options)
    assert half.velocity.value == pytest.approx(whole.velocity.value / 2)
    assert half.epsilon == pytest.approx(whole.epsilon) and not half.exact


def test_bad_input():
    x = samples(50)
    other = multisi.Model(EXACT, ("noise", "b"), "noise")
    with pytest.raises(ConfigError, match="the same marginals"):
        analysis.bounds(TRUTH, other, x, "noise", "a", exact=True)
    with pytest.raises(DataError, match="Samples are needed of a"):
        analysis.bounds(TRUTH, TRUTH, {}, "noise", "a", exact=True)
    with pytest.raises(ConfigError, match="The Fisher term needs"):
        analysis.bounds(TRUTH, TRUTH, x, "a", "noise", exact=True, fisher=True)
    bare = multisi.Model(EXACT, ("c", "a"))
    with pytest.raises(ScoreError, match="needs a standard-normal marginal"):
        analysis.bounds(bare, bare, x, "c", "a", exact=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": "abc"}, ConfigError, "model .*Field"),
        ({"other": None}, ConfigError, "truth, .*Field"),
        ({"other": multisi.Model}, ConfigError, "instance, not a class"),
        ({"samples": None}, DataError, "Samples are needed of a"),
        ({"samples": 3}, ConfigError, "samples .*dict"),
        ({"samples": {"a": torch.zeros(0, 2)}}, DataError, "Samples of 'a': .*at least 2 rows"),
        ({"path": 3}, ConfigError, "path .*Path"),
        ({"steps": "x"}, ConfigError, "steps .*integer"),
    ],
)
def test_what_cannot_be_bounded(options, error, message):
    given = dict(model=TRUTH, other=TRUTH, samples=samples(9), source="noise", target="a")
    with pytest.raises(error, match=message):
        analysis.bounds(**given | options, exact=True)


def test_samples_are_of_one_shape():
    one = [torch.ones(1)] * 3
    eye = [torch.eye(2)[None]] * 3
    model = multisi.Model(
        multisi.GaussianMixtureMeans(one, [torch.zeros(1, 2)] * 3, eye), ["z", "a", "b"], "z"
    )
    data = {"a": torch.zeros(4, 1), "b": torch.zeros(4, 2)}
    with pytest.raises(ShapeError, match=r"a must have shape \(b, 2\); got \(4, 1\)"):
        analysis.bounds(model, model, data, "a", "b", exact=True)


@pytest.mark.parametrize(
    ("twin", "data", "error", "message"),
    [
        ("abc", samples(9), ConfigError, "Field.* 'abc'"),
        (
            multisi.Model(EXACT, ("noise", "b"), "noise"),
            samples(9),
            ConfigError,
            "the same marginals",
        ),
        (TRUTH, None, DataError, "samples .*none"),
        (TRUTH, {}, DataError, "samples .*none"),
        (TRUTH, 3, ConfigError, "samples .*3"),
    ],
)
def test_what_cannot_calibrate(twin, data, error, message):
    with pytest.raises(error, match=message):
        TRUTH.calibrate(twin, data)
    with pytest.raises(error, match=message):
        Calibration(TRUTH, twin, data, exact=False)
