"""The model: learned or exact means, the names of the marginals, and their units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from multisi.analysis.calibration import Calibration, calibrated_noise
from multisi.analysis.likelihood import log_prob, posterior
from multisi.analysis.report import Report, evaluate
from multisi.analysis.velocity import velocity
from multisi.common import arrays, checks, seeds
from multisi.common.estimate import Estimate
from multisi.data.standardiser import Standardiser
from multisi.dynamics.route import checked_weights
from multisi.field import named_points, recipe
from multisi.field.field import Field
from multisi.files import checkpoint
from multisi.interpolants import Interpolant
from multisi.paths import Path
from multisi.sampling.transport import Transport
from multisi.solvers import Solver


class Model(Field):
    r"""One field over the simplex, and what can be done with it.

    Arguments:
        means: `ConditionalMeans`, or a network of their contract.
        names: The marginals in order.
        noise: Name of the standard-normal marginal, which must be the first; `None` without one.
        standardiser: The map between data units and those of the means; by default none.
        noise_independent: Whether the noise is independent of the data; the score needs it.
        plugins: The plugins it was made with: kind, name, distribution and version of each.
        card: What else is known of it: how it was trained, how it was evaluated.

    Raises:
        ConfigError: names that repeat, a noise marginal that is not the first, or a standardiser
            for other marginals.

    References:
        Albergo, Boffi, Lindsey, Vanden-Eijnden. Multimarginal generative modeling with
        stochastic interpolants (2023), arXiv:2310.03695.

    Example:
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
        plugins: Sequence[Mapping[str, str]] = (),
        card: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(
            means, names, noise, standardiser=standardiser, noise_independent=noise_independent
        )
        self.plugins = tuple(dict(plugin) for plugin in plugins)
        self.card = dict(card or {})
        self._calibration: Calibration | None = None

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
            x: Samples of `source`, shape `(b, *event)`, in data units; noise is raw.
            source: Where they come from: a name, a dict of name to weight, coordinates `(k,)`;
                or one for each row, as a list of names or coordinates `(b, k)`.
            target: Where they go, likewise.
            via: A point to pass through, or a list of them.
            noise: How much noise: 0 is the deterministic flow, a number stands for
                $\varepsilon = \mathrm{noise} \cdot w_0$; or a schedule of `multisi.noise`, or a
                function of `(t, weights)` that gives $\varepsilon$; or `"auto"`, the constant
                with the lowest KL bound, after `calibrate`.
            seed: Seed of the noise; `None` draws a fresh one.
            path: A path or its name; by default straight from point to point, and bowed towards
                the noise where `noise` needs that.
            interpolant: An interpolant or its name; it changes the states in between and the
                amount of noise, never where the flow ends.
            solver: A solver or its name; by default `adams` for the flow, `midpoint` with noise.
            steps: Steps of the solver, shared among the legs of the path.
            grid: Times of the path, from 0 to 1, in place of `steps`.
            condition: An extra input of the network, one vector per row or one for all.
            denoise: Take the last step of an SDE without noise, to the mean of the target.
            rows: A number for each row; the noise of a row is then a function of the seed and of
                its number, whatever else is in the batch.
            batch_size: Rows that are moved at once; by default what suits the device's memory.
            precision: `"bfloat16"` or `"float16"` for the network alone; the state keeps its type.
            return_path: Return the states at all times, not only the last.
            progress: Show a bar, if standard error is a terminal.

        Returns:
            The kind of array that `x` is, shape `(b, *event)` or `(steps + 1, b, *event)`.

        Raises:
            ConfigError: an unknown name, or a value that an option cannot take.
            SimplexError: a point or a path off the simplex.
            ShapeError: `x`, or the points of rows, have another shape.
            DataError: `x` is not finite.
            ScoreError: noise where there is no score.
            SolverError: a state stopped being finite.
        """
        states = arrays.floats(x)
        route = [named_points.resolve(source, self.marginals, len(states), "source")]
        route += [] if via is None else named_points.waypoints(via, self.marginals)
        route += [named_points.resolve(target, self.marginals, len(states), "target")]
        if isinstance(noise, str) and noise == "auto":
            noise = calibrated_noise(
                self._calibration, source, target, via, path=path, interpolant=interpolant
            )
        options = Transport.of(
            self.conditional_means,
            path=path,
            interpolant=interpolant,
            solver=solver,
            steps=steps,
            grid=grid,
            noise=noise,
            condition=condition,
            denoise=denoise,
            batch_size=batch_size,
            precision=precision,
        )
        if options.noise is not None:
            self.check_score("noise > 0")
        self.check_noise(options.interpolant, path)
        random = seeds.of_rows(seed, rows, len(states), self.device)
        with torch.no_grad():
            y = self.standardise(states, checked_weights(options.interpolant, route[0]))
            moved, weights = options.run(y, route, random, return_path, progress)
            moved = self.standardiser.restore(moved.to(states), weights)
        return arrays.as_given(moved, x)

    def couple(self, x: Any, source: Any, **options: Any) -> dict[str, Any]:
        """The counterpart of each row of `x` in every marginal, by transport.

        Arguments:
            x: Samples of `source`, shape `(b, *event)`.
            source: Where they come from, as for `transport`.
            options: Options of `transport`.

        Returns:
            A dict of name to array of the shape of `x`, in the order of the marginals.
        """
        return {name: self.transport(x, source, name, **options) for name in self.marginals}

    def velocity(
        self,
        x: Any,
        path: Path,
        t: float,
        condition: Any = None,
        interpolant: str | Interpolant = "barycentric",
    ) -> Any:
        r"""$\sum_k \dot w_k(t)\, g_k(x, w(t))$ in data units per unit of `t`, shape of `x`.

        Arguments:
            x: States at time `t`, shape `(b, *event)`.
            path: A path on the simplex.
            t: A time in [0, 1].
            condition: An extra input of the network, one vector per row or one for all.
            interpolant: An interpolant or its name, whose weights are taken along the path.
        """
        return arrays.as_given(velocity(self, x, path, t, condition, interpolant), x)

    def log_prob(self, x: Any, marginal: str, **options: Any) -> Any:
        r"""Log-density of rows under a marginal, in nats and data units.

        $\log \rho(x) = \log N(z; 0, I) + \int \nabla \cdot b\,dt$ along the flow into the noise,
        where it ends at $z$, minus the log-volume of the data units. With `noise`, the estimator
        of the diffusion.

        Arguments:
            x: Rows, shape `(b, *event)`.
            marginal: A name.
            options: `steps` (64) and `solver` (`"adams"`); `path` from the marginal to the noise
                and `interpolant`; `probes`, the number of Hutchinson's sign vectors that estimate
                the divergence (by default it is exact up to 32 features, and beyond that
                estimated by one); `noise`, and `samples` of the diffusion for each row (16);
                `seed`; `condition`; `batch_size`.

        Returns:
            The kind of array that `x` is, shape `(b,)`.

        Raises:
            ScoreError: there is no noise marginal.

        References:
            Albergo, Boffi, Vanden-Eijnden. Stochastic interpolants: a unifying framework for
            flows and diffusions (2023), arXiv:2303.08797, section 2.5.
        """
        return arrays.as_given(log_prob(self, x, marginal, **options), x)

    def cross_entropy(self, x: Any, marginal: str, **options: Any) -> Estimate:
        r"""$-E \log \rho(x)$ over rows, with its standard error; options as for `log_prob`."""
        return Estimate.of(-log_prob(self, x, marginal, **options))

    def classify(
        self, x: Any, prior: Mapping[str, float] | None = None, **options: Any
    ) -> dict[str, Any]:
        r"""Which dataset rows come from: $P(k \mid x) \propto \pi_k\, \rho_k(x)$.

        Arguments:
            x: Rows, shape `(b, *event)`.
            prior: Name to share $\pi_k$ of each dataset; by default equal shares of all.
            options: Options of `log_prob`.

        Returns:
            Name to probabilities, each the kind of array that `x` is, shape `(b,)`.
        """
        found = posterior(self, x, prior, **options)
        return {name: arrays.as_given(of, x) for name, of in found.items()}

    def calibrate(self, other: Field, samples: Mapping[str, Any], *, exact: bool = False) -> Self:
        r"""Prepare `noise="auto"`, the $\varepsilon^*$ of `multisi.analysis.Bounds`.

        Arguments:
            other: A twin: a model of the same marginals that was fitted with another seed. Half
                the square of their difference estimates the variance of either, not the error
                that both share. Or the truth.
            samples: Name to samples of the data marginals.
            exact: Whether `other` is the truth.
        """
        self._calibration = Calibration(self, other, checks.options(samples, "samples"), exact)
        return self

    def evaluate(self, held_out: Mapping[str, Any], **options: Any) -> Report:
        """Move held-out samples between all ordered pairs and compare them with the targets.

        Arguments:
            held_out: Name to samples that were not trained on, for two or more data marginals.
            options: `samples` (how many to compare at most), `seed`, and options of `transport`.

        The report is noted on the model's card, which is saved with it.
        """
        for name in checks.options(held_out, "held_out"):
            named_points.index_of(name, self.marginals, "evaluate")
        report = evaluate(self.transport, held_out, **options)
        self.card["evaluation"] = report.to_dict()
        return report

    def save(self, path: Any) -> None:
        """Write the model to one safetensors file, whole or not at all.

        Raises:
            CheckpointError: the file cannot be written.
        """
        checkpoint.write(path, *self.parts())

    def parts(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What a file of the model holds: tensors, and a description for JSON."""
        tensors = {f"means.{name}": t for name, t in self.conditional_means.state_dict().items()}
        tensors |= {f"units.{name}": t for name, t in self.standardiser.state_dict().items()}
        return tensors, {
            "marginals": list(self.marginals),
            "noise": self.noise,
            "noise_independent": self.noise_independent,
            "network": recipe.describe(self.conditional_means),
            "plugins": list(self.plugins),
            "card": self.card,
        }
