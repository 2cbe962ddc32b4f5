"""Distances between two sets of samples."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from multisi.common import arrays, checks, frames, seeds
from multisi.common.assignment import assign
from multisi.common.shapes import flat
from multisi.common.torch_state import own_state
from multisi.errors import DataError, ShapeError

_ROWS, _LONG, _NUMBERS = 1024, 32, 2**22
"""Rows whose distances are computed at once; the length of short rows; most numbers gathered."""


@own_state
def energy_distance(x: Any, y: Any, biased: bool = False) -> float:
    r"""Energy distance $2 E|X - Y| - E|X - X'| - E|Y - Y'|$, zero only for equal laws.

    Arguments:
        x: Samples, shape `(n, *event)`.
        y: Samples, shape `(m, *event)`.
        biased: Use the V-statistic, which is never negative, instead of the unbiased U-statistic.

    Returns:
        The distance, in the units of the samples.

    Raises:
        ShapeError: `x` and `y` have different event shapes.
        DataError: `x` or `y` has values that are not finite, or fewer than two rows.

    Examples:
        >>> energy_distance([[0.0], [1.0]], [[2.0], [3.0]])
        2.0
    """
    a, b, unit = _scaled(x, y)
    n, m = len(a), len(b)
    shrink = (1.0, 1.0) if biased else (n / (n - 1), m / (m - 1))
    within = shrink[0] * mean_distance(a, a) + shrink[1] * mean_distance(b, b)
    return _finite((2 * mean_distance(a, b) - within) * unit)


@own_state
def mean_distance(a: Tensor, b: Tensor) -> float:
    """Mean Euclidean distance over all pairs of rows.

    Arguments:
        a: Vectors, shape `(n, d)`.
        b: Vectors, shape `(m, d)`.

    Examples:
        >>> mean_distance(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0]]))
        2.5
    """
    total = sum(_distances(part, b).sum().item() for part in torch.split(a, _ROWS))
    return total / (len(a) * len(b))


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances of all pairs of rows, to nine digits at least, shape `(n, m)`.

    Long rows are multiplied as matrices, which loses digits where two rows are close to each other
    beside their sizes; these distances are computed again.
    """
    if a.shape[1] <= _LONG:
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    x, y = a - b.mean(0), b - b.mean(0)
    found = torch.cdist(x, y, compute_mode="use_mm_for_euclid_dist")
    near = found <= 1e-3 * (x.norm(dim=1)[:, None] + y.norm(dim=1))
    for part in torch.split(near.nonzero(), max(1, _NUMBERS // a.shape[1])):
        i, j = part.unbind(1)
        found[i, j] = (a[i] - b[j]).norm(dim=1)
    return found


@own_state
def wasserstein(x: Any, y: Any) -> float:
    r"""Exact 2-Wasserstein distance $\min_\sigma (E|x_i - y_{\sigma(i)}|^2)^{1/2}$ of samples.

    The time grows with the cube of the number of rows: 1000 rows take a third of a second.

    Arguments:
        x: Samples, shape `(n, *event)`.
        y: Samples, shape `(m, *event)`; the first `min(n, m)` rows of both are used.

    Raises:
        ShapeError: `x` and `y` have different event shapes.
        DataError: `x` or `y` has values that are not finite, or fewer than two rows.

    Examples:
        >>> wasserstein([[0.0], [1.0]], [[3.0], [2.0]])
        2.0
    """
    a, b, unit = _scaled(x, y)
    few = min(len(a), len(b))
    cost = _distances(a[:few], b[:few]).square()
    return _finite(math.sqrt(cost.gather(1, assign(cost)[:, None]).mean().item()) * unit)


@own_state
def sliced_wasserstein(x: Any, y: Any, projections: int = 200, seed: int = 0) -> float:
    r"""Sliced 2-Wasserstein distance: the root mean square of distances along random directions.

    Arguments:
        x: Samples, shape `(n, *event)`.
        y: Samples, shape `(m, *event)`; the first `min(n, m)` rows of both are used.
        projections: Number of directions, drawn uniformly.
        seed: Seed of the directions.

    Raises:
        ShapeError: `x` and `y` have different event shapes.
        DataError: `x` or `y` has values that are not finite, or fewer than two rows.
        ConfigError: `projections` is not a positive integer, or `seed` is invalid.

    Examples:
        >>> sliced_wasserstein([[0.0], [1.0]], [[3.0], [2.0]])
        2.0
    """
    a, b, unit = _scaled(x, y)
    few, projections = min(len(a), len(b)), checks.integer(projections, "projections")
    source = seeds.generator(seeds.check(seed))
    shape = (a.shape[1], projections)
    directions = torch.randn(shape, generator=source, dtype=a.dtype, device=a.device)
    directions = directions / directions.norm(dim=0)
    low, high = ((part[:few] @ directions).sort(0).values for part in (a, b))
    return _finite(math.sqrt((high - low).square().mean().item()) * unit)


class PermutationTest(NamedTuple):
    """Energy distance of two sets of samples, and its p-value.

    Examples:
        >>> PermutationTest(statistic=0.0, p_value=1.0).p_value
        1.0
    """

    statistic: float
    """The energy distance."""
    p_value: float
    """Share of the permutations, the identity included, with at least this energy distance."""


@own_state
def permutation_test(x: Any, y: Any, permutations: int = 999, seed: int = 0) -> PermutationTest:
    """Permutation test of whether two sets of samples have the same law, by the energy distance.

    Arguments:
        x: Samples, shape `(n, *event)`.
        y: Samples, shape `(m, *event)`.
        permutations: Number of random permutations of all samples.
        seed: Seed of the permutations.

    Raises:
        ShapeError: `x` and `y` have different event shapes.
        DataError: `x` or `y` has values that are not finite, or fewer than two rows.
        ConfigError: `permutations` is not a positive integer, or `seed` is invalid.

    Examples:
        >>> permutation_test([[0.0], [0.1], [0.2]] * 9, [[1.0], [1.1]] * 9).p_value
        0.001
    """
    a, b, unit = _scaled(x, y)
    permutations = checks.integer(permutations, "permutations")
    both = torch.cat([a, b])
    both -= both.mean(0)  # `cdist` expands squares, which would lose digits far from zero.
    n, m = len(a), len(b)
    source = seeds.generator(seeds.check(seed))
    signs = torch.full((permutations + 1, n + m), -1.0 / m, dtype=torch.float32, device=a.device)
    signs[0, :n] = 1.0 / n
    for row in signs[1:]:
        row[torch.randperm(n + m, generator=source, device=a.device)[:n]] = 1.0 / n
    # With s = 1/n on one sample and -1/m on the other, the biased statistic is -s' D s. The
    # entries of s sum to zero, so D may be centred, which reduces rounding errors.
    centre = mean_distance(both[:_ROWS], both[:_ROWS])
    statistics = torch.zeros(permutations + 1, dtype=torch.float64, device=a.device)
    for i in range(0, n + m, _ROWS):
        distances = (torch.cdist(both[i : i + _ROWS], both) - centre).float()
        statistics -= ((signs @ distances.T) * signs[:, i : i + _ROWS]).sum(1)
    as_large = (statistics[1:] >= statistics[0]).sum().item()
    return PermutationTest(
        _finite(energy_distance(a, b) * unit), (1 + as_large) / (1 + permutations)
    )


@own_state
def gaussian_map(source: Any, target: Any) -> Any:
    r"""The optimal transport map between the Gaussians with the moments of two sets of samples.

    $T(x) = m_1 + A (x - m_0)$ with
    $A = C_0^{-1/2} (C_0^{1/2} C_1 C_0^{1/2})^{1/2} C_0^{-1/2}$, a baseline for colour transfer.

    Arguments:
        source: Samples, shape `(n, *event)`.
        target: Samples, shape `(m, *event)`.

    Returns:
        A function from samples, shape `(b, *event)`, to float64 tensors of shape `(b, d)`.

    Raises:
        ShapeError: `source` and `target` have different event shapes.
        DataError: `source` or `target` has values that are not finite, or fewer than two rows.

    Examples:
        >>> gaussian_map([[0.0], [1.0]], [[2.0], [4.0]])([[1.0]]).round()
        tensor([[4.]], dtype=torch.float64)
    """
    a, b = _pair(source, target)
    features = frames.names(source, "source") if frames.is_frame(source) else None
    unit, scale = _unit(a), _unit(b)
    a, b = a / unit, b / scale
    m0, m1 = a.mean(0), b.mean(0)
    # In the span of the rows of the source, V, where C_0 = V S² V', so that no matrix has more
    # rows than there are samples: A = V S⁻¹ (S V' C_1 V S)^½ S⁻¹ V'.
    root, basis = _spectrum((a - m0) / math.sqrt(len(a) - 1))
    product, turn = _spectrum((b - m1) / math.sqrt(len(b) - 1) @ (basis * root))
    half = turn / root[:, None]
    matrix = (half * product) @ half.T

    @own_state
    def transport(x: Any) -> Tensor:
        rows = _rows(x, "x", features)
        if rows.shape[1] != len(m0):
            raise ShapeError(f"x must have rows of {len(m0)} numbers; got {rows.shape[1]}.")
        return (m1 + (rows / unit - m0) @ basis @ matrix @ basis.T) * scale

    return transport


def _spectrum(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Singular values, without those that are zero up to rounding, and their vectors `(d, r)`."""
    _, values, vectors = torch.linalg.svd(rows, full_matrices=False)
    kept = values > values[:1].clamp_min(torch.finfo(values.dtype).tiny) * 1e-6
    return values[kept], vectors[kept].T


def _pair(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    features = frames.names(x, "x") if frames.is_frame(x) else None
    a, b = _rows(x, "x"), _rows(y, "y", features)
    if np.shape(x)[1:] != np.shape(y)[1:]:
        raise ShapeError(
            f"x and y must have the same event shape; got {np.shape(x)[1:]} and {np.shape(y)[1:]}."
        )
    if min(len(a), len(b)) < 2:
        raise DataError(f"At least 2 rows are needed on each side; got {len(a)} and {len(b)}.")
    if not a.shape[1]:
        raise DataError(f"Rows must not be empty; got shape {np.shape(x)}.")
    return a, b


def _scaled(x: Any, y: Any) -> tuple[Tensor, Tensor, float]:
    """Both sets of samples divided by a common unit, and that unit."""
    a, b = _pair(x, y)
    unit = _unit(torch.cat([a, b]))
    return a / unit, b / unit, unit


def _unit(rows: Tensor) -> float:
    """A power of two such that, in this unit, squared differences do not over- or underflow."""
    # Halves, since the difference may overflow. The lower bound keeps a common offset from
    # overflowing in turn.
    spread = (rows.amax(0) / 2 - rows.amin(0) / 2).max().item()
    size = max(spread, math.ldexp(rows.abs().max().item(), -500))
    return math.ldexp(1.0, math.frexp(size)[1] - 1) if size else 1.0


def _finite(distance: float) -> float:
    if not math.isfinite(distance):
        raise DataError("The distance is too large for float64. Choose other units for x and y.")
    return distance


def _rows(x: Any, what: str, features: Sequence[str] | None = None) -> Tensor:
    """Samples as vectors, float64 on the CPU; a table has its columns in the given order."""
    return flat(arrays.Given.of(x, features, what).rows.cpu().to(torch.float64))
