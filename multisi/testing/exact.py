"""The exact Gaussian case: three laws in the plane, their conditional means, and errors."""

from typing import Any

import torch
from torch import Tensor

from multisi.field.gaussian_mixture import GaussianMixtureMeans
from multisi.model.model import Model

NAMES = ("noise", "a", "b")
MEANS = torch.tensor([[0.0, 0.0], [2.0, -1.0], [-1.0, 1.5]], dtype=torch.float64)
COVARIANCES = torch.tensor(
    [[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.3], [0.3, 1.0]], [[1.2, -0.6], [-0.6, 0.6]]],
    dtype=torch.float64,
)


def means() -> GaussianMixtureMeans:
    """The exact conditional means, in float64."""
    one = torch.ones(1, dtype=torch.float64)
    return GaussianMixtureMeans([one] * 3, list(MEANS[:, None]), list(COVARIANCES[:, None]))


def error_at_the_end(**options: Any) -> float:
    """Relative error of the law of a after a transport to b; the flow is affine."""
    basis = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    moved: Tensor = Model(means(), NAMES, "noise").transport(basis, "a", "b", **options)
    return error_of_map(moved)


def error_of_map(moved: Tensor) -> float:
    """The same, from the images of zero and the two unit vectors."""
    matrix = (moved[1:] - moved[0]).T
    return _error(matrix @ MEANS[1] + moved[0], matrix @ COVARIANCES[1] @ matrix.T)


def error_of_samples(samples: Tensor) -> float:
    """The same, from the moments of samples."""
    return _error(samples.mean(0), torch.cov(samples.T))


def draw(n: int, seed: int = 0) -> Tensor:
    """Samples of a, shape `(n, 2)`, whose first two moments are exact."""
    z = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    z = z - z.mean(0)
    z = z @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(z.T))).T
    drawn: Tensor = MEANS[1] + z @ torch.linalg.cholesky(COVARIANCES[1]).T
    return drawn


def _error(mean: Any, covariance: Any) -> float:
    of_mean = float((mean - MEANS[2]).norm() / MEANS[2].norm())
    of_covariance = float((covariance - COVARIANCES[2]).norm() / COVARIANCES[2].norm())
    return max(of_mean, of_covariance)
