"""The data-dependent coupling: one dataset is computed from another."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.arrays import dense
from multisi.common.seeds import generator
from multisi.common.shapes import flat
from multisi.couplings.base import Coupling
from multisi.couplings.independent import Independent
from multisi.data.marginals import AnyMarginal
from multisi.errors import ConfigError, ShapeError

Corruption: TypeAlias = Callable[[Tensor, torch.Generator], Any]


class DataDependent(Coupling):
    r"""One dataset is computed from another.

    $x_0 = m(x_1) + \sigma\, \zeta$ with $\zeta \sim N(0, I)$. For restoration, $x_1$ is an image
    and $m(x_1)$ is the same image blurred, masked or reduced in size. The random choices of the
    map and the noise are drawn again at every step. All other marginals are drawn independently.

    Arguments:
        marginals: The marginals in order.
        made: Name of the dataset that is computed, or names of several; their samples are used
            for standardisation only.
        of: Name of the dataset that they are computed from.
        corrupt: The map $m$, a function of rows in data units, shape `(n, *event)`, and of a
            generator for its random choices; for several, a list of them in the order of `made`.
        sigma: $\sigma \ge 0$, in data units; above 0 if the law of $m(x_1)$ has no density.
        told: Whether $m(x_1)$, without the noise, is the condition of the network too, as one
            vector: what it says of $x_1$ is then known along the whole path. Of several corrupted
            rows it is the one whose dataset has the largest weight at the point of the simplex.

    Raises:
        ConfigError: `made` and `of` are not different datasets, `corrupt` is not a function for
            each that is made, `sigma` is negative or not a number, or the network is told and a
            dataset has a condition.
        ShapeError: when rows are drawn, `corrupt` does not keep their shape.
        DataError: when rows are drawn, `corrupt` does not return an array of real numbers.

    References:
        Albergo, Goldstein, Boffi, Ranganath, Vanden-Eijnden. Stochastic interpolants with
        data-dependent couplings (2023), arXiv:2310.03725.

    Examples:
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
        made: str | Sequence[str],
        of: str,
        corrupt: Corruption | Sequence[Corruption],
        sigma: float = 0.0,
        told: bool = False,
    ) -> None:
        self._independent = Independent(marginals)
        data = [marginal.name for marginal in self._independent.data]
        names = [getattr(marginal, "name", None) for marginal in marginals]
        several = [made] if isinstance(made, str) else checks.several(made, "made")
        if not several or len({of, *several}) <= len(several) or not {of, *several} <= set(data):
            raise ConfigError(
                f"made and of must be different names of {data}; got {made!r} and {of!r}."
            )
        maps: list[Any] = list(corrupt) if isinstance(corrupt, list | tuple) else [corrupt]
        if len(maps) != len(several) or not all(map(callable, maps)):
            raise ConfigError(
                f"corrupt must be a function of (x, generator) for each of {several}; got "
                f"{corrupt!r}."
            )
        self._corrupt = {names.index(name): m for name, m in zip(several, maps, strict=True)}
        self._of, self.sigma = names.index(of), checks.number(sigma, "sigma")
        self.told = checks.instance(told, bool, "told")
        if told and any(marginal.condition is not None for marginal in self._independent.data):
            raise ConfigError("What is told is the condition. Leave out told, or the conditions.")

    def sample(self, n: int, *, seed: int, step: int) -> Tensor:
        """Draw `n` joint samples, shape `(n, k, *event)`."""
        return self._drawn(n, seed, step)[0]

    def condition(self, n: int, *, seed: int, step: int) -> Tensor | None:
        """The conditions of the rows of the same draw, shape `(n, c)`; `None` without any."""
        if self.told:
            return flat(self._drawn(n, seed, step)[1][:, 0])
        return self._independent.condition(n, seed=seed, step=step)

    def sample_at(self, alpha: Tensor, *, seed: int, step: int) -> tuple[Tensor, Tensor | None]:
        """Joint samples, and what the network is told of those that have a weight."""
        n = len(alpha)
        xs, made = self._drawn(n, seed, step)
        if not self.told:
            return xs, self._independent.condition(n, seed=seed, step=step)
        which = alpha[:, list(self._corrupt)].argmax(1)
        return xs, flat(made[torch.arange(n), which])

    def _drawn(self, n: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
        """Joint samples, and the corrupted rows without noise, shape `(n, made, *event)`."""
        xs = self._independent.sample(n, seed=seed, step=step)
        source = generator(seed, step, 5)
        x, plain = xs[:, self._of].clone(), []
        for k, corrupt in self._corrupt.items():
            made = dense(corrupt(x, source), "The result of corrupt").to(x)
            if made.shape != x.shape:
                raise ShapeError(
                    f"corrupt must keep shape {tuple(x.shape)}; got {tuple(made.shape)}."
                )
            plain.append(made)
            noise = torch.randn(x.shape, generator=source, dtype=torch.float32).to(x)
            xs[:, k] = made + self.sigma * noise
        return xs, torch.stack(plain, 1)
