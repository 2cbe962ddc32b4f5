r"""The objective: the error of the velocity along tangents, after the projection.

$$L = E\,\Big|\sum_k v_k\, g_k(x(\alpha), \alpha) - \sum_k v_k x_k\Big|^2$$

over a law of simplex points $\alpha$ with tangents $v$. Its minimiser has the true velocity in
every direction that the law contains (arXiv:2310.03695).
"""

import torch
from torch import Tensor

from multisi.means import ConditionalMeans, combination, combine

EDGES = 0.7
"""Share of points on edges, where most samples travel."""


def draw_points(n: int, marginals: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    r"""Points of the simplex, and at each a tangent $e_j - e_i$ inside its face.

    Most points are uniform on edges, the others uniform on faces of a uniformly drawn size.

    Returns:
        `alpha` and `v`, each of shape `(n, k)`.

    Example:
        >>> alpha, v = draw_points(8, 3, torch.Generator().manual_seed(0))
        >>> bool(((alpha.sum(1) - 1).abs() < 1e-6).all() and (v.sum(1) == 0).all())
        True
    """
    order = torch.rand(n, marginals, generator=source).argsort(1)
    size = torch.randint(3, marginals + 1, (n, 1), generator=source) if marginals > 2 else 2
    on_edge = torch.rand(n, 1, generator=source) < EDGES
    inside = torch.arange(marginals) < torch.where(on_edge, 2, torch.as_tensor(size))
    alpha = -torch.rand(n, marginals, generator=source).clamp_min(1e-12).log() * inside
    alpha = torch.zeros_like(alpha).scatter_(1, order, alpha / alpha.sum(1, keepdim=True))
    v = torch.zeros_like(alpha).scatter_(1, order[:, :1], -1.0).scatter_(1, order[:, 1:2], 1.0)
    return alpha, v


def loss(
    means: ConditionalMeans,
    xs: Tensor,
    alpha: Tensor,
    v: Tensor,
    condition: Tensor | None = None,
) -> Tensor:
    r"""Mean square error of the velocity along `v`, a single number.

    Arguments:
        means: The conditional means to train.
        xs: A joint draw of all marginals, shape `(b, k, *event)`.
        alpha: Points of the simplex, shape `(b, k)`.
        v: Tangents, shape `(b, k)`.
        condition: Handed to the network if given, shape `(b, c)`.
    """
    flat = xs.reshape(*xs.shape[:2], -1)
    x = torch.einsum("bk,bkd->bd", alpha, flat).reshape(len(xs), *xs.shape[2:])
    of_heads, of_state = combination(alpha, v)
    of_state = of_state.reshape(-1, *(1,) * (x.ndim - 1))
    velocity = combine(means.heads(x, alpha, condition), x, of_heads[:, None], of_state)
    truth = torch.einsum("bk,bkd->bd", v, flat).reshape(x.shape)
    return (velocity - truth).square().mean()
