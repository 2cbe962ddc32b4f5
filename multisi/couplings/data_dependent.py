"""The coupling of data with what is made of them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.seeds import generator
from multisi.couplings.base import Coupling
from multisi.couplings.independent import Independent
from multisi.data.marginals import AnyMarginal
from multisi.errors import ConfigError, ShapeError


class DataDependent(Coupling):
    r"""One dataset is made of another: $x_0 = m(x_1) + \sigma\, \zeta$ with $\zeta \sim N(0, I)$.

    For restoration: $x_1$ an image, $m(x_1)$ the same blurred, masked or made small. The map and
    the noise are fresh at every step. All other marginals are drawn independently.

    Arguments:
        marginals: The marginals in order.
        made: Name of the dataset that is made; its samples serve for the units alone.
        of: Name of the dataset that it is made of.
        corrupt: The map $m$, a function of rows `(n, *event)` in data units and a generator for
            what is random in it.
        sigma: $\sigma$, in data units; above zero if the made law has no density otherwise.

    Raises:
        ConfigError: names that are none of the datasets.

    References:
        Stochastic interpolants with data-dependent couplings, arXiv:2310.03725.

    Example:
        >>> from multisi.data.marginals import prepare
        >>> x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
        >>> pair = list(prepare({"half": x / 2, "whole": x}).values())
        >>> coupling = DataDependent(pair, "half", "whole", lambda x, source: x / 2)
        >>> xs = coupling.sample(5, seed=0, step=0)
        >>> bool((xs[:, 0] == xs[:, 1] / 2).all())
        True
    """

    def __init__(
        self,
        marginals: Sequence[AnyMarginal],
        made: str,
        of: str,
        corrupt: Callable[[Tensor, torch.Generator], Tensor],
        sigma: float = 0.0,
    ) -> None:
        self._independent = Independent(marginals)
        data = [marginal.name for marginal in self._independent.data]
        names = [getattr(marginal, "name", None) for marginal in marginals]
        if made == of or not {made, of} <= set(data):
            raise ConfigError(f"made and of must be two of {data}; got {made!r}, {of!r}.")
        if not callable(corrupt):
            raise ConfigError(f"corrupt must be a function of (x, generator); got {corrupt!r}.")
        self._made, self._of = names.index(made), names.index(of)
        self._corrupt, self.sigma = corrupt, checks.number(sigma, "sigma")

    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """`n` rows, shape `(n, k, *event)`."""
        xs = self._independent.sample(n, seed=seed, step=step)
        source = generator(seed, step, 5)
        x = xs[:, self._of]
        made = self._corrupt(x, source)
        if made.shape != x.shape:
            raise ShapeError(f"corrupt must keep shape {tuple(x.shape)}; got {tuple(made.shape)}.")
        noise = torch.randn(x.shape, generator=source).to(x) if self.sigma else 0.0
        xs[:, self._made] = made + self.sigma * noise
        return xs

    def condition(self, n: int, *, seed: int, step: int) -> Tensor | None:
        """The conditions of the rows of that draw, if a dataset has any, shape `(n, c)`."""
        return self._independent.condition(n, seed=seed, step=step)
