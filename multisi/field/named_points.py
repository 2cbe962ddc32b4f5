"""Points of the simplex as users write them: by name, as a mixture or by coordinates."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi import simplex
from multisi.common import frames
from multisi.errors import ConfigError, ShapeError, SimplexError


def index_of(name: str, names: Sequence[str], what: str = "marginal") -> int:
    """The index of a marginal.

    Raises:
        ConfigError: no marginal has this name.
    """
    if name in names:
        return list(names).index(name)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ConfigError(f"{what}: no marginal is named {name!r}.{hint} Known: {', '.join(names)}.")


def resolve(where: Any, names: Sequence[str], x: Any, what: str) -> Tensor:
    """The point or points given by `where`, float64, shape `(k,)` or `(rows, k)`.

    Arguments:
        where: A name; a dict of name to weight; an array of coordinates, `(k,)` or `(rows, k)`,
            or a DataFrame of them, whose columns are names; or a list of names, one per row.
        names: The names of the marginals in order.
        x: The samples whose rows the points go with; `None` where only one point is allowed.
        what: Name of the argument, for errors.

    Raises:
        ConfigError: a name is unknown, or `where` has none of these forms.
        ShapeError: the number of points is not the number of rows.
        SimplexError: the coordinates are not on the simplex.
        DataError: the points have another index than the samples.
    """
    k, where = len(names), _plain(where, names, x, what)
    if isinstance(where, str):
        return simplex.corner(index_of(where, names, what), k)
    if isinstance(where, Mapping):
        alpha = torch.zeros(k, dtype=torch.float64)
        for name, weight in where.items():
            alpha[index_of(name, names, what)] = _number(weight, what)
        return simplex.check(alpha, k, what)
    if _is_names(where):
        index = [index_of(str(name), names, what) for name in where]
        alpha = torch.eye(k, dtype=torch.float64)[torch.tensor(index, dtype=torch.int64)]
    else:
        alpha = simplex.check(_coordinates(where, what), k, what)
    if alpha.ndim == 1:
        return alpha
    if x is None or alpha.ndim != 2 or len(alpha) != len(x):
        expected = "one point" if x is None else f"one point, or one for each of {len(x)} rows"
        raise ShapeError(f"{what} must be {expected}; got shape {tuple(alpha.shape)}.")
    return alpha


def on_cone(where: Any, names: Sequence[str], x: Any, what: str) -> Tensor:
    """Like `resolve`; coordinates may also be weights of the cone, which need not sum to one."""
    where = _plain(where, names, x, what)
    if isinstance(where, str | Mapping) or _is_names(where):
        return resolve(where, names, x, what)
    weights = _coordinates(where, what)
    total = weights.sum(-1, keepdim=True) if weights.ndim else weights
    if not (total > 0).all():
        raise SimplexError(f"{what} must have a positive weight; got {weights.tolist()}.")
    return resolve(weights / total, names, x, what) * total


def waypoints(via: Any, names: Sequence[str]) -> list[Tensor]:
    """The points that a path passes through, from one point or a list of them."""
    via = frames.plain(via)
    several = isinstance(via, list | tuple) and not any(_is_number(item) for item in via)
    return [resolve(point, names, None, "via") for point in (via if several else [via])]


def _plain(where: Any, names: Sequence[str], x: Any, what: str) -> Any:
    """Points without pandas: the columns of a DataFrame by name, as coordinates in order."""
    plain = frames.plain(where)
    if not isinstance(plain, Mapping):  # Then it has a row for each sample.
        frames.check_index(where, x, what)
    if not frames.is_frame(where):
        return plain
    values = frames.numbers(where, what)
    if frames.counts(where.columns):
        return values
    found = np.zeros((len(where), len(names)))
    found[:, [index_of(name, names, what) for name in frames.names(where, what)]] = values
    return found


def _is_names(where: Any) -> bool:
    if isinstance(where, np.ndarray):
        return where.dtype.kind in "UO" and where.ndim == 1
    return isinstance(where, list | tuple) and all(isinstance(name, str) for name in where)


def _is_number(item: Any) -> bool:
    return isinstance(item, int | float | np.number)


def _number(weight: Any, what: str) -> float:
    try:
        return float(weight)
    except (TypeError, ValueError):
        raise SimplexError(f"{what}: weights must be numbers; got {weight!r}.") from None


def _coordinates(where: Any, what: str) -> Tensor:
    try:
        if isinstance(where, Tensor):
            return where.detach().cpu().to(torch.float64)
        return torch.from_numpy(np.array(where, dtype=np.float64))
    except (TypeError, ValueError):
        raise ConfigError(
            f"{what} must be a name, a dict of name to weight, coordinates on the simplex, or a "
            f"list of names, one per row; got {where!r}."
        ) from None
