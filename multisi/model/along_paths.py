"""What happens along paths: velocities, costs, and what lowers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from multisi import noise as noises
from multisi.analysis.velocity import velocity
from multisi.common.estimate import Estimate
from multisi.common.torch_state import own_state
from multisi.dynamics.route import checked_path
from multisi.errors import ConfigError
from multisi.field import named_points
from multisi.geometry import cost, learning, pairs
from multisi.geometry.pairs import Costs
from multisi.interpolants import Interpolant
from multisi.model.densities import Densities
from multisi.model.rectification import rectified
from multisi.paths import Learned, Path


class AlongPaths(Densities):
    """A field with likelihoods, and with velocities and costs along paths; as for `Field`."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self.paths: dict[tuple[str, str], Learned] = {}
        self.fit_again: Callable[..., Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has: all but the data."""
        return self.__dict__ | {"draws": None, "fit_again": None}

    @own_state
    def transport_cost(
        self, source: Any, target: Any, *, via: Any = None, path: Any = None, **options: Any
    ) -> Estimate:
        r"""The cost of the flow from one point to another, $\int E |\dot x|^2\, dt$.

        It is estimated in squared data units from states at the points of the path, without
        integration: from new draws of the coupling if the model was fitted in this process, of
        the mixtures if its means are exact; else from `samples`, or from noise, which the flow
        moves there. On a path with a scale of its own, as `learn_path` gives, the states are
        those at this scale, about the mean of the data.

        Arguments:
            source: Where samples come from: a name, a dict of name to weight, or coordinates.
            target: Where they go.
            via: A point to pass through, or a list of points.
            path: A path or its name; by default the one of `transport`.
            options: `kind`, `"energy"` for this cost (the default), `"length"` for
                $\int \sqrt{E |\dot x|^2}\, dt$, `"least"` for the cost of the same curve at
                constant speed and at the best scale, or `"map"` for $E |X_1 - X_0|^2$, what the
                map itself moves; `interpolant`; `samples`, name to samples of a marginal on the
                path; `count`, the number of states at each time (4000); `seed`.

        Returns:
            The estimate and its standard error.

        Raises:
            ConfigError: an option has an invalid value.
            DataError: there is nothing to draw states from.
            MultisiError: as for `transport`.

        References:
            Albergo, Boffi, Lindsey, Vanden-Eijnden. Multimarginal generative modeling with
            stochastic interpolants (2023), arXiv:2310.03695, section 2.2.
        """
        route = [self._end(source, "source"), self._end(target, "target")]
        if via is not None:
            route[1:1] = named_points.waypoints(via, self.marginals)
        path = self.path_of(path, source, target, via)
        return cost.transport_cost(self, route, path=path, **options)

    @own_state
    def learn_path(self, source: Any, target: Any, **options: Any) -> Learned:
        r"""Find the cheapest path between two points, which `transport` then takes, both ways.

        The cost at constant speed with the best scale is a function of the angle
        $\int \sqrt{C / A - B^2 / A^2}\, dt$, with $A = E|y|^2$, $B = E[y \cdot \dot y]$ and
        $C = E|\dot y|^2$. It is minimised over curves whose log-ratios are Fourier sums, splines
        or piecewise linear; the field is not changed. The path is stored in the file of the model,
        and is taken by flows between the two marginals unless another one is given.

        Arguments:
            source: A name, or another point of the simplex; then the path is returned only.
            target: The other end.
            options: `corners`, names of the marginals that the path may use beside its ends (the
                noise, or without noise all); `form`, `"fourier"`, `"spline"` or `"piecewise"`;
                `coefficients`, their number for each marginal (8); `grid`, the points in each
                direction of a table of moments (16); `count`, the states at each (1000);
                `samples`, as for `transport_cost`; `most`, the most steps of a search (100);
                `seed`; `progress`.

        Returns:
            The path, with the clock of constant speed and the best scale.

        Raises:
            ConfigError: an option has an invalid value, or the ends are one point.
            DataError: there is nothing to draw states from.

        References:
            Albergo, Boffi, Lindsey, Vanden-Eijnden. Multimarginal generative modeling with
            stochastic interpolants (2023), arXiv:2310.03695, section 2.2.
        """
        ends = [self._end(source, "source"), self._end(target, "target")]
        found = learning.learn_path(self, ends, **options)
        if isinstance(source, str) and isinstance(target, str):
            self.keep(source, target, found)
            self.keep(target, source, found.reverse())
        return found

    def keep(self, source: str, target: str, path: Learned) -> None:
        """Let flows between two marginals take a path.

        Raises:
            SimplexError: the path does not lead from the one to the other.
        """
        checked_path(path, [self._end(source, "source"), self._end(target, "target")])
        self.paths[source, target] = path

    @own_state
    def learn_paths(self, names: Any = None, **options: Any) -> Costs:
        """Find the cheapest path of every pair, which `transport` then takes.

        Arguments:
            names: Names of the marginals, by default those of all datasets.
            options: Options of `learn_path`; by default with a `grid` of 8, a `count` of 300 and
                60 steps from the path of the pair before.

        Returns:
            The costs of all pairs, before and after.

        Raises:
            ConfigError: a name is unknown or repeated, or an option has an invalid value.
            DataError: there are fewer than two names, or nothing to draw states from.
        """
        found = pairs.all_pairs(self, names, **options)
        self.paths.update(found.paths)
        return found

    @own_state
    def constant_speed(self, path: Path, **options: Any) -> Path:
        r"""The same path at constant speed: $\tau(t)$ with $E |\dot x|^2$ the same at all times.

        It is computed from the costs along the path alone, and never costs more.

        Arguments:
            path: A path on the simplex.
            options: `interpolant`, `samples`, `count` and `seed`, as for `transport_cost`.

        Raises:
            ConfigError: `path` is not a `Path`, or an option has an invalid value.
            DataError: there is nothing to draw states from.
        """
        return cost.constant_speed(self, path, **options)

    @own_state
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
            interpolant: An interpolant or its name.

        Raises:
            ConfigError: `path`, `t` or `interpolant` is invalid.
            DataError: `x` is not finite.
            ShapeError: `x` or `condition` has the wrong shape.
            SimplexError: the path is not on the simplex at `t`.
            SolverError: the velocity is not finite.
        """
        rows, told = (given := self.given(x)).rows, self.given_condition(condition, given.indexed)
        return given.back(velocity(self, rows, path, t, told, interpolant))

    @own_state
    def rectify(
        self,
        rounds: int = 1,
        *,
        held_out: Mapping[str, Any] | None = None,
        coupling_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Train further on the pairs that this model makes, so that few steps suffice.

        Each round continues from the weights of the round before, on the coupling `rectified`.
        A model from a file has no data; `multisi.fit` with `coupling="rectified"`,
        `coupling_options={"model": model}` and `network=model` is a round for it.

        Arguments:
            rounds: Number of rounds.
            held_out: Name to samples `(n, *event)` that were not trained on; each round is then
                judged by `multisi.analysis.few_calls`, in `card["rounds"]` and in the log.
            coupling_options: Options of `multisi.couplings.Rectified`, which has those of
                `transport`; by default 16 steps.
            options: Options of `multisi.fit`; by default those of this model's own training.

        Returns:
            The model of the last round.

        Raises:
            ConfigError: the model was not fitted in this process, or an option is invalid.
            DataError: `held_out` is invalid.

        References:
            Liu, Gong, Liu. Flow straight and fast: learning to generate and transfer data with
            rectified flow (2022), arXiv:2209.03003.
        """
        return rectified(self, rounds, held_out, coupling_options, options)

    def path_of(
        self, path: str | Path | None, source: Any, target: Any, via: Any, noise: Any = 0.0
    ) -> str | Path | None:
        """The path of a transport: the given one, or for a flow the learned one."""
        path = None if isinstance(path, str) and path == "auto" else path
        named = isinstance(source, str) and isinstance(target, str)
        if path is not None or via is not None or not named or not noises.is_zero(noise):
            return path
        return self.paths.get((source, target))

    def _end(self, point: Any, what: str) -> Tensor:
        found = named_points.resolve(point, self.marginals, None, what)
        if found.ndim > 1:
            raise ConfigError(f"{what} must be one point, not one for each row.")
        return found
