"""The field: conditional means with named marginals, evaluated in data units."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from multisi import registry, simplex
from multisi.common import arrays, checks, frames
from multisi.common.arrays import Given
from multisi.common.devices import choose
from multisi.common.shapes import leading
from multisi.common.torch_state import own_state
from multisi.data.conditions import Conditions
from multisi.data.prepare import check_names
from multisi.data.standardiser import Standardiser
from multisi.errors import ConfigError, DataError, ScoreError
from multisi.field import named_points
from multisi.field.conditional_means import ConditionalMeans, check_finite
from multisi.field.sample_shape import check_shape, event_shape_of, features_of


class Field:
    """The conditional means, the denoiser and the score at points of the simplex, in data units.

    Arguments:
        means: `ConditionalMeans`, or a network as `ConditionalMeans` takes it.
        names: The names of the marginals in order.
        noise: Name of the noise marginal, which must be the first; `None` without one.
        standardiser: The map between data units and standardised units; the identity by default.
        noise_independent: Whether the noise is independent of the data, as the score requires.
        event_shape: Shape of one sample; by default that of the network, if it has one.
        features: Names of the features, in order; `None` if they have none.
        conditions: The units and names of the condition; `None` if it is taken as it is.

    Raises:
        ConfigError: names repeat, the noise marginal is not the first, the network has another
            number of marginals, or `standardiser` and `noise` do not agree on whether there is a
            noise marginal.
    """

    def __init__(
        self,
        means: Any,
        names: Sequence[str],
        noise: str | None = None,
        *,
        standardiser: Standardiser | None = None,
        noise_independent: bool = True,
        event_shape: Sequence[int] | None = None,
        features: Sequence[str] | None = None,
        conditions: Conditions | None = None,
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
                f"The standardiser has noise={self.standardiser.noise}, but the model has "
                f"noise={noise!r}. Create it with Standardiser(..., noise={noise is not None})."
            )
        means.constants = self.standardiser.constants
        self.draws: Callable[..., tuple[Tensor, Tensor | None]] | None = None
        self.conditional_means = means.eval()
        self.conditions = conditions
        self.event_shape = event_shape_of(event_shape, means, self.standardiser)
        self.features = features_of(features, self.event_shape)

    conditional_means: ConditionalMeans
    """The conditional means in standardised units: the projected output of the network."""
    event_shape: tuple[int, ...] | None
    """Shape of one sample; `None` if it is not known."""
    features: tuple[str, ...] | None
    """Names of the features, in order; `None` if they have none."""

    @property
    def device(self) -> torch.device:
        """The device that the model computes on."""
        return self.conditional_means.reference.device

    def to(self, device: Any) -> Self:
        """Move the model to a device.

        Arguments:
            device: A device; `"auto"` chooses an accelerator where there is one.

        Raises:
            ConfigError: the device is unknown or missing.
        """
        chosen = choose(device)
        self.conditional_means.to(chosen)
        return self

    def compile(self, **options: Any) -> Self:
        """Compile the network by `torch.compile`; results stay equal up to rounding.

        Arguments:
            options: Options of `torch.compile`, such as `mode="reduce-overhead"` for CUDA graphs.

        Raises:
            ConfigError: the network is not a module.
        """
        network = self.conditional_means.network
        if not isinstance(network, nn.Module):
            raise ConfigError(
                f"Only a torch.nn.Module can be compiled; the network is a "
                f"{type(network).__name__}."
            )
        network.compile(**options)
        return self

    @property
    def barycenter(self) -> Tensor:
        """The uniform mixture of the data marginals, without noise, shape `(k,)`."""
        return simplex.barycenter(len(self.marginals), noise=self.noise is not None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.marginals)}, noise={self.noise!r})"

    @own_state
    def means(self, x: Any, alpha: Any, condition: Any = None) -> Any:
        r"""The conditional means $g_k = E[x_k \mid \sum_j \alpha_j x_j = x]$, in data units.

        Arguments:
            x: States, shape `(b, *event)`.
            alpha: A point of the simplex in any form that `source` of `transport` takes, or
                weights of the cone, shape `(k,)` or `(b, k)`.
            condition: An extra input of the network, one vector per row or one for all.

        Returns:
            An array of the same kind as `x`, shape `(b, k, *event)`.

        Raises:
            ConfigError: a name is unknown, or `alpha` has none of these forms.
            ShapeError: the shape of `x`, `alpha` or `condition` does not match the model.
            SimplexError: `alpha` is not on the cone.
            DataError: a row of `x` lies too far from the data.
            SolverError: the network returns values that are not finite.
        """
        with torch.no_grad():
            given, means, _ = self._at(x, alpha, condition)
            g = arrays.to_like(check_finite(means, "The means"), given.rows).unbind(1)
            corners = torch.eye(len(g), dtype=torch.float64)
            columns = [
                self.standardiser.restore(of_one, corner)
                for of_one, corner in zip(g, corners, strict=True)
            ]
        return given.back(torch.stack(columns, 1))

    @own_state
    def denoiser(self, x: Any, alpha: Any, condition: Any = None) -> Any:
        r"""The conditional mean of the noise in a state, $E[x_0 \mid x] = g_0(x, w)$.

        It is in the units of the noise, shape of `x`. The score is $-g_0 / w_0$, divided by the
        scale of the standardiser.

        Arguments:
            x: States, shape `(b, *event)`.
            alpha: As for `means`.
            condition: An extra input of the network, one vector per row or one for all.

        Raises:
            ScoreError: there is no noise marginal, or the noise depends on the data; other errors
                as for `means`.
        """
        self.check_score("The denoiser")
        with torch.no_grad():
            given, noise, _ = self._noise(x, alpha, condition)
            return given.back(noise)

    @own_state
    def score(self, x: Any, alpha: Any, condition: Any = None) -> Any:
        r"""The score $\nabla \log \rho(x) = -g_0 / w_0$ in data units, shape of `x`.

        Arguments:
            x: States, shape `(b, *event)`.
            alpha: As for `means`, with a positive weight of the noise.
            condition: An extra input of the network, one vector per row or one for all.

        Raises:
            ScoreError: there is no noise marginal, the noise depends on the data, or its weight is
                zero; other errors as for `means`.
        """
        self.check_score("The score")
        with torch.no_grad():
            given, noise, weights = self._noise(x, alpha, condition)
            first = weights[..., 0].to(noise)
            if not (first > 0).all():
                raise ScoreError(
                    f"The score does not exist where the weight of {self.noise!r} is zero. "
                    "Move alpha towards the noise, or along a path that bows towards it "
                    "(path='bow') or has latent noise (interpolant='smoothed')."
                )
            scale = self.standardiser.affine(weights, noise)[1]
            return given.back(-noise / (leading(first, noise) * scale))

    def check_noise(self, interpolant: Any, path: Any) -> None:
        """Check that there is a noise marginal if the interpolant or the path needs it.

        Raises:
            ConfigError: there is no noise marginal, and one of them needs it.
        """
        path = registry.installed().find("path", path).load() if isinstance(path, str) else path
        for one in (interpolant, path):
            if getattr(one, "needs_noise", False) and self.noise is None:
                raise ConfigError(
                    f"{one!r} needs a noise marginal; {self} has none. Fit with one: "
                    '{"noise": multisi.StandardNormal(), ...}.'
                )

    def _noise(self, x: Any, alpha: Any, condition: Any) -> tuple[Given, Tensor, Tensor]:
        """Rows in data units, the conditional mean of the noise, and the weights."""
        given, g, weights = self._at(x, alpha, condition)
        noise = arrays.to_like(check_finite(g[:, 0], "The means of the noise"), given.rows)
        return given, noise, weights

    def _at(self, x: Any, alpha: Any, condition: Any) -> tuple[Given, Tensor, Tensor]:
        """Rows in data units, the standardised means of all marginals, and weights on the cone."""
        given = self.given(x)
        weights = named_points.on_cone(alpha, self.marginals, given.indexed, "alpha")
        y = self.standardise(given.rows, weights)
        point = (weights / weights.sum(-1, keepdim=True)).to(y)
        means = self.conditional_means(y, point, self.given_condition(condition, given.indexed))
        return given, means, weights

    def given(self, x: Any, what: str = "x") -> Given:
        """Rows of the user as a tensor; a table is aligned with the features of the model.

        Raises:
            ShapeError: the rows have another shape than the samples of the model.
            DataError: the rows are not finite numbers, or a table has other columns.
        """
        given = Given.of(x, self.features, what)
        check_shape(tuple(given.rows.shape), self.event_shape, what)
        return given

    def given_condition(self, value: Any, x: Any) -> Any:
        """A condition of the user in the form that the network takes, for the rows of `x`.

        Raises:
            ShapeError: it is not one vector for each row, or one for all.
            DataError: it is not finite, or has other columns or another index than expected.
        """
        if not isinstance(frames.plain(value), Mapping):
            frames.check_index(value, x, "condition")
        like, rows = self.conditional_means.reference, len(x)
        if self.conditions is None or value is None:
            return arrays.condition(value, rows, like)
        return self.conditions.given(value, rows, like)

    def standardise(self, x: Tensor, weights: Tensor) -> Tensor:
        """Standardise rows, in the type and on the device of the means.

        Raises:
            DataError: a row lies too far from the data.
        """
        y = self.standardiser.standardise(x, weights).to(self.conditional_means.reference)
        if len(bad := arrays.bad_rows(y)):
            raise DataError(
                f"{len(bad)} of {len(x)} rows of x lie too far from the data for the type of the "
                f"model; the first is row {bad[0].item()}."
            )
        return y

    def log_volume(self, x: Tensor, weights: Tensor) -> float:
        """Log of the volume in data units of a unit cube of the means, for states like `x`."""
        scale = self.standardiser.affine(weights, x[:1].cpu().double())[1]
        logs = scale.log().expand(1, *x.shape[1:])
        if (constants := self.standardiser.constants) is not None:  # Undo the density of noise.
            logs = torch.where(constants.mask.to(logs.device), -math.log(2 * math.pi) / 2, logs)
        return logs.sum().item()

    def check_score(self, what: str) -> None:
        """Check that the model has a score; `what` needs it.

        Raises:
            ScoreError: there is no noise marginal, or the noise depends on the data.
        """
        if self.noise is None:
            raise ScoreError(
                f"{what} needs a standard-normal marginal, and {self} has none. Fit with one: "
                '{"noise": multisi.StandardNormal(), ...}.'
            )
        if not self.noise_independent:
            raise ScoreError(
                f"{what} needs noise that is independent of the data; this model has "
                "noise_independent=False. Fit with a coupling that draws the noise independently."
            )
