r"""Which features of moved samples have another law than in the target: tests of each by itself.

Of each feature the distribution functions $F$ of the moved samples and $G$ of the target's are
compared by the test of Kolmogorov and Smirnov. Differences below a tolerance $\tau$ do not count:
the statistic is $\max_t \max(F(t) - G(t + \tau), G(t) - F(t + \tau))$, which is never above the
usual one, so that constants and discrete values that are met up to rounding are not found wrong.
$\tau$ is a hundredth of the interquartile range of the target, and what rounding can cause.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import kolmogorov
from torch import Tensor

LEVEL = 0.01
"""Probability that any feature of any pair is found wrong though all laws are right, at most."""
SHOWN = 20
"""Largest number of features that are named."""
_TOLERANCE = 0.01
"""Share of the interquartile range within which values count as equal."""


@dataclass(frozen=True)
class Wrong:
    """The features that are found wrong, worst first: how many, and those that are named.

    Arguments:
        count: The number of all of them.
        names: The names of the worst of them.
        shifts: Mean of the moved samples minus that of the target.
        spreads: Standard deviation of the moved samples over that of the target.
    """

    count: int
    names: tuple[str, ...]
    shifts: tuple[float, ...]
    spreads: tuple[float, ...]


def wrong_features(
    x: Tensor,
    y: Tensor,
    names: Sequence[str],
    *,
    rounding: Tensor,
    tests: int,
) -> Wrong:
    """The features whose law differs between two sets of samples.

    Arguments:
        x: Moved samples, float64, shape `(n, d)`.
        y: Samples of the target, float64, shape `(m, d)`.
        names: Name of each feature.
        rounding: The error of each feature that rounding can cause, shape `(d,)`.
        tests: Number of all tests of the report; p-values are compared with `LEVEL / tests`.
    """
    distances = statistics(x, y, rounding).numpy()
    size = np.sqrt(len(x) * len(y) / (len(x) + len(y)))
    wrong = kolmogorov(size * distances) * tests <= LEVEL
    shifts = (x.mean(0) - y.mean(0)).numpy()
    order = np.lexsort((-np.abs(shifts), -distances))
    worst = order[wrong[order]][:SHOWN].tolist()
    spreads = (x.std(0) / y.std(0)).nan_to_num(nan=1.0, posinf=torch.inf).numpy()
    return Wrong(
        int(wrong.sum()),
        tuple(names[i] for i in worst),
        *(tuple(each[worst].tolist()) for each in (shifts, spreads)),
    )


def statistics(x: Tensor, y: Tensor, rounding: Tensor) -> Tensor:
    """The largest difference of the distribution functions of each feature, shape `(d,)`.

    Arguments:
        x: Samples, shape `(n, d)`.
        y: Samples of the target, shape `(m, d)`.
        rounding: The error of each feature that rounding can cause, shape `(d,)`.

    Examples:
        >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.1], [3.0]])
        >>> statistics(x, y, torch.zeros(1)), statistics(x, y, torch.full((1,), 0.1))
        (tensor([1.], dtype=torch.float64), tensor([0.5000], dtype=torch.float64))
    """
    a, b = (part.T.contiguous().sort(1).values for part in (x, y))
    middle = b[:, -(-3 * len(y) // 4) - 1] - b[:, len(y) // 4]
    tolerance = rounding + _TOLERANCE * middle
    return torch.maximum(_excess(a, b, tolerance), _excess(b, a, tolerance)).clamp_min(0)


def names_of(features: Sequence[str] | None, event_shape: tuple[int, ...]) -> list[str]:
    """A name for each feature: its own, or its place, such as `"3"` or `"0,5,7"`.

    Arguments:
        features: Names of the features; `None` if they have none.
        event_shape: Shape of one sample.

    Examples:
        >>> names_of(None, (1, 2, 2))
        ['0,0,0', '0,0,1', '0,1,0', '0,1,1']
    """
    if features is not None:
        return list(features)
    return [",".join(map(str, place)) or "0" for place in np.ndindex(event_shape)]


def _excess(a: Tensor, b: Tensor, tolerance: Tensor) -> Tensor:
    """The largest F(t) - G(t + tolerance), for sorted rows `a` of F and `b` of G."""
    ranks = torch.arange(1, a.shape[1] + 1, dtype=torch.float64, device=a.device) / a.shape[1]
    before = torch.searchsorted(b, a + tolerance[:, None], right=True).double() / b.shape[1]
    return (ranks - before).amax(1)
