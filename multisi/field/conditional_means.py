r"""The conditional means $g_k(x, \alpha) = E[x_k \mid \sum_j \alpha_j x_j = x]$."""

import functools
import inspect
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from multisi.common.arrays import bad_rows
from multisi.common.shapes import flat, flat_heads, leading
from multisi.data.constants import Constants
from multisi.errors import ConfigError, PluginError, ShapeError, SimplexError, SolverError


class ConditionalMeans(nn.Module):
    r"""All conditional means from one network: homogeneous, and consistent with the state.

    The network is evaluated on the simplex only, since
    $g(\lambda x, \lambda \alpha) = g(x, \alpha)$, and its heads $\hat g$ are projected onto the
    constraint that the exact means satisfy, $\sum_k \alpha_k g_k = x$:

    $$g = \hat g + \alpha\, \frac{x - \sum_k \alpha_k \hat g_k}{|\alpha|^2}.$$

    Arguments:
        network: A module or function `(x, alpha) -> heads`, with `x` of shape `(b, *event)`,
            `alpha` of shape `(b, k)` on the simplex and heads of shape `(b, k, *event)`. It may
            take a keyword `condition`, and a keyword `mix` of shape `(r, k)`, with which it
            returns these combinations of its heads, shape `(b, r, *event)`.
        recipe: How to create the network from its name, kept in saved models; `None` for a
            network that was given as an object.
        constants: Features that the network neither sees nor moves; `None` without any.

    Raises:
        ConfigError: `network` cannot be called as `network(x, alpha)`.

    References:
        Albergo, Boffi, Lindsey, Vanden-Eijnden. Multimarginal generative modeling with
        stochastic interpolants (2023), arXiv:2310.03695.

    Examples:
        >>> means = ConditionalMeans(lambda x, alpha: torch.zeros(len(x), 2, *x.shape[1:]))
        >>> means(torch.ones(1, 3), torch.tensor([[1.0, 0.0]]))
        tensor([[[1., 1., 1.],
                 [0., 0., 0.]]])
    """

    def __init__(
        self,
        network: Any,
        recipe: dict[str, Any] | None = None,
        constants: Constants | None = None,
    ) -> None:
        super().__init__()
        if not callable(network) or isinstance(network, type):
            raise ConfigError(
                f"A network must be a module or a function of (x, alpha); got {network!r}."
            )
        self.network = network
        self.recipe = recipe
        self.constants = constants
        self.mixes = "mix" in _parameters(network)

    @property
    def reference(self) -> Tensor:
        """An empty tensor with the device and the type that the network computes with."""
        floats = [t for t in (*self.parameters(), *self.buffers()) if t.is_floating_point()]
        if not floats:
            return torch.empty(0, dtype=torch.float32)
        kind = functools.reduce(torch.promote_types, (t.dtype for t in floats))
        return torch.empty(0, device=floats[0].device, dtype=kind)

    def ask(self, y: Tensor, alpha: Tensor, condition: Any, mix: Tensor | None = None) -> Tensor:
        """The checked output of the network at points of the simplex, without the projection.

        Arguments:
            y: States, shape `(b, *event)`.
            alpha: Points of the simplex, shape `(b, k)`.
            condition: An extra input of the network, one vector per row; `None` without one.
            mix: Coefficients of combinations of the heads, shape `(r, k)`; `None` for all heads.

        Returns:
            The heads, shape `(b, k, *event)`, or with `mix` their combinations, shape
            `(b, r, *event)`.

        Raises:
            ConfigError: there is a condition, and the network takes none.
            ShapeError: the network returns another shape.
            PluginError: the network returns another type or device.
        """
        if self.constants is None:
            return self._asked(y, alpha, condition, mix)
        heads = self._asked(self.constants.in_state(y, alpha), alpha, condition, mix)
        of_heads = (
            torch.eye(alpha.shape[-1], device=y.device, dtype=y.dtype) if mix is None else mix
        )
        return self.constants.in_heads(heads, of_heads)

    def _asked(self, y: Tensor, alpha: Tensor, condition: Any, mix: Tensor | None) -> Tensor:
        """The checked output of the network, as it is."""
        options = {} if condition is None else {"condition": condition}
        if mix is not None:
            options["mix"] = mix
        try:
            heads = self.network(y, alpha, **options)
        except TypeError as error:
            if "argument 'condition'" not in str(error):
                raise
            raise ConfigError(
                f"The network takes no condition: {error}. Leave out condition, or use a network "
                "with a keyword condition."
            ) from error
        expected = (len(y), alpha.shape[-1] if mix is None else len(mix), *y.shape[1:])
        if not isinstance(heads, Tensor) or heads.shape != expected:
            got = tuple(heads.shape) if isinstance(heads, Tensor) else type(heads).__name__
            what = "one head per marginal" if mix is None else "one combination per row of mix"
            raise ShapeError(f"The network must return {what}, shape {expected}; got {got}.")
        if heads.dtype == y.dtype and heads.device == y.device:
            return heads
        if not heads.is_floating_point() or heads.device != y.device:
            raise PluginError(
                f"The network must return {y.dtype} or another floating type on {y.device}; got "
                f"{heads.dtype} on {heads.device}."
            )
        return heads.to(y.dtype)

    def heads(self, y: Tensor, alpha: Tensor, condition: Any = None) -> Tensor:
        """One head per marginal, not projected, for `alpha` on the simplex; as `ask`."""
        return self.ask(y, alpha, condition)

    def mixed(self, y: Tensor, alpha: Tensor, of_heads: Tensor, condition: Any = None) -> Tensor:
        r"""$\sum_k a_{rk}\, \hat g_k$, shape `(b, r, d)`, for coefficients `(b or 1, r, k)`.

        A network that takes `mix` combines the weights of its last layer first, which pays where
        there are more rows than heads.
        """
        if self.mixes and len(of_heads) == 1 and 0 < of_heads.shape[1] < alpha.shape[-1] < len(y):
            heads = self.ask(y, alpha, condition, of_heads[0])
            return heads if heads.ndim == 3 else flat_heads(heads)
        heads = self.heads(y, alpha, condition)
        return torch.matmul(of_heads, heads if heads.ndim == 3 else flat_heads(heads))

    def forward(self, x: Tensor, alpha: Tensor, condition: Any = None) -> Tensor:
        r"""The conditional means at points of the cone.

        Arguments:
            x: States, shape `(b, *event)`.
            alpha: Weights, shape `(b, k)` or `(k,)`: non-negative and not all zero.
            condition: An extra input of the network, one vector per row; `None` without one.

        Returns:
            $g$, shape `(b, k, *event)`.

        Raises:
            SimplexError: a row of `alpha` has no positive weight.
            ConfigError: there is a condition, and the network takes none.
            ShapeError: the network returns another shape.
            PluginError: the network returns another type or device.
        """
        if alpha.ndim == 2 and alpha.stride(0) == 0:  # One point for the whole batch.
            alpha = alpha[:1]
        total = alpha.sum(-1, keepdim=True)
        if not (total > 0).all():
            raise SimplexError(
                "alpha must have a positive sum in every row; the smallest is "
                f"{total.min().item():.4g}."
            )
        y = x / leading(total.squeeze(-1), x)
        alpha = (alpha / total).reshape(-1, alpha.shape[-1])
        heads = self.heads(y, alpha.expand(len(x), -1), condition)
        vectors = flat_heads(heads)
        rest = flat(y) - torch.einsum("bk,bkd->bd", alpha, vectors)
        share = alpha / (alpha * alpha).sum(-1, keepdim=True)
        return (vectors + torch.einsum("bk,bd->bkd", share, rest)).reshape(heads.shape)


