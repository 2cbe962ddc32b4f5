"""The data-dependent coupling: one dataset is computed from another."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.arrays import dense
from multisi.common.seeds import generator
from multisi.couplings.base import Coupling
from multisi.couplings.independent import Independent
from multisi.data.marginals import AnyMarginal
from multisi.errors import ConfigError, ShapeError


class DataDependent(Coupling):
    r"""One dataset is computed from another.

    $x_0 = m(x_1) + \sigma\, \zeta$ with $\zeta \sim N(0, I)$. For restoration, $x_1$ is an image
    and $m(x_1)$ is the same image blurred, masked or reduced in size. The random choices of the
    map and the noise are drawn again at every step. All other marginals are drawn independently.

    Arguments:
        marginals: The marginals in order.
        made: Name of the dataset that is computed; its samples are used for standardisation only.
        of: Name of the dataset that it is computed from.
        corrupt: The map $m$, a function of rows in data units, shape `(n, *event)`, and of a
            generator for its random choices.
        sigma: $\sigma \ge 0$, in data units; above 0 if the law of $m(x_1)$ has no density.

    Raises:
        ConfigError: `made` and `of` are not two different datasets, `corrupt` is not callable, or
            `sigma` is negative or not a number.
        ShapeError: when rows are drawn, `corrupt` does not keep their shape.
        DataError: when rows are drawn, `corrupt` does not return an array of real numbers.

    References:
        Albergo, Goldstein, Boffi, Ranganath, Vanden-Eijnden. Stochastic interpolants with
        data-dependent couplings (2023), arXiv:2310.03725.

    Example:
        >>> from multisi.data.prepare import prepare
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
            raise ConfigError(f"made and of must be two of {data}; got {made!r} and {of!r}.")
        if not callable(corrupt):
            raise ConfigError(f"corrupt must be a function of (x, generator); got {corrupt!r}.")
        self._made, self._of = names.index(made), names.index(of)
        self._corrupt, self.sigma = corrupt, checks.number(sigma, "sigma")

    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """Draw `n` joint samples, shape `(n, k, *event)`."""
        xs = self._independent.sample(n, seed=seed, step=step)
        source = generator(seed, step, 5)
        x = xs[:, self._of]
        made = dense(self._corrupt(x, source), "The result of corrupt").to(x)
        if made.shape != x.shape:
            raise ShapeError(f"corrupt must keep shape {tuple(x.shape)}; got {tuple(made.shape)}.")
        noise = (
            torch.randn(x.shape, generator=source, dtype=torch.float32).to(x)
            if self.sigma
            else 0.0
        )
        xs[:, self._made] = made + self.sigma * noise
        return xs

    def condition(self, n: int, *, seed: int, step: int) -> Tensor | None:
        """The conditions of the rows of the same draw, shape `(n, c)`; `None` without any."""
        return self._independent.condition(n, seed=seed, step=step)
