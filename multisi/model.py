"""The model: trained or exact means, the names of the marginals, and their units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from multisi import arrays, checkpoint, points, recipes, seeds, simplex
from multisi.devices import choose
from multisi.dynamics import ProbabilityFlow
from multisi.errors import ConfigError, DataError, ScoreError, ShapeError
from multisi.interpolants import Interpolant
from multisi.interpolants.barycentric import Barycentric
from multisi.marginals import check_names
from multisi.means import ConditionalMeans, finite
from multisi.paths import Path
from multisi.report import Report, evaluate
from multisi.solvers import Solver
from multisi.transport import Journey
from multisi.units import Standardiser


class Model:
    r"""One field over the simplex, and what can be done with it.

    Arguments:
        means: `ConditionalMeans`, or a network of their contract.
        names: The marginals in order.
        noise: Name of the standard-normal marginal, which must be the first; `None` without one.
        units: The standardiser between data units and those of the means; by default none.
        noise_independent: Whether the noise is independent of the data; the score needs it.

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

    def __init__(
        self,
        means: Any,
        names: Sequence[str],
        noise: str | None = None,
        *,
        units: Standardiser | None = None,
        noise_independent: bool = True,
    ) -> None:
        if isinstance(names, str):
            raise ConfigError(f"names must be a list of names; got the text {names!r}.")
        check_names(list(names))
        self.marginals = tuple(names)
        if noise is not None and points.index_of(noise, self.marginals, "noise") != 0:
            raise ConfigError(f"The noise marginal must come first; got {list(names)}.")
        self.noise = noise
        self.noise_independent = noise_independent
        self._means = means if isinstance(means, ConditionalMeans) else ConditionalMeans(means)
        heads = getattr(self._means.network, "marginals", len(names))
        if heads != len(names):
            raise ConfigError(f"The means have {heads} marginals; got {len(names)} names.")
        self.units = units or Standardiser.identity()
        self._means.eval()

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self._means.reference.device

    def to(self, device: Any) -> Model:
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

    def transport(
        self,
        x: Any,
        source: Any,
        target: Any,
        *,
        via: Any = None,
        noise: float = 0.0,
        seed: int | None = None,
        path: str | Path | None = None,
        interpolant: str | Interpolant = "barycentric",
        solver: str | Solver = "midpoint",
        steps: int = 32,
        condition: Any = None,
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
            noise: How much noise, at least 0; 0 is the deterministic flow.
            seed: Seed of the noise; `None` draws a fresh one.
            path: A path or its name; by default straight from point to point, and bowed towards
                the noise where `noise` needs that.
            interpolant: An interpolant or its name; it changes the states in between and the
                amount of noise, never where the flow ends.
            solver: A solver or its name.
            steps: Steps of the solver, shared out over the legs of the path.
            condition: Handed to the network if given.
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
        rows = arrays.floats(x)
        route = [points.resolve(source, self.marginals, len(rows), "source")]
        route += [] if via is None else points.waypoints(via, self.marginals)
        route += [points.resolve(target, self.marginals, len(rows), "target")]
        journey = Journey(self._means, path, interpolant, solver, steps, noise, condition)
        if journey.noise > 0:
            self._check_score("noise > 0")
        if journey.interpolant.needs_noise and self.noise is None:
            raise ConfigError(f"{journey.interpolant!r} needs a noise marginal; {self} has none.")
        random = seeds.generator(seeds.check(seed), device=self.device)
        with torch.no_grad():
            y = self._enter(rows, journey.interpolant.weights(route[0]))
            states, weights = journey.run(y, route, random, return_path, progress)
            moved = self.units.leave(states.to(rows), weights, self.noise is not None)
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

    def means(self, x: Any, alpha: Any, condition: Any = None) -> Any:
        r"""The conditional means $g_k = E[x_k \mid \sum_j \alpha_j x_j = x]$, in data units.

        Arguments:
            x: States, shape `(b, *event)`.
            alpha: A point of the simplex, as `source` of `transport`, or of the cone of
                non-negative weights, `(k,)` or `(b, k)`.
            condition: Handed to the network if given.

        Returns:
            The kind of array that `x` is, shape `(b, k, *event)`.
        """
        with torch.no_grad():
            rows, y, weights = self._state(x, alpha)
            g = self._means(y, (weights / weights.sum(-1, keepdim=True)).to(y), condition)
            g = finite(g, "The means").to(rows).unbind(1)
            corners = torch.eye(len(g), dtype=torch.float64)
            columns = [
                self.units.leave(of_one, corner, self.noise is not None)
                for of_one, corner in zip(g, corners, strict=True)
            ]
        return arrays.back(torch.stack(columns, 1), x)

    def velocity(self, x: Any, path: Path, t: float, condition: Any = None) -> Any:
        r"""$\sum_k \dot\alpha_k(t)\, g_k(x, \alpha(t))$ in data units per unit of `t`.

        Arguments:
            x: States at time `t`, shape `(b, *event)`.
            path: A path on the simplex.
            t: A time in [0, 1].
            condition: Handed to the network if given.
        """
        flow = ProbabilityFlow(self._means, path, Barycentric(), condition)
        with torch.no_grad():
            here = path(torch.tensor(float(t), dtype=torch.float64))
            rows, y, weights = self._state(x, here)
            scale = self.units.affine(weights, rows, self.noise is not None)[1]
            velocity = finite(flow.velocity(y, t), "The velocity")
            return arrays.back(velocity.to(rows) * scale, x)

    def score(self, x: Any, alpha: Any, condition: Any = None) -> Any:
        r"""The score $\nabla \log \rho(x) = -g_0 / w_0$ in data units, shape of `x`.

        Arguments:
            x: States, shape `(b, *event)`.
            alpha: As for `means`, with a positive weight of the noise.
            condition: Handed to the network if given.

        Raises:
            ScoreError: no noise marginal, noise that depends on the data, or a weight of zero.
        """
        self._check_score("The score")
        with torch.no_grad():
            rows, y, weights = self._state(x, alpha)
            if not (weights[..., 0] > 0).all():
                raise ScoreError(
                    f"The score does not exist where the weight of {self.noise!r} is zero. "
                    "Move alpha towards the noise."
                )
            point = (weights / weights.sum(-1, keepdim=True)).to(y)
            noise = finite(self._means(y, point, condition)[:, 0], "The score").to(rows)
            scale = self.units.affine(weights, rows, True)[1]
            first = weights[..., 0].to(rows).reshape(-1, *(1,) * (y.ndim - 1))
            return arrays.back(-noise / (first * scale), x)

    def evaluate(self, held_out: Mapping[str, Any], **options: Any) -> Report:
        """Move held-out samples between all ordered pairs and compare them with the targets.

        Arguments:
            held_out: Name to samples that were not trained on, for two or more data marginals.
            options: `samples` (how many to compare at most), `seed`, and options of `transport`.
        """
        for name in held_out:
            points.index_of(name, self.marginals, "evaluate")
        return evaluate(self.transport, held_out, **options)

    def save(self, path: Any) -> None:
        """Write the model to one safetensors file, whole or not at all.

        Raises:
            CheckpointError: the file cannot be written.
        """
        tensors = {f"means.{name}": t for name, t in self._means.state_dict().items()}
        tensors |= {f"units.{name}": t for name, t in self.units.state_dict().items()}
        description = {
            "marginals": list(self.marginals),
            "noise": self.noise,
            "noise_independent": self.noise_independent,
            "network": recipes.describe(self._means),
        }
        checkpoint.write(path, tensors, description)

    def _state(self, x: Any, alpha: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Rows as they are, the same in the means' coordinates, and weights on the cone."""
        rows = arrays.floats(x)
        weights = points.on_cone(alpha, self.marginals, len(rows), "alpha")
        return rows, self._enter(rows, weights), weights

    def _enter(self, x: Tensor, weights: Tensor) -> Tensor:
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

    def _check_score(self, what: str) -> None:
        if self.noise is None:
            raise ScoreError(
                f"{what} needs a standard-normal marginal, and {self} has none. Fit with one: "
                '{"noise": multisi.StandardNormal(), ...}.'
            )
        if not self.noise_independent:
            raise ScoreError(
                f"{what} needs noise that is independent of the data; here it is not."
            )
