"""The conditional means of Gaussian mixtures in closed form."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from multisi.common import arrays
from multisi.errors import ConfigError, DataError, ShapeError
from multisi.field.conditional_means import ConditionalMeans

MOST_COMPONENTS = 20_000
_CHUNK = 2**22


class GaussianMixtureMeans(ConditionalMeans):
    r"""Exact conditional means of independent Gaussian mixtures.

    With $\rho_k = \sum_i p^k_i N(m^k_i, C^k_i)$ and a choice $I$ of one component per marginal,
    $m_I = \sum_k \alpha_k m^k$, $C_I = \sum_k \alpha_k^2 C^k$ and
    $w_I \propto p_I\, N(x; m_I, C_I)$:

    $$g_k = \sum_I w_I \big(m^k + \alpha_k C^k C_I^{-1} (x - m_I)\big).$$

    All choices of components among the marginals of non-zero weight are enumerated.

    Arguments:
        weights: One entry per marginal: $p^k$ of shape `(n_k,)`.
        means: One entry per marginal: $m^k$ of shape `(n_k, d)`.
        covariances: One entry per marginal: $C^k$ of shape `(n_k, d, d)`, positive definite.

    Raises:
        ShapeError: the lists or the arrays have shapes that do not match.
        DataError: an entry is not an array of finite numbers, weights are not probabilities, or a
            covariance is not symmetric and positive definite.
        ConfigError: when called, there are too many choices of components.

    References:
        Albergo, Boffi, Lindsey, Vanden-Eijnden. Multimarginal generative modeling with
        stochastic interpolants (2023), arXiv:2310.03695.

    Examples:
        >>> one = torch.ones(1)
        >>> means = GaussianMixtureMeans(
        ...     [one, one], [torch.zeros(1, 1), torch.ones(1, 1)], [torch.ones(1, 1, 1)] * 2)
        >>> means(torch.tensor([[0.5]]), torch.tensor([[0.5, 0.5]]))
        tensor([[[0.],
                 [1.]]])
    """

    def __init__(
        self, weights: Sequence[Any], means: Sequence[Any], covariances: Sequence[Any]
    ) -> None:
        super().__init__(_Heads(weights, means, covariances))

    def sample(self, n: int, source: torch.Generator) -> Tensor:
        """Independent draws of all mixtures, shape `(n, k, d)`.

        Arguments:
            n: Number of joint draws.
            source: Source of random numbers, on the CPU.
        """
        drawn: Tensor = self.network.sample(n, source)
        return drawn


class _Heads(nn.Module):
    """The closed form as a network without trainable parameters."""

    def __init__(
        self, weights: Sequence[Any], means: Sequence[Any], covariances: Sequence[Any]
    ) -> None:
        super().__init__()
        weights = _entries(weights, "weights")
        means = _entries(means, "means")
        covariances = _entries(covariances, "covariances")
        if not len(weights) == len(means) == len(covariances):
            raise ShapeError(
                "weights, means and covariances must be lists of one entry per marginal; "
                f"got {len(weights)}, {len(means)} and {len(covariances)} entries."
            )
        self.marginals = len(weights)
        for k, parts in enumerate(zip(weights, means, covariances, strict=True)):
            p, m, c = _checked(k, *parts)
            self.register_buffer(f"weights_{k}", p)
            self.register_buffer(f"means_{k}", m)
            self.register_buffer(f"covariances_{k}", c)
        if len({self._part("means", k).shape[1] for k in range(self.marginals)}) > 1:
            sizes = [self._part("means", k).shape[1] for k in range(self.marginals)]
            raise ShapeError(f"All marginals must have one dimension d; got {sizes}.")

    def _part(self, name: str, k: int) -> Tensor:
        return self.get_buffer(f"{name}_{k}")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample, `(d,)`."""
        return tuple(self._part("means", 0).shape[1:])

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        """The exact heads, shape `(b, k, d)`."""
        if x.ndim != 2 or x.shape[1] != self._part("means", 0).shape[1]:
            raise ShapeError(
                f"The mixtures are over vectors of {self._part('means', 0).shape[1]} numbers; "
                f"got states of shape {tuple(x.shape)}."
            )
        if alpha.shape[-1] != self.marginals:
            raise ShapeError(f"alpha must have {self.marginals} columns; got {alpha.shape[-1]}.")
        if len(x) and alpha.stride(0) == 0:  # One point for all: invert its covariances once.
            face = (alpha[0] > 0).tolist()
            chunks = torch.split(x, max(1, _CHUNK // self._cost(face)))
            return torch.cat([self._on_face(chunk, alpha[:1], face) for chunk in chunks])
        heads = x.new_empty(len(x), self.marginals, x.shape[1])
        faces, index = torch.unique(alpha > 0, dim=0, return_inverse=True)
        for i, face in enumerate(faces.tolist()):
            rows = (index == i).nonzero()[:, 0]
            for part in torch.split(rows, max(1, _CHUNK // self._cost(face))):
                heads[part] = self._on_face(x[part], alpha[part], face)
        return heads

    def sample(self, n: int, source: torch.Generator) -> Tensor:
        """Draw all mixtures independently, shape `(n, k, d)`."""
        drawn = []
        for k in range(self.marginals):
            p, m, c = (self._part(name, k) for name in ("weights", "means", "covariances"))
            index = torch.multinomial(p.cpu().double(), n, replacement=True, generator=source)
            z = torch.randn((n, m.shape[1]), generator=source, dtype=torch.float64).to(m)
            index = index.to(m.device)
            roots = torch.linalg.cholesky(c)[index]
            drawn.append(m[index] + torch.einsum("nij,nj->ni", roots, z))
        return torch.stack(drawn, 1)

    def _cost(self, face: list[bool]) -> int:
        """How many numbers one row needs: the choices of components times the covariance."""
        support = [k for k, inside in enumerate(face) if inside]
        count = math.prod(len(self._part("weights", k)) for k in support)
        if count > MOST_COMPONENTS:
            raise ConfigError(
                f"The marginals of non-zero weight have {count} choices of components together; "
                f"at most {MOST_COMPONENTS} are enumerated. Use mixtures of fewer components."
            )
        return count * self._part("means", 0).shape[1] ** 2

    def _on_face(self, x: Tensor, alpha: Tensor, face: list[bool]) -> Tensor:
        """The heads of rows on one face; `alpha` has one row per state, or one row for all."""
        support = [k for k, inside in enumerate(face) if inside]
        sizes = [len(self._part("weights", k)) for k in support]
        index = torch.cartesian_prod(*(torch.arange(n, device=x.device) for n in sizes))
        index = index.reshape(-1, len(support))
        log_p = torch.stack(
            [self._part("weights", k).log()[index[:, j]] for j, k in enumerate(support)]
        ).sum(0)
        m = torch.stack([self._part("means", k)[index[:, j]] for j, k in enumerate(support)])
        c = torch.stack([self._part("covariances", k)[index[:, j]] for j, k in enumerate(support)])
        a = alpha[:, support]
        rest = x[:, None] - torch.einsum("bs,snd->bnd", a, m)
        root = torch.linalg.cholesky(torch.einsum("bs,snde->bnde", a * a, c))
        half = torch.linalg.solve_triangular(root, rest[..., None], upper=False)
        pulled = torch.linalg.solve_triangular(root.mT, half, upper=True)[..., 0]
        log_det = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        posterior = torch.softmax(log_p - log_det - half[..., 0].square().sum(-1) / 2, -1)
        inside = torch.einsum("bn,snd->bsd", posterior, m) + torch.einsum(
            "bn,bs,snde,bne->bsd", posterior, a, c, pulled
        )
        heads = [
            (self._part("weights", k) @ self._part("means", k)).expand(len(x), -1)
            for k in range(self.marginals)
        ]
        for j, k in enumerate(support):
            heads[k] = inside[:, j]
        return torch.stack(heads, 1)


def _entries(parts: Any, what: str) -> list[Any]:
    try:
        entries = list(parts)
    except TypeError:
        entries = []
    if not entries:
        raise ShapeError(f"{what} must be a list of one entry per marginal; got {parts!r}.")
    return entries


def _checked(k: int, weights: Any, means: Any, covariances: Any) -> tuple[Tensor, Tensor, Tensor]:
    try:
        p, m, c = (torch.as_tensor(part) for part in (weights, means, covariances))
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"Marginal {k}: weights, means and covariances must be arrays of numbers: {error}."
        ) from None
    if (
        m.ndim != 2
        or not m.numel()
        or p.shape != m.shape[:1]
        or c.shape != (*m.shape, m.shape[-1])
    ):
        raise ShapeError(
            f"Marginal {k}: weights, means and covariances must have shapes (n,), (n, d) and "
            f"(n, d, d), not empty; got {tuple(p.shape)}, {tuple(m.shape)} and {tuple(c.shape)}."
        )
    kind = torch.promote_types(torch.promote_types(m.dtype, c.dtype), torch.float32)
    named = {"weights": p, "means": m, "covariances": c}
    p, m, c = (arrays.floats(x, f"Marginal {k}: {name}").to(kind) for name, x in named.items())
    if (p < 0).any() or abs(p.sum().item() - 1) > 1e-4:
        raise DataError(f"Marginal {k}: weights must be probabilities; got {p.tolist()}.")
    _, failed = torch.linalg.cholesky_ex(c)
    skew = ~torch.isclose(c, c.mT, rtol=1e-4, atol=1e-6).all(-1).all(-1)
    if len(bad := ((failed != 0) | skew).nonzero()):
        raise DataError(
            f"Marginal {k}: covariances must be symmetric and positive definite; "
            f"that of component {bad[0].item()} is not."
        )
    return p / p.sum(), m, c
