"""Learn the cheapest path between two points."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.progress import bar
from multisi.errors import ConfigError, DataError
from multisi.field import named_points
from multisi.field.field import Field
from multisi.geometry.moments import Table, of_draws, profile
from multisi.geometry.search import Curves, search
from multisi.geometry.states import Joint, States, states
from multisi.geometry.straight import even, straightened
from multisi.paths.learned import FORMS, Learned

_DRAWS, _FINE = 256, 2
"""Joint draws at each node where there is no table, and how many times `count` the clock has."""


def learn_path(
    field: Field,
    ends: Sequence[Tensor],
    *,
    corners: Sequence[str] | None = None,
    form: str = "fourier",
    coefficients: int = 8,
    grid: int | None = 16,
    count: int = 1000,
    samples: Mapping[str, Any] | None = None,
    most: int = 100,
    start: Learned | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Learned:
    """The cheapest curve of a form, at constant speed and with the best scale.

    The segment is among the curves, also at its own scale, so that no path is worse than that.

    Arguments:
        field: The field, which is not changed.
        ends: The two ends, each of shape `(k,)`.
        corners: Names of the marginals that the curve may use beside those of its ends; by
            default the noise, or without noise all.
        form: `"fourier"`, `"spline"` or `"piecewise"`.
        coefficients: Number of coefficients of each marginal.
        grid: Points of a table of moments in each direction, for each corner alone; `None` to
            search on joint draws, with gradients through the field.
        count: Number of states at a point.
        samples: Name to samples, as for `transport_cost`.
        most: Most steps of the quasi-Newton method from each start.
        start: A path between other ends whose log-ratios are the only start; by default three.
        seed: Seed of the states.
        progress: Whether to show a progress bar if standard error is a terminal.

    Raises:
        ConfigError: an option has an invalid value, or the ends are one point.
        DataError: there is nothing to draw states from.
    """
    if form not in FORMS:
        raise ConfigError(f"form must be one of {', '.join(FORMS)}; got {form!r}.")
    if torch.equal(ends[0], ends[1]):
        raise ConfigError("source and target are the same point, so there is nothing to learn.")
    coefficients = checks.integer(coefficients, "coefficients", least=4)
    most, count = checks.integer(most, "most"), checks.integer(count, "count")
    grid = grid if grid is None else checks.integer(grid, "grid", least=4)
    beside = _corners(field, ends, corners)
    face = sorted({*_inside(ends), *beside})
    first = None if start is None else checks.instance(start, Learned, "start").coefficients
    curves = Curves(ends, beside, form, coefficients, most, first)
    task = _Task(field, states(field, face, samples, count, seed), curves)
    between = all(int((end > 0).sum()) == 1 for end in ends)
    with bar(max(1, len(beside)), "learn path", "corner", progress) as shown:
        if not beside:
            found: list[Learned] = []
        elif between and grid is not None and (len(beside) == 1 or task.moved):
            found = []
            for corner in beside:
                found += _on_face(task, corner, grid)
                shown.update(1)
        else:
            found = _by_draws(task, face)
        best = sorted(map(even, found), key=task.cost)[:1]
        many = states(field, face, samples, _FINE * count, seed + 1)
        return task.cheapest(best, many)


class _Task(NamedTuple):
    """What is searched, and where states come from."""

    field: Field
    source: States
    curves: Curves

    @property
    def moved(self) -> bool:
        """Whether states are moved by the flow, so that there are no joint draws."""
        return not isinstance(self.source, Joint)

    def cost(self, path: Learned) -> float:
        """The cost of a curve at its best, by nodes that were not searched at."""
        return float(profile(self.field, self.source, path, count=40).over().least())

    def cheapest(self, curves: Sequence[Learned], many: States) -> Learned:
        """The cheapest of some curves and the segment, with a clock and a scale by many states."""
        ends = self.curves.ends
        segment = even(Learned(ends, [], torch.zeros(len(_inside(ends)), self.curves.size)))
        made = [straightened(c, profile(self.field, many, c, count=96).over()) for c in curves]
        found = profile(self.field, many, segment, count=32 if curves else 96).over()
        made += [straightened(segment, found), straightened(segment, found, scaled=False)]
        costs = [float(profile(self.field, self.source, path).over().energy()) for path in made]
        return made[costs.index(min(costs))]


def _corners(field: Field, ends: Sequence[Tensor], names: Sequence[str] | None) -> list[int]:
    """Indices of the corners beside those of the ends."""
    on = _inside(ends)
    if names is None:
        if field.noise is not None:
            return [] if 0 in on else [0]
        return [k for k in range(len(field.marginals)) if k not in on]
    given = checks.several(names, "corners")
    known = {named_points.index_of(name, field.marginals, "corners") for name in given}
    return sorted(known - set(on))


def _inside(ends: Sequence[Tensor]) -> list[int]:
    """Indices of the marginals of the ends."""
    found: list[int] = (torch.stack(list(ends)).amax(0) > 0).nonzero()[:, 0].tolist()
    return found


def _on_face(task: _Task, corner: int, grid: int) -> list[Learned]:
    """Cheap curves on the face of two marginals and one more corner."""
    first, last = (int(end.argmax()) for end in task.curves.ends)
    corners = first, last, corner
    table = Table(task.field, task.source, corners, grid)
    order = sorted(range(3), key=lambda i: corners[i])
    back = [order.index(i) for i in range(3)]

    def metric(alpha: Tensor, rate: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return table.metric(alpha[:, back], rate[:, back])

    return search(metric, task.curves._replace(corners=[corner]))


def _by_draws(task: _Task, face: list[int]) -> list[Learned]:
    """Cheap curves on a face of any size, by gradients through the field."""
    if not isinstance(task.source, Joint):
        raise DataError(
            "There are no joint draws, as the model was read from a file or samples are given: a "
            "path is then learned between two marginals, on a grid, with one more corner at a "
            "time. Name the two marginals, and leave out grid=None."
        )
    condition = task.source.condition
    condition = None if condition is None else condition[:_DRAWS]
    metric = of_draws(task.field, task.source.xs[:_DRAWS], condition, face)
    return search(metric, task.curves)
