"""The cheapest path: the curve of least angle, found by a quasi-Newton method."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from multisi.common.derivatives import value_and_rate
from multisi.geometry.moments import nodes
from multisi.geometry.polar import angular
from multisi.paths.learned import Learned

Metric = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
"""The moments $A$, $B$ and $C$ of a curve, for its points and rates of shape `(n, s)`."""
_RIDGE, _BEND = 1e-3, 3e-4
"""Weights of the mean squares of log-ratios and of their slopes, against curves that run away
where nothing changes, or hide a jump between two nodes."""
_STARTS = (0.0, 2.0, -3.0)
"""First log-ratios of the corners beside the segment: some of them, much, hardly any."""


class Curves(NamedTuple):
    """The curves that are searched.

    Arguments:
        ends: The two ends, each of shape `(k,)`.
        corners: Indices of the marginals that a curve may use beside those of its ends.
        form: The form of the curve.
        size: Number of coefficients of each marginal.
        most: Most steps of the quasi-Newton method from each start.
        first: Coefficients of the only start, shape `(s, size)`; `None` for three starts.
    """

    ends: Sequence[Tensor]
    corners: Sequence[int]
    form: str
    size: int
    most: int
    first: Tensor | None = None

    def path(self, coefficients: Tensor) -> Learned:
        """One of them."""
        return Learned(self.ends, self.corners, coefficients, self.form)


def search(metric: Metric, curves: Curves) -> list[Learned]:
    """Curves of least angle nearby, one from each start.

    Arguments:
        metric: The moments of a curve.
        curves: The curves that are searched.
    """
    inside = torch.stack(list(curves.ends)).amax(0) > 0
    inside[list(curves.corners)] = True
    zero = torch.zeros(int(inside.sum()), curves.size, dtype=torch.float64)
    empty = curves.path(zero)
    constant = torch.ones(curves.size, dtype=torch.float64)
    constant[1:] *= curves.form != "fourier"
    starts = [at * empty.free[:, None] * constant for at in _STARTS]
    if curves.first is not None and curves.first.shape == zero.shape:
        starts = [curves.first]
    elif not empty.free.any():
        starts = starts[:1]
    return [curves.path(_descend(metric, empty, start, curves.most)) for start in starts]


def _descend(metric: Metric, path: Learned, start: Tensor, most: int) -> Tensor:
    """Coefficients of least angle, from given ones."""
    tau, shares = nodes(path.knots, 96)
    (base, basis), (base_rate, basis_rate) = value_and_rate(path.parts, tau[:, None])
    coefficients = start.clone().requires_grad_()
    method = torch.optim.LBFGS(
        [coefficients], max_iter=most, tolerance_change=1e-9, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        method.zero_grad()
        logs, slopes = basis @ coefficients.mT, basis_rate @ coefficients.mT
        alpha, growth = torch.softmax(base.log() + logs, -1), base_rate / base + slopes
        rate = alpha * (growth - (alpha * growth).sum(-1, keepdim=True))
        value: Tensor = (angular(*metric(alpha, rate)) * shares).sum()
        value = value + _RIDGE * logs.square().mean() + _BEND * slopes.square().mean()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    method.step(loss)  # type: ignore[no-untyped-call]
    found: Tensor = coefficients.detach()
    return found
