"""Exact laws that the library is held to."""

import safetensors.torch
import torch

import multisi


def files_hold_complex():
    """Whether this version of safetensors writes complex numbers."""
    try:
        return bool(safetensors.torch.save({"x": torch.zeros(1, dtype=torch.complex64)}))
    except (KeyError, ValueError):
        return False


NAMES = ("noise", "a", "b")


def gaussians(seed, marginals=3, d=4, condition=20.0, noise=False):
    """Means `(k, d)` and covariances `(k, d, d)`: rotated, eigenvalues evenly spaced."""
    source = torch.Generator().manual_seed(seed)
    means, covariances = [], []
    for _ in range(marginals):
        rotation, _ = torch.linalg.qr(torch.randn(d, d, generator=source, dtype=torch.float64))
        values = torch.linspace(1, condition, d, dtype=torch.float64)
        covariances.append((rotation * (values / values.mean())) @ rotation.T)
        means.append(2 * torch.randn(d, generator=source, dtype=torch.float64))
    if noise:
        means[0] = torch.zeros(d, dtype=torch.float64)
        covariances[0] = torch.eye(d, dtype=torch.float64)
    return torch.stack(means), torch.stack(covariances)


def gaussian_model(means, covariances, noise=None, names=NAMES):
    """The exact model of single Gaussians."""
    one = torch.ones(1, dtype=torch.float64)
    exact = multisi.GaussianMixtureMeans(
        [one] * len(means), list(means[:, None]), list(covariances[:, None])
    )
    return multisi.Model(exact, names[: len(means)], noise)


def pushed_law(model, means, covariances, i, j, **options):
    """Mean and covariance after transport, without sampling: the flow of Gaussians is affine."""
    d = means.shape[1]
    basis = torch.cat([torch.zeros(1, d), torch.eye(d)]).to(torch.float64)
    moved = model.transport(basis, model.marginals[i], model.marginals[j], **options)
    matrix = (moved[1:] - moved[0]).T
    return matrix @ means[i] + moved[0], matrix @ covariances[i] @ matrix.T


def law_errors(model, means, covariances, **options):
    """Relative errors of mean and covariance of every directed pair, shape `(pairs, 2)`."""
    errors = []
    for i in range(len(means)):
        for j in range(len(means)):
            if i != j:
                mean, covariance = pushed_law(model, means, covariances, i, j, **options)
                errors.append(
                    (
                        ((mean - means[j]).norm() / means[j].norm()).item(),
                        ((covariance - covariances[j]).norm() / covariances[j].norm()).item(),
                    )
                )
    return torch.tensor(errors)


def mixtures(seed=0, d=2, noise=True):
    """Weights, means and covariances of a standard normal and two mixtures; float64."""
    source = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=source, dtype=torch.float64)

    weights, means, covariances = [], [], []
    if noise:
        weights.append(torch.ones(1, dtype=torch.float64))
        means.append(torch.zeros(1, d, dtype=torch.float64))
        covariances.append(torch.eye(d, dtype=torch.float64)[None])
    for n in (3, 2):
        weights.append(torch.softmax(draw(n), 0))
        means.append(2 * draw(n, d))
        roots = 0.4 * draw(n, d, d)
        covariances.append(roots @ roots.mT + 0.1 * torch.eye(d, dtype=torch.float64))
    return weights, means, covariances


def sample_mixture(weights, means, covariances, n, seed):
    """`n` samples of one mixture, shape `(n, d)`."""
    source = torch.Generator().manual_seed(seed)
    which = torch.multinomial(weights, n, replacement=True, generator=source)
    z = torch.randn(n, means.shape[1], generator=source, dtype=torch.float64)
    roots = torch.linalg.cholesky(covariances)
    return means[which] + torch.einsum("nde,ne->nd", roots[which], z)


def relative_w2(law, target):
    """2-Wasserstein distance of two Gaussians (mean, covariance), over the target's deviation."""

    def root(matrix):
        values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
        return (vectors * values.clamp_min(0).sqrt()) @ vectors.T

    (m, c), (n, d) = law, target
    half = root(d)
    square = (m - n).square().sum() + torch.trace(c + d - 2 * root(half @ c @ half))
    return (square.clamp_min(0) / torch.trace(d)).sqrt().item()


def w2_errors(model, means, covariances, pairs, **options):
    """Relative 2-Wasserstein error of the law at the end, for pairs of marginals."""
    return [
        relative_w2(
            pushed_law(model, means, covariances, i, j, **options), (means[j], covariances[j])
        )
        for i, j in pairs
    ]
