import pytest
import torch

from multisi import Diffusion, GaussianMixtureMeans, Model, ProbabilityFlow
from multisi.errors import ConfigError, ScoreError
from multisi.interpolants import Interpolant
from multisi.interpolants.barycentric import Barycentric
from multisi.paths.bow import Bow
from multisi.paths.polyline import Segment
from tests.closed_forms import mixtures

E = torch.eye(3, dtype=torch.float64)
EXACT = GaussianMixtureMeans(*mixtures())
Y = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(4, 2)


class Sphere(Interpolant):
    """Weights of unit length: the same simplex coordinates at another scale."""

    def weights(self, alpha):
        return alpha / alpha.norm(dim=-1, keepdim=True)


def times(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_velocity_is_the_combination_of_the_means():
    flow = ProbabilityFlow(EXACT, Segment([E[1], E[2]]), Barycentric())
    g = flow.means(Y, flow.alpha(0.3))
    assert torch.allclose(flow.velocity(Y, 0.3), g[:, 2] - g[:, 1], atol=1e-10)
    assert torch.equal(flow.drift(Y, 0.3), flow.velocity(Y, 0.3))
    assert flow.diffusion(0.3) == 0


@pytest.mark.parametrize("interpolant", [Barycentric(), Sphere()])
@pytest.mark.parametrize(
    "path", [Bow([E[1], E[2]]), Bow([E[[1, 1, 2, 0]], E[[2, 0, 0, 1]]])], ids=["one", "rows"]
)
def test_increments_tend_to_the_drift(interpolant, path):
    diffusion = Diffusion(EXACT, path, interpolant, 0.7)
    h = 1e-6
    start = times(0.4, 0.6)
    change = diffusion.alpha(start + h) - diffusion.alpha(start)
    move = diffusion.increments(Y, start, lambda part: change[part], times(h, h))
    for i, t in enumerate((0.4, 0.6)):
        assert torch.allclose(move(i, Y) / h, diffusion.drift(Y, t), atol=1e-4)


def test_drift_of_the_diffusion_has_the_score():
    path = Bow([E[1], E[2]])
    flow, diffusion = ProbabilityFlow(EXACT, path, Sphere()), Diffusion(EXACT, path, Sphere(), 0.7)
    for t in (0.2, 0.5, 0.9):
        alpha = flow.alpha(t)
        score = -flow.means(Y, alpha)[:, 0] / alpha[0]
        epsilon = diffusion.diffusion(t) ** 2 / 2
        assert torch.allclose(diffusion.drift(Y, t), flow.drift(Y, t) + epsilon * score)
        w = diffusion.weights(times(t))
        assert torch.allclose(epsilon, 0.7 * w[..., 0] / w.sum() ** 2)


def test_marginal_law_is_that_of_the_flow():
    """Fokker-Planck for Gaussians: mean and variance move as along the flow, for any noise."""
    one = torch.ones(1, dtype=torch.float64)
    means = GaussianMixtureMeans(
        [one] * 3,
        list(times(0, 1, -2)[:, None, None]),
        list(times(1, 0.5, 2)[:, None, None, None]),
    )
    path = Bow([E[1], E[2]])
    diffusion = Diffusion(means, path, Barycentric(), 1.3)
    h = 1e-6

    def law(t):
        alpha = path(times(t)[0])
        return alpha @ times(0, 1, -2), alpha**2 @ times(1, 0.5, 2)

    for t in (0.1, 0.5, 0.8):
        drift = diffusion.drift(times(0, 1)[:, None], t)[:, 0]
        slope, value = drift[1] - drift[0], drift[0]
        mean, variance = law(t)
        rate = [(b - a) / (2 * h) for a, b in zip(law(t - h), law(t + h), strict=True)]
        assert torch.allclose(value + slope * mean, rate[0], atol=1e-6)
        assert torch.allclose(
            2 * slope * variance + diffusion.diffusion(t) ** 2, rate[1], atol=1e-6
        )


def test_noise_needs_the_noise_marginal_inside():
    with pytest.raises(ScoreError, match="path='bow' or via"):
        Diffusion(EXACT, Segment([E[1], E[2]]), Barycentric(), 0.5)
    Diffusion(EXACT, Segment([E[0], E[2]]), Barycentric(), 0.5)
    for noise in (-1.0, float("nan"), float("inf"), "much", True):
        with pytest.raises(ConfigError, match="noise must be a finite number"):
            Diffusion(EXACT, Bow([E[1], E[2]]), Barycentric(), noise)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_tables_of_many_rows_and_steps(noise):
    """Made ahead in several blocks where there are many rows, in one where there are few."""
    still = Model(lambda x, alpha: x[:, None].tanh().expand(-1, 3, -1), ("z", "a", "b"), "z")
    x = torch.linspace(-1, 1, 4000).reshape(2000, 2)
    options = dict(noise=noise, seed=0, solver="midpoint", steps=360)
    whole = still.transport(x, ["a"] * 2000, ["b"] * 2000, rows=range(2000), **options)
    few = still.transport(x[-3:], ["a"] * 3, ["b"] * 3, rows=range(1997, 2000), **options)
    assert torch.allclose(whole[-3:], few, atol=1e-6)
