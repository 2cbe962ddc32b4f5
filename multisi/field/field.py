"""The field: conditional means with names and units, and what is known of it at a point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from multisi import registry, simplex
from multisi.common import arrays, checks
from multisi.common.derivatives import slope
from multisi.common.devices import choose
from multisi.data.marginals import check_names
from multisi.data.standardiser import Standardiser
from multisi.dynamics.probability_flow import ProbabilityFlow
from multisi.errors import ConfigError, DataError, ScoreError, ShapeError
from multisi.field import named_points as points
from multisi.field.conditional_means import ConditionalMeans, finite
from multisi.interpolants import Interpolant
from multisi.paths import Path


class Field:
    """What the conditional means say at points of the simplex, in the units of the data.

    Arguments: as for `Model`.
    """

    def __init__(
        self,
        means: Any,
        names: Sequence[str],
        noise: str | None = None,
        *,
        units: Standardiser | None = None,
        noise_independent: bool = True,
        plugins: Sequence[Mapping[str, str]] = (),
        card: Mapping[str, Any] | None = None,
    ) -> None:
        check_names(checks.several(names, "names"))
        self.marginals = tuple(names)
        if noise is not None and points.index_of(noise, self.marginals, "noise") != 0:
            raise ConfigError(f"The noise marginal must come first; got {list(names)}.")
        self.noise = noise
        self.noise_independent = noise_independent
        self.plugins = tuple(dict(plugin) for plugin in plugins)
        self.card = dict(card or {})
        self._means = means if isinstance(means, ConditionalMeans) else ConditionalMeans(means)
        heads = getattr(self._means.network, "marginals", len(names))
        if heads != len(names):
            raise ConfigError(f"The means have {heads} marginals; got {len(names)} names.")
        self.units = units or Standardiser.identity()
        self._means.eval()

    @property
    def conditional_means(self) -> ConditionalMeans:
        """The means in standardised units: what the network gives, projected."""
        return self._means

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self._means.reference.device

    def to(self, device: Any) -> Self:
        """Move the model; `"auto"` takes an accelerator where there is one."""
        chosen = choose(device)
        self._means.to(chosen)
        return self

    @property
    def barycenter(self) -> Tensor:
        """The uniform mixture of the data marginals, without noise, shape `(k,)`."""
        return simplex.barycenter(len(self.marginals), noise=self.noise is not None)

    def __repr__(self) -> str:
        return f"Model({list(self.marginals)}, noise={self.noise!r})"

    def means(self, x: Any, alpha: Any, condition: Any = None) -> Any:
        r"""The conditional means $g_k = E[x_k \mid \sum_j \alpha_j x_j = x]$, in data units.

        Arguments:
            x: States, shape `(b, *event)`.
            alpha: A point of the simplex, as `source` of `transport`, or of the cone of
                non-negative weights, `(k,)` or `(b, k)`.
            condition: What the network is told besides: a vector a row, or one for all.

        Returns:
            The kind of array that `x` is, shape `(b, k, *event)`.
        """
        with torch.no_grad():
            rows, means, _ = self._at(x, alpha, condition)
            g = finite(means, "The means").to(rows).unbind(1)
            corners = torch.eye(len(g), dtype=torch.float64)
            columns = [
                self.units.leave(of_one, corner, self.noise is not None)
                for of_one, corner in zip(g, corners, strict=True)
            ]
        return arrays.back(torch.stack(columns, 1), x)

    def velocity(
        self,
        x: Any,
        path: Path,
        t: float,
        condition: Any = None,
        interpolant: str | Interpolant = "barycentric",
    ) -> Any:
        r"""$\sum_k \dot w_k(t)\, g_k(x, w(t))$ in data units per unit of `t`.

        Arguments:
            x: States at time `t`, shape `(b, *event)`.
            path: A path on the simplex.
            t: A time in [0, 1].
            condition: What the network is told besides: a vector a row, or one for all.
            interpolant: An interpolant or its name, whose weights are taken along the path.
        """
        chosen = registry.create("interpolant", interpolant, Interpolant)
        checks.instance(path, Path, "path")
        self.check_noise(chosen, path)
        with torch.no_grad():
            flow = ProbabilityFlow(self._means, path, chosen)
            at = torch.tensor(checks.number(t, "t"), dtype=torch.float64)
            weights, rate = slope(flow.weights, at)
            rows, y, weights = self._state(x, weights)
            flow.condition = arrays.condition(condition, len(y), y)
            scale = self.units.affine(weights, rows, self.noise is not None)[1]
            # With x = s y in data units, the rate is s ẏ and the growth of s.
            total, growth = weights.sum(-1).to(rows), rate.sum(-1).to(rows)
            inner = finite(flow.velocity(y, at), "The velocity").to(rows) * scale
            return arrays.back(
                _rows(total, inner) * inner + _rows(growth / total, inner) * rows, x
            )

    def denoiser(self, x: Any, alpha: Any, condition: Any = None) -> Any:
        r"""The mean of the noise in a state, $E[x_0 \mid x] = g_0(x, w)$, raw; shape of `x`.

        The score is $-g_0 / w_0$, over the scale of the units.

        Arguments:
            x: States, shape `(b, *event)`.
            alpha: As for `means`.
            condition: What the network is told besides: a vector a row, or one for all.

        Raises:
            ScoreError: no noise marginal, or noise that depends on the data.
        """
        self.check_score("The denoiser")
        with torch.no_grad():
            return arrays.back(self._noise(x, alpha, condition)[0], x)

    def score(self, x: Any, alpha: Any, condition: Any = None) -> Any:
        r"""The score $\nabla \log \rho(x) = -g_0 / w_0$ in data units, shape of `x`.

        Arguments:
            x: States, shape `(b, *event)`.
            alpha: As for `means`, with a positive weight of the noise.
            condition: What the network is told besides: a vector a row, or one for all.

        Raises:
            ScoreError: no noise marginal, noise that depends on the data, or a weight of zero.
        """
        self.check_score("The score")
        with torch.no_grad():
            noise, weights = self._noise(x, alpha, condition)
            first = weights[..., 0].to(noise)
            if not (first > 0).all():
                raise ScoreError(
                    f"The score does not exist where the weight of {self.noise!r} is zero. "
                    "Move alpha towards the noise, or along a path that bows towards it "
                    "(path='bow') or has latent noise (interpolant='smoothed')."
                )
            scale = self.units.affine(weights, noise, True)[1]
            return arrays.back(-noise / (_rows(first, noise) * scale), x)

    def check_noise(self, *wanting: Any) -> None:
        """See that there is a noise marginal, if an interpolant or a path needs it.

        Raises:
            ConfigError: there is none.
        """
        for one in wanting:
            if getattr(one, "needs_noise", False) and self.noise is None:
                raise ConfigError(f"{one!r} needs a noise marginal; {self} has none.")

    def _noise(self, x: Any, alpha: Any, condition: Any) -> tuple[Tensor, Tensor]:
        """The mean of the noise in states, and the weights there."""
        rows, g, weights = self._at(x, alpha, condition)
        return finite(g[:, 0], "The means of the noise").to(rows), weights

    def _at(self, x: Any, alpha: Any, condition: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Rows as they are, the standardised means of all marginals there, and the weights."""
        rows, y, weights = self._state(x, alpha)
        condition = arrays.condition(condition, len(y), y)
        point = (weights / weights.sum(-1, keepdim=True)).to(y)
        return rows, self._means(y, point, condition), weights

    def _state(self, x: Any, alpha: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Rows as they are, the same in the means' coordinates, and weights on the cone."""
        rows = arrays.floats(x)
        weights = points.on_cone(alpha, self.marginals, len(rows), "alpha")
        return rows, self.enter(rows, weights), weights

    def enter(self, x: Tensor, weights: Tensor) -> Tensor:
        """Standardise rows, in the type of the means and where they are."""
        event = tuple(self.units.shift.shape)
        if event and tuple(x.shape[1:]) != event:
            raise ShapeError(
                f"x must have shape (b, {', '.join(map(str, event))}); got {tuple(x.shape)}."
            )
        y = self.units.enter(x, weights, self.noise is not None).to(self._means.reference)
        if len(bad := arrays.bad_rows(y)):
            raise DataError(
                f"{len(bad)} of {len(x)} rows of x lie too far from the data to be computed with, "
                f"the first is row {bad[0].item()}."
            )
        return y

    def log_volume(self, x: Tensor, weights: Tensor) -> float:
        """Log of the volume that a unit of the means has in data units, for states like `x`."""
        scale = self.units.affine(weights, x[:1].double(), self.noise is not None)[1]
        return scale.log().expand(1, *x.shape[1:]).sum().item()

    def check_score(self, what: str) -> None:
        """Raise a `ScoreError` if the model has no score at all."""
        if self.noise is None:
            raise ScoreError(
                f"{what} needs a standard-normal marginal, and {self} has none. Fit with one: "
                '{"noise": multisi.StandardNormal(), ...}.'
            )
        if not self.noise_independent:
            raise ScoreError(
                f"{what} needs noise that is independent of the data; here it is not."
            )


def _rows(values: Tensor, like: Tensor) -> Tensor:
    """One value, or one a row, shaped to multiply states."""
    return values.reshape(-1, *(1,) * (like.ndim - 1))
