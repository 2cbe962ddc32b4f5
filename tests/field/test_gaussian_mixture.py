import pytest
import torch

from multisi import GaussianMixtureMeans
from multisi.errors import ConfigError, DataError, ShapeError
from tests.closed_forms import mixtures, sample_mixture

EXACT = GaussianMixtureMeans(*mixtures())


def points(rows):
    return torch.tensor(rows, dtype=torch.float64)


def test_mixture_means_are_conditional_expectations():
    p, m, c = mixtures()
    alpha = torch.tensor([0.3, 0.3, 0.4], dtype=torch.float64)
    n = 400_000
    xs = torch.stack([sample_mixture(p[k], m[k], c[k], n, k) for k in range(3)], 1)
    x = torch.einsum("k,bkd->bd", alpha, xs)
    # Orthogonality: E[(x_k - g_k) f(x)] = 0 for every f, here within five standard errors.
    rest = xs - EXACT(x, alpha)
    for f in (torch.ones_like(x[:, 0]), x[:, 0], x[:, 1] ** 2, torch.sin(2 * x.sum(1))):
        product = rest * f[:, None, None]
        assert (product.mean(0).abs() <= 5 * product.std(0) / n**0.5).all()


def test_mixture_rows_on_different_faces():
    alpha = points([[1, 0, 0], [0, 0.5, 0.5], [0.2, 0.3, 0.5], [0, 1, 0], [0, 0.1, 0.9]])
    x = torch.randn(5, 2, dtype=torch.float64)
    together = EXACT(x, alpha)
    for i in range(5):
        assert torch.allclose(together[i : i + 1], EXACT(x[i : i + 1], alpha[i]), atol=1e-10)


def test_score_of_the_noise_head():
    alpha = points([0.4, 0.2, 0.4])
    p, m, c = mixtures()
    x = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    components = []
    for i in range(3):
        for j in range(2):
            mean = alpha[1] * m[1][i] + alpha[2] * m[2][j]
            cov = alpha[0] ** 2 * c[0][0] + alpha[1] ** 2 * c[1][i] + alpha[2] ** 2 * c[2][j]
            law = torch.distributions.MultivariateNormal(mean, cov)
            components.append(law.log_prob(x) + p[1][i].log() + p[2][j].log())
    (score,) = torch.autograd.grad(torch.logsumexp(torch.stack(components), 0).sum(), x)
    assert torch.allclose(score, -EXACT(x, alpha)[:, 0] / alpha[0], atol=1e-10)


def test_bad_mixtures():
    p, m, c = mixtures()
    with pytest.raises(ShapeError, match="3, 3 and 2 entries"):
        GaussianMixtureMeans(p, m, c[:2])
    with pytest.raises(ShapeError, match=r"Marginal 1: .* \(3, 1\)"):
        GaussianMixtureMeans(p, [m[0], m[1][:, :1], m[2]], c)
    with pytest.raises(DataError, match="Marginal 0: weights must be probabilities"):
        GaussianMixtureMeans([2 * p[0], *p[1:]], m, c)
    with pytest.raises(DataError, match=r"Marginal 2: .* component 0 is not"):
        GaussianMixtureMeans(p, m, [*c[:2], -c[2]])
    with pytest.raises(DataError, match=r"Marginal 0: .*finite"):
        GaussianMixtureMeans(p, [m[0] / 0, *m[1:]], c)
    with pytest.raises(ShapeError, match="one dimension d"):
        GaussianMixtureMeans(p[:2], [m[0][:, :1], m[1]], [c[0][:, :1, :1], c[1]])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda p, m, c: ([], [], []), ShapeError, r"weights .*list.* \[\]"),
        (lambda p, m, c: (None, m, c), ShapeError, "weights .*list.* None"),
        (lambda p, m, c: (torch.tensor(3.0), m, c), ShapeError, r"weights .*list.*tensor\(3"),
        (lambda p, m, c: ([None] * 3, m, c), DataError, "Marginal 0: .*numbers.*NoneType"),
        (lambda p, m, c: (p, ["x"] * 3, c), DataError, "Marginal 0: .*numbers.*str"),
        (
            lambda p, m, c: (p, [part + 0j for part in m], c),
            DataError,
            "Marginal 0: means .*real.*complex128",
        ),
        (
            lambda p, m, c: (p, m, [part.to("meta") for part in c]),
            DataError,
            "Marginal 0: covariances .*without values",
        ),
        (
            lambda p, m, c: (p, [part[:, :0] for part in m], [part[:, :0, :0] for part in c]),
            ShapeError,
            r"Marginal 0: .*\(1, 0\) and \(1, 0, 0\)",
        ),
        (
            lambda p, m, c: ([part[:0] for part in part_of] for part_of in (p, m, c)),
            ShapeError,
            r"Marginal 0: .*\(0,\), \(0, 2\) and \(0, 2, 2\)",
        ),
    ],
)
def test_what_is_no_mixture(change, error, message):
    with pytest.raises(error, match=message):
        GaussianMixtureMeans(*change(*mixtures()))


def test_the_component_that_is_not_symmetric_is_named():
    bent = torch.eye(2).repeat(3, 1, 1)
    bent[1, 0, 1] = 0.5
    third, means = torch.full((3,), 1 / 3), torch.zeros(3, 2)
    with pytest.raises(DataError, match=r"Marginal 0: .* component 1 is not"):
        GaussianMixtureMeans([third] * 2, [means] * 2, [bent, torch.eye(2).repeat(3, 1, 1)])


def test_too_many_components_are_counted():
    big = GaussianMixtureMeans(
        [torch.full((200,), 1 / 200)] * 2,
        [torch.randn(200, 2)] * 2,
        [torch.eye(2).repeat(200, 1, 1)] * 2,
    )
    assert big(torch.zeros(1, 2), torch.tensor([1.0, 0.0])).shape == (1, 2, 2)
    with pytest.raises(ConfigError, match="have 40000 choices"):
        big(torch.zeros(1, 2), torch.tensor([0.5, 0.5]))
