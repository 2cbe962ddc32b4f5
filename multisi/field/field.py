"""The field: conditional means with names and units, and what is known of it at a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from multisi import registry, simplex
from multisi.common import arrays, checks
from multisi.common.devices import choose
from multisi.common.shapes import leading
from multisi.data.marginals import check_names
from multisi.data.standardiser import Standardiser
from multisi.errors import ConfigError, DataError, ScoreError, ShapeError
from multisi.field import named_points
from multisi.field.conditional_means import ConditionalMeans, check_finite


class Field:
    """What the conditional means say at points of the simplex, in data units.

    Arguments:
        means: `ConditionalMeans`, or a network of their contract.
        names: The marginals in order.
        noise: Name of the standard-normal marginal, which must be the first; `None` without one.
        standardiser: The map between data units and those of the means; by default none.
        noise_independent: Whether the noise is independent of the data; the score needs it.

    Raises:
        ConfigError: names that repeat, a noise marginal that is not the first, or a standardiser
            for marginals with noise where there is none, or the reverse.
    """

    def __init__(
        self,
        means: Any,
        names: Sequence[str],
        noise: str | None = None,
        *,
        standardiser: Standardiser | None = None,
        noise_independent: bool = True,
    ) -> None:
        check_names(checks.several(names, "names"))
        self.marginals = tuple(names)
        if noise is not None and named_points.index_of(noise, self.marginals, "noise") != 0:
            raise ConfigError(f"The noise marginal must come first; got {list(names)}.")
        self.noise = noise
        self.noise_independent = noise_independent
        means = means if isinstance(means, ConditionalMeans) else ConditionalMeans(means)
        heads = getattr(means.network, "marginals", len(names))
        if heads != len(names):
            raise ConfigError(f"The means have {heads} marginals; got {len(names)} names.")
        self.standardiser = standardiser or Standardiser.identity(noise is not None)
        if self.standardiser.noise != (noise is not None):
            raise ConfigError(
                f"The standardiser was made with noise={self.standardiser.noise}, and the model "
                f"with noise={noise!r}. Make it with Standardiser(shift, scale, "
                f"noise={noise is not None})."
            )
        self.conditional_means = means.eval()

    conditional_means: ConditionalMeans
    """The means in standardised units: what the network gives, projected."""

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.conditional_means.reference.device

    def to(self, device: Any) -> Self:
        """Move the model; `"auto"` takes an accelerator where there is one."""
        chosen = choose(device)
        self.conditional_means.to(chosen)
        return self

    def compile(self, **options: Any) -> Self:
        """Compile the network by `torch.compile`; results stay equal up to rounding.

        Arguments:
            options: Options of `torch.compile`, such as `mode="reduce-overhead"` for CUDA graphs.
        """
        network = self.conditional_means.network
        if not isinstance(network, nn.Module):
            raise ConfigError("Only a network that is a module can be compiled.")
        network.compile(**options)
        return self

    @property
    def barycenter(self) -> Tensor:
        """The uniform mixture of the data marginals, without noise, shape `(k,)`."""
        return simplex.barycenter(len(self.marginals), noise=self.noise is not None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.marginals)}, noise={self.noise!r})"

    def means(self, x: Any, alpha: Any, condition: Any = None) -> Any:
        r"""The conditional means $g_k = E[x_k \mid \sum_j \alpha_j x_j = x]$, in data units.

        Arguments:
            x: States, shape `(b, *event)`.
            alpha: A point of the simplex, as `source` of `transport`, or of the cone of
                non-negative weights, `(k,)` or `(b, k)`.
            condition: An extra input of the network, one vector per row or one for all.

        Returns:
            The kind of array that `x` is, shape `(b, k, *event)`.
        """
        with torch.no_grad():
            rows, means, _ = self._at(x, alpha, condition)
            g = check_finite(means, "The means").to(rows).unbind(1)
            corners = torch.eye(len(g), dtype=torch.float64)
            columns = [
                self.standardiser.restore(of_one, corner)
                for of_one, corner in zip(g, corners, strict=True)
            ]
        return arrays.as_given(torch.stack(columns, 1), x)

    def denoiser(self, x: Any, alpha: Any, condition: Any = None) -> Any:
        r"""The mean of the noise in a state, $E[x_0 \mid x] = g_0(x, w)$, raw; shape of `x`.

        The score is $-g_0 / w_0$, over the scale of the standardiser.

        Arguments:
            x: States, shape `(b, *event)`.
            alpha: As for `means`.
            condition: An extra input of the network, one vector per row or one for all.

        Raises:
            ScoreError: no noise marginal, or noise that depends on the data.
        """
        self.check_score("The denoiser")
        with torch.no_grad():
            return arrays.as_given(self._noise(x, alpha, condition)[0], x)

    def score(self, x: Any, alpha: Any, condition: Any = None) -> Any:
        r"""The score $\nabla \log \rho(x) = -g_0 / w_0$ in data units, shape of `x`.

        Arguments:
            x: States, shape `(b, *event)`.
            alpha: As for `means`, with a positive weight of the noise.
            condition: An extra input of the network, one vector per row or one for all.

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
            scale = self.standardiser.affine(weights, noise)[1]
            return arrays.as_given(-noise / (leading(first, noise) * scale), x)

    def check_noise(self, interpolant: Any, path: Any) -> None:
        """Check that there is a noise marginal if the interpolant or the path needs it.

        Raises:
            ConfigError: there is none.
        """
        path = registry.installed().find("path", path).load() if isinstance(path, str) else path
        for one in (interpolant, path):
            if getattr(one, "needs_noise", False) and self.noise is None:
                raise ConfigError(f"{one!r} needs a noise marginal; {self} has none.")

    def _noise(self, x: Any, alpha: Any, condition: Any) -> tuple[Tensor, Tensor]:
        """The mean of the noise in states, and the weights there."""
        rows, g, weights = self._at(x, alpha, condition)
        return check_finite(g[:, 0], "The means of the noise").to(rows), weights

    def _at(self, x: Any, alpha: Any, condition: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Rows as they are, the standardised means of all marginals there, and the weights."""
        rows, y, weights = self._state(x, alpha)
        condition = arrays.condition(condition, len(y), y)
        point = (weights / weights.sum(-1, keepdim=True)).to(y)
        return rows, self.conditional_means(y, point, condition), weights

    def _state(self, x: Any, alpha: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Rows as they are, the same in the means' coordinates, and weights on the cone."""
        rows = arrays.floats(x)
        weights = named_points.on_cone(alpha, self.marginals, len(rows), "alpha")
        return rows, self.standardise(rows, weights), weights

    def standardise(self, x: Tensor, weights: Tensor) -> Tensor:
        """Standardise rows, in the type of the means and where they are."""
        event = tuple(self.standardiser.shift.shape)
        if event and tuple(x.shape[1:]) != event:
            raise ShapeError(
                f"x must have shape (b, {', '.join(map(str, event))}); got {tuple(x.shape)}."
            )
        y = self.standardiser.standardise(x, weights).to(self.conditional_means.reference)
        if len(bad := arrays.bad_rows(y)):
            raise DataError(
                f"{len(bad)} of {len(x)} rows of x lie too far from the data to be computed with, "
                f"the first is row {bad[0].item()}."
            )
        return y

    def log_volume(self, x: Tensor, weights: Tensor) -> float:
        """Log of the volume that a unit of the means has in data units, for states like `x`."""
        scale = self.standardiser.affine(weights, x[:1].double())[1]
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
