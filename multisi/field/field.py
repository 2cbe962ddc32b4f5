"""The field: conditional means with named marginals, evaluated in data units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from multisi import registry, simplex
from multisi.common import arrays, checks
from multisi.common.devices import choose
from multisi.common.features import check_features
from multisi.common.shapes import leading
from multisi.data.marginals import check_names
from multisi.data.standardiser import Standardiser
from multisi.errors import ConfigError, DataError, ScoreError, ShapeError
from multisi.field import named_points
from multisi.field.conditional_means import ConditionalMeans, check_finite


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
                f"The standardiser was created with noise={self.standardiser.noise}, but the "
                f"model has noise={noise!r}. Create it with Standardiser(shift, scale, "
                f"noise={noise is not None})."
            )
        self.conditional_means = means.eval()
        self.event_shape = _event_shape(event_shape, means, self.standardiser)
        self.features = _features(features, self.event_shape)

    event_shape: tuple[int, ...] | None
    """Shape of one sample; `None` if it is not known."""

    features: tuple[str, ...] | None
    """Names of the features, in order; `None` if they have none."""

    conditional_means: ConditionalMeans
    """The conditional means in standardised units: the projected output of the network."""

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
            rows, means, _ = self._at(x, alpha, condition)
            g = check_finite(means, "The means").to(rows).unbind(1)
            corners = torch.eye(len(g), dtype=torch.float64)
            columns = [
                self.standardiser.restore(of_one, corner)
                for of_one, corner in zip(g, corners, strict=True)
            ]
        return arrays.as_given(torch.stack(columns, 1), x)

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
            return arrays.as_given(self._noise(x, alpha, condition)[0], x)

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
            ConfigError: there is no noise marginal, and one of them needs it.
        """
        path = registry.installed().find("path", path).load() if isinstance(path, str) else path
        for one in (interpolant, path):
            if getattr(one, "needs_noise", False) and self.noise is None:
                raise ConfigError(
                    f"{one!r} needs a noise marginal; {self} has none. Fit with one: "
                    '{"noise": multisi.StandardNormal(), ...}.'
                )

    def _noise(self, x: Any, alpha: Any, condition: Any) -> tuple[Tensor, Tensor]:
        """The conditional mean of the noise, and the weights."""
        rows, g, weights = self._at(x, alpha, condition)
        return check_finite(g[:, 0], "The means of the noise").to(rows), weights

    def _at(self, x: Any, alpha: Any, condition: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Rows in data units, the standardised means of all marginals, and the weights."""
        rows, y, weights = self._state(x, alpha)
        condition = arrays.condition(condition, len(y), y)
        point = (weights / weights.sum(-1, keepdim=True)).to(y)
        return rows, self.conditional_means(y, point, condition), weights

    def _state(self, x: Any, alpha: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Rows in data units, the same rows standardised, and weights on the cone."""
        rows = arrays.floats(x)
        weights = named_points.on_cone(alpha, self.marginals, len(rows), "alpha")
        return rows, self.standardise(rows, weights), weights

    def standardise(self, x: Tensor, weights: Tensor) -> Tensor:
        """Standardise rows, in the type and on the device of the means.

        Raises:
            ShapeError: the rows have another shape than the samples of the model.
            DataError: a row lies too far from the data.
        """
        event = tuple(self.standardiser.shift.shape)
        if event and tuple(x.shape[1:]) != event:
            raise ShapeError(
                f"x must have shape (b, {', '.join(map(str, event))}); got {tuple(x.shape)}."
            )
        y = self.standardiser.standardise(x, weights).to(self.conditional_means.reference)
        if len(bad := arrays.bad_rows(y)):
            raise DataError(
                f"{len(bad)} of {len(x)} rows of x lie too far from the data for the type of the "
                f"model; the first is row {bad[0].item()}."
            )
        return y

    def log_volume(self, x: Tensor, weights: Tensor) -> float:
        """Log of the volume in data units of a unit cube of the means, for states like `x`."""
        scale = self.standardiser.affine(weights, x[:1].double())[1]
        return scale.log().expand(1, *x.shape[1:]).sum().item()

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


def _event_shape(
    given: Sequence[int] | None, means: ConditionalMeans, standardiser: Standardiser
) -> tuple[int, ...] | None:
    """The shape of one sample: as given, or that of the network or of the standardiser."""
    if given is not None:
        return tuple(checks.integer(size, "event_shape") for size in given)
    recipe = means.recipe or {}
    known = recipe.get("event_shape", getattr(means.network, "event_shape", None))
    return tuple(known or standardiser.shift.shape) or None


def _features(
    names: Sequence[str] | None, event_shape: tuple[int, ...] | None
) -> tuple[str, ...] | None:
    """The names of the features, checked.

    Raises:
        ConfigError: samples are not vectors.
        DataError: a name is repeated, or there are too few or too many.
    """
    if names is None:
        return None
    if event_shape is None or len(event_shape) != 1:
        raise ConfigError(
            f"features are for samples that are vectors; got event_shape={event_shape}."
        )
    return check_features(names, event_shape[0], "features")