def _parameters(network: Any) -> Collection[str]:
    """The names of a network's parameters; none where its signature is not available.

    Raises:
        ConfigError: the network cannot be called with a state and a point.
    """
    try:
        signature = inspect.signature(getattr(network, "forward", network))
    except (TypeError, ValueError):
        return ()
    try:
        signature.bind_partial(None, None)
    except TypeError as error:
        raise ConfigError(
            f"A network must be callable as network(x, alpha); {type(network).__name__} takes "
            f"{signature}: {error}."
        ) from None
    return signature.parameters


def projected_combination(alpha: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    r"""Fold the projection into $\sum_k v_k g_k = \sum_k (v_k - c\,\alpha_k)\, \hat g_k + c\, x$.

    With $c = (\alpha \cdot v) / |\alpha|^2$; both coefficients depend on `alpha` and `v` alone.

    Returns:
        Coefficients of the heads `(..., k)`, and of the state `(..., 1)`.
    """
    c = (alpha * v).sum(-1, keepdim=True) / (alpha * alpha).sum(-1, keepdim=True)
    return v - c * alpha, c


def check_finite(values: Tensor, what: str) -> Tensor:
    """The values, if all of them are finite.

    Raises:
        SolverError: a value is not finite; the message gives the number of rows and the first.
    """
    if len(bad := bad_rows(values)):
        raise SolverError(
            f"{what}: not finite in {len(bad)} of {len(values)} rows, the first is row "
            f"{bad[0].item()}. Check whether the input lies far from the marginals and whether "
            "the network returns finite values."
        )
    return values
