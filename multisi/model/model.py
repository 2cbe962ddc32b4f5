"""The model: conditional means, the names of the marginals and a standardiser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from multisi.analysis.calibration import Calibration, calibrated_noise
from multisi.analysis.evaluation import evaluate
from multisi.analysis.report import Report
from multisi.common import arrays, checks, compiled, seeds
from multisi.common.torch_state import own_state
from multisi.data.conditions import Conditions
from multisi.data.standardiser import Standardiser
from multisi.dynamics.route import checked_weights
from multisi.field import named_points, recipe
from multisi.field.field import Field
from multisi.files import checkpoint
from multisi.interpolants import Interpolant
from multisi.model.along_paths import AlongPaths
from multisi.paths import Path
from multisi.sampling.transport import Transport
from multisi.solvers import Solver


class Model(AlongPaths):
    r"""One field over the simplex, with transport, densities, evaluation and files.

    Arguments:
        means: `ConditionalMeans`, or a network `(x, alpha) -> heads` with `x` of shape
            `(b, *event)`, `alpha` of shape `(b, k)` and heads of shape `(b, k, *event)`.
        names: Names of the marginals in order.
        noise: Name of the standard-normal marginal, which must be the first; `None` without one.
        standardiser: The map between data units and standardised units; the identity by default.
        noise_independent: Whether the noise is independent of the data; the score needs it.
        event_shape: Shape of one sample; by default that of the network, if it has one.
        features: Names of the features, in order; `None` if they have none.
        conditions: The units and names of the condition; `None` if it is taken as it is.
        plugins: The plugins it was fitted with: kind, name, distribution and version of each.
        card: Further records for its file, such as options of training and an evaluation.

    Raises:
        ConfigError: a name is repeated, the noise marginal is not the first, the number of names
            or the standardiser does not fit the means, or `means` cannot be called.
        DataError: there are fewer than two names.

    References:
        Albergo, Boffi, Lindsey, Vanden-Eijnden. Multimarginal generative modeling with
        stochastic interpolants (2023), arXiv:2310.03695.

    Examples:
        >>> from multisi import GaussianMixtureMeans
        >>> one, var = torch.ones(1), torch.ones(1, 1, 1)
        >>> means = GaussianMixtureMeans(
        ...     [one, one], [torch.zeros(1, 1), 3 * torch.ones(1, 1)], [var, var])
        >>> model = Model(means, ["a", "b"])
        >>> model.transport(torch.tensor([[0.5]]), "a", "b").round(decimals=2)
        tensor([[3.5000]])
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
        plugins: Sequence[Mapping[str, str]] = (),
        card: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            means,
            names,
            noise,
            standardiser=standardiser,
            noise_independent=noise_independent,
            event_shape=event_shape,
            features=features,
            conditions=conditions,
        )
        self.plugins = tuple(dict(plugin) for plugin in plugins)
        self.card = dict(card or {})
        self._calibration: Calibration | None = None

    @own_state
    def transport(
        self,
        x: Any,
        source: Any,
        target: Any,
        *,
        via: Any = None,
        noise: Any = 0.0,
        seed: int | None = None,
        path: str | Path | None = None,
        interpolant: str | Interpolant = "barycentric",
        solver: str | Solver | None = None,
        steps: int = 32,
        grid: Any = None,
        condition: Any = None,
        denoise: bool = False,
        rows: Any = None,
        batch_size: int | None = None,
        precision: str | None = None,
        return_path: bool = False,
        progress: bool = False,
    ) -> Any:
        r"""Move samples from one point of the simplex to another.

        Solves $\dot x = \sum_k \dot w_k g_k(x, w)$ along a path, or with `noise` the SDE that
        has the same law at every time, with $\varepsilon(t) = \mathrm{noise} \cdot w_0(t)$.

        Arguments:
            x: Samples of `source`, shape `(b, *event)`, in data units; noise is raw. A DataFrame
                is aligned with the features of the model.
            source: Where samples come from: a name, a dict of name to weight, or coordinates
                `(k,)`; or one for each row, as a list of names or coordinates `(b, k)`.
            target: Where they go, in the same form.
            via: A point to pass through, or a list of points.
            noise: 0 for the flow; a number for $\varepsilon = \mathrm{noise} \cdot w_0$; a
                schedule of `multisi.noise`; a function of `(t, weights)` that returns
                $\varepsilon$; or `"auto"`, the constant with the lowest KL bound, after
                `calibrate`.
            seed: Seed of the noise; `None` draws a fresh one.
            path: A path or its name; by default, as with `"auto"`, that of `learn_path`, or else
                straight from point to point, bowed towards the noise where `noise` needs that.
            interpolant: An interpolant or its name; it changes the intermediate states and the
                amount of noise, but not the end of the flow.
            solver: A solver or its name; by default `adams` for the flow, `midpoint` with noise.
            steps: Number of solver steps, shared among the legs of the path.
            grid: Times of the path, from 0 to 1, instead of `steps`.
            condition: An extra input of the network, one vector per row or one for all, which may
                be a dict of names.
            denoise: Take the last step of an SDE without noise, to the mean of the target.
            rows: An integer for each row; the noise of a row then depends on the seed and its
                integer alone, not on the batch.
            batch_size: Rows per batch; chosen for the memory of the device by default.
            precision: `"bfloat16"` or `"float16"` for the network; the state keeps its type.
            return_path: Return the states at all times instead of the last. The times are even in
                arc length on the simplex; `grid` sets others.
            progress: Show a progress bar if standard error is a terminal.

        Returns:
            The kind of array that `x` is, shape `(b, *event)` or `(steps + 1, b, *event)`.

        Raises:
            ConfigError: a name is unknown, or an option has an invalid value.
            SimplexError: a point or a path is not on the simplex.
            ShapeError: `x`, `condition` or the points of the rows have the wrong shape.
            DataError: `x` is not finite, or too far from the data.
            ScoreError: `noise` is not 0 where there is no score.
            SolverError: a state is not finite.
            PluginError: a part from a plugin breaks its contract.
        """
        states = (given := self.given(x)).rows
        route = [named_points.resolve(source, self.marginals, given.indexed, "source")]
        route += [] if via is None else named_points.waypoints(via, self.marginals)
        route += [named_points.resolve(target, self.marginals, given.indexed, "target")]
        if isinstance(noise, str) and noise == "auto":
            noise = calibrated_noise(
                self._calibration, source, target, via, path=path, interpolant=interpolant
            )
        path = self.path_of(path, source, target, via, noise)
        options = Transport.of(
            self.conditional_means,
            path=path,
            interpolant=interpolant,
            solver=solver,
            steps=steps,
            grid=grid,
            noise=noise,
            condition=self.given_condition(condition, given.indexed),
            denoise=denoise,
            batch_size=batch_size,
            precision=precision,
        )
        if options.noise is not None:
            self.check_score("noise > 0")
        self.check_noise(options.interpolant, path)
        random = seeds.of_rows(seed, rows, given.indexed, self.device)
        with torch.no_grad():
            start = checked_weights(options.interpolant, route[0])
            y = self.standardise(states, start)
            moved, weights = options.run(y, route, random, return_path, progress)
            moved = self.standardiser.restore(arrays.to_like(moved, states), weights)
        moved = self.standardiser.kept(states, start, moved, weights, options.still(route))
        return given.back(moved)

    def couple(self, x: Any, source: Any, **options: Any) -> dict[str, Any]:
        """Move each row of `x` to every marginal; errors are those of `transport`.

        Arguments:
            x: Samples of `source`, shape `(b, *event)`.
            source: Where samples come from, as for `transport`.
            options: Options of `transport`.

        Returns:
            Name to array of the shape of `x`, in the order of the marginals.
        """
        return {name: self.transport(x, source, name, **options) for name in self.marginals}

    @own_state
    def calibrate(self, other: Field, samples: Mapping[str, Any], *, exact: bool = False) -> Self:
        r"""Prepare `noise="auto"`, the $\varepsilon^*$ of `multisi.analysis.Bounds`.

        Arguments:
            other: The truth, or a twin: a model of the same marginals that was fitted with another
                seed. A twin reveals the variance of training, not the error that both share.
            samples: Name to samples `(n, *event)` of the data marginals.
            exact: Whether `other` is the truth.

        Raises:
            ConfigError: `other` is not a model, or has other marginals.
            DataError: `samples` is empty.
        """
        self._calibration = Calibration(self, other, checks.options(samples, "samples"), exact)
        return self

    @own_state
    def evaluate(self, held_out: Mapping[str, Any], **options: Any) -> Report:
        """Move held-out samples between all ordered pairs and compare them with the targets.

        The report is also stored in `card`, which is saved with the model.

        Arguments:
            held_out: Name to samples `(n, *event)` that were not used in training, for two or
                more data marginals; weights, labels and a condition of a `Marginal` count.
            options: `samples` per marginal (4000), `seed`, `units` of the figures ("standardised"
                or "data"), and options of `transport`.

        Raises:
            MultisiError: there are fewer than two data marginals or four rows; or as `transport`.
        """
        report = evaluate(self.transport, held_out, field=self, **options)
        self.card["evaluation"] = report.to_dict()
        return report

    def save(self, path: Any) -> None:
        """Write the model to one safetensors file, atomically.

        Arguments:
            path: Path of the file, which is replaced if it exists.

        Raises:
            CheckpointError: the file cannot be written, or JSON cannot hold the card.
            ConfigError: `path` is not a path.
        """
        checkpoint.write(path, *self.parts())

    def parts(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The contents of the model's file: tensors, and a description for JSON."""
        tensors = {f"means.{n}": t for n, t in compiled.weights_of(self.conditional_means).items()}
        for kind, part in {"units": self, "condition": self.conditions}.items():
            units = part.standardiser.state_dict() if part is not None else {}
            tensors |= {f"{kind}.{name}": t for name, t in units.items()}
        return tensors, {
            "marginals": list(self.marginals),
            "noise": self.noise,
            "noise_independent": self.noise_independent,
            "event_shape": None if self.event_shape is None else list(self.event_shape),
            "features": None if self.features is None else list(self.features),
            "condition_features": self.conditions and self.conditions.features,
            "network": recipe.describe(self.conditional_means),
            "plugins": list(self.plugins),
            "paths": [[*pair, path.to_dict()] for pair, path in self.paths.items()],
            "card": self.card,
        }
