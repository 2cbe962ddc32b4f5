"""The model: trained or exact means, the names of the marginals, and their units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from multisi import registry
from multisi.analysis.kl_bounds import Calibration
from multisi.analysis.likelihood import log_prob, posterior
from multisi.analysis.report import Report, evaluate
from multisi.common import arrays, checks, seeds
from multisi.common.estimate import Estimate
from multisi.errors import ConfigError
from multisi.field import named_points as points
from multisi.field import recipe as recipes
from multisi.field.field import Field
from multisi.files import checkpoint
from multisi.interpolants import Interpolant
from multisi.paths import Path
from multisi.sampling.transport import Journey
from multisi.solvers import Solver


class Model(Field):
    r"""One field over the simplex, and what can be done with it.

    Arguments:
        means: `ConditionalMeans`, or a network of their contract.
        names: The marginals in order.
        noise: Name of the standard-normal marginal, which must be the first; `None` without one.
        units: The standardiser between data units and those of the means; by default none.
        noise_independent: Whether the noise is independent of the data; the score needs it.
        plugins: What it was made with, for its file: kind, name, distribution and version of each.
        card: What else is known of it, for its file: how it was trained, what it was found to do.

    Raises:
        ConfigError: names that repeat, or a noise marginal that is not the first.

    References:
        Multimarginal generative modeling with stochastic interpolants, arXiv:2310.03695.

    Example:
        >>> from multisi import GaussianMixtureMeans
        >>> one, var = torch.ones(1), torch.ones(1, 1, 1)
        >>> means = GaussianMixtureMeans(
        ...     [one, one], [torch.zeros(1, 1), 3 * torch.ones(1, 1)], [var, var])
        >>> model = Model(means, ["a", "b"])
        >>> model.transport(torch.tensor([[0.5]]), "a", "b").round(decimals=2)
        tensor([[3.5000]])
    """

    _calibration: Calibration | None = None

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
            target: Where they shall go, likewise.
            via: A point to pass through, or a list of them.
            noise: How much noise: 0 is the deterministic flow, a number stands for
                $\varepsilon = \mathrm{noise} \cdot w_0$; or a schedule of `multisi.noise`, or a
                function of `(t, weights)` that gives $\varepsilon$; or `"auto"`, the constant of
                the least KL bound, after `calibrate`.
            seed: Seed of the noise; `None` draws a fresh one.
            path: A path or its name; by default straight from point to point, and bowed towards
                the noise where `noise` needs that.
            interpolant: An interpolant or its name; it changes the states in between and the
                amount of noise, never where the flow ends.
            solver: A solver or its name; by default `adams` for the flow, `midpoint` for noise.
            steps: Steps of the solver, shared out over the legs of the path.
            grid: Times of the path, from 0 to 1, in place of `steps`.
            condition: What the network is told besides: a vector a row, or one for all.
            denoise: Take the last step of an SDE without noise, to the mean of the target.
            rows: A number for each row; the noise of a row is then a function of the seed and of
                its number, whatever else is in the batch.
            batch_size: Rows that are moved at once; by default what the memory of the device holds
                well.
            precision: `"bfloat16"` or `"float16"` for the network alone; the state keeps its type.
            return_path: Return the states at all times, not only the last.
            progress: Show a bar, if standard error is a terminal.

        Returns:
            The kind of array that `x` is, shape `(b, *event)` or `(steps + 1, b, *event)`.

        Raises:
            ConfigError: an unknown name, or a value that an option cannot take.
            SimplexError: a point or a path off the simplex.
            ShapeError: `x`, or points a row, of another shape.
            DataError: `x` is not finite.
            ScoreError: noise where there is no score.
            SolverError: a state stopped being finite.
        """
        states = arrays.floats(x)
        route = [points.resolve(source, self.marginals, len(states), "source")]
        route += [] if via is None else points.waypoints(via, self.marginals)
        route += [points.resolve(target, self.marginals, len(states), "target")]
        if isinstance(noise, str) and noise == "auto":
            if via is not None:
                raise ConfigError("noise='auto' is for one leg; it cannot be used with via.")
            if self._calibration is None:
                raise ConfigError(
                    "noise='auto' needs to know how the model errs: call model.calibrate(twin, "
                    "samples) first, with a twin that was fitted with another seed."
                )
            noise = self._calibration.noise(source, target, path, interpolant)
        journey = Journey(
            self._means,
            path,
            interpolant,
            solver,
            steps,
            noise,
            condition,
            grid,
            denoise,
            batch_size,
            precision,
        )
        if journey.noise is not None:
            self.check_score("noise > 0")
        named = registry.installed().find("path", path).load() if isinstance(path, str) else path
        self.check_noise(journey.interpolant, named)
        random = seeds.of_rows(seed, rows, len(states), self.device)
        with torch.no_grad():
            y = self.enter(states, journey.weights(route[0]))
            moved, weights = journey.run(y, route, random, return_path, progress)
            moved = self.units.leave(moved.to(states), weights, self.noise is not None)
        return arrays.back(moved, x)

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

    def log_prob(self, x: Any, marginal: str, **options: Any) -> Any:
        r"""Log-density of rows under a marginal, in nats and data units.

        $\log \rho(x) = \log N(z; 0, I) + \int \nabla \cdot b\,dt$ along the flow into the noise at
        $z$, less the volume of the units. With `noise`, the estimator of the diffusion.

        Arguments:
            x: Rows, shape `(b, *event)`.
            marginal: A name.
            options: `steps` (64) and `solver` (`"adams"`); `path` from the marginal to the noise
                and `interpolant`; `probes`, how many of Hutchinson's vectors of signs to estimate
                the divergence by (without, it is exact up to 32 features and beyond that by one);
                `noise`, and `samples` of the diffusion for each row (16); `seed`; `condition`;
                `batch_size`.

        Returns:
            The kind of array that `x` is, shape `(b,)`.

        Raises:
            ScoreError: there is no noise marginal.

        References:
            Stochastic interpolants: a unifying framework, arXiv:2303.08797, section 2.5.
        """
        return arrays.back(log_prob(self, x, marginal, **options), x)

    def cross_entropy(self, x: Any, marginal: str, **options: Any) -> Estimate:
        r"""$-E \log \rho(x)$ over rows, with its standard error; options as for `log_prob`."""
        return Estimate.of(-log_prob(self, x, marginal, **options))

    def classify(
        self, x: Any, prior: Mapping[str, float] | None = None, **options: Any
    ) -> dict[str, Any]:
        r"""Which dataset rows come from: $P(k \mid x) \propto \pi_k\, \rho_k(x)$.

        Arguments:
            x: Rows, shape `(b, *event)`.
            prior: Name to share $\pi_k$ of each dataset to choose from; equal shares of all data
                marginals without.
            options: Options of `log_prob`.

        Returns:
            Name to probabilities, each the kind of array that `x` is, shape `(b,)`.
        """
        found = posterior(self, x, prior, **options)
        return {name: arrays.back(of, x) for name, of in found.items()}

    def calibrate(self, other: Field, samples: Mapping[str, Any], *, exact: bool = False) -> Self:
        r"""Prepare `noise="auto"`, which takes $\varepsilon^* = \sqrt{\Delta L_b / \Delta L_s}$.

        Arguments:
            other: A twin: a model of the same marginals that was fitted with another seed. Half
                the square of their difference estimates the variance of either, not the error
                that both share. Or the truth.
            samples: Name to samples of the data marginals.
            exact: Whether `other` is the truth.

        References:
            Stochastic interpolants: a unifying framework, arXiv:2303.08797, section 2.4.
        """
        self._calibration = Calibration(self, other, checks.options(samples, "samples"), exact)
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

    def evaluate(self, held_out: Mapping[str, Any], **options: Any) -> Report:
        """Move held-out samples between all ordered pairs and compare them with the targets.

        Arguments:
            held_out: Name to samples that were not trained on, for two or more data marginals.
            options: `samples` (how many to compare at most), `seed`, and options of `transport`.

        The report is noted on the model's card, which is saved with it.
        """
        for name in checks.options(held_out, "held_out"):
            points.index_of(name, self.marginals, "evaluate")
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
        tensors = {f"means.{name}": t for name, t in self._means.state_dict().items()}
        tensors |= {f"units.{name}": t for name, t in self.units.state_dict().items()}
        return tensors, {
            "marginals": list(self.marginals),
            "noise": self.noise,
            "noise_independent": self.noise_independent,
            "network": recipes.describe(self._means),
            "plugins": list(self.plugins),
            "card": self.card,
        }
