"""Names of features: their order, by which tables are aligned."""

from collections import Counter
from collections.abc import Sequence

from multisi.errors import DataError


def check_features(names: Sequence[str], count: int, what: str) -> tuple[str, ...]:
    """The names of the features, one for each column, all different.

    Raises:
        DataError: a name is repeated, or the number of names is not `count`.
    """
    named = tuple(str(name) for name in names)
    if len(named) != count:
        raise DataError(
            f"{what} must have a name for each of {count} features; got {len(named)}: "
            f"{listed(named)}."
        )
    if repeated := sorted(name for name, times in Counter(named).items() if times > 1):
        raise DataError(
            f"{what} must have a different name for each feature; repeated: {listed(repeated)}."
        )
    return named


def places(names: Sequence[str], features: Sequence[str], what: str) -> list[int]:
    """The place in `names` of each of `features`, so that `x[:, places]` has their order.

    Examples:
        >>> places(["income", "age"], ["age", "income"], "x")
        [1, 0]

    Raises:
        DataError: the names are not the same, in whatever order; the message has both lists.
    """
    found, expected = set(names), set(features)
    if found != expected:
        missing = [name for name in features if name not in found]
        other = [name for name in names if name not in expected]
        lacks = f" Missing: {listed(missing)}." if missing else ""
        more = f" Not expected: {listed(other)}." if other else ""
        raise DataError(
            f"{what} must have the features {listed(features)}; got {listed(names)}.{lacks}{more} "
            "Select or rename the columns."
        )
    place = {name: i for i, name in enumerate(names)}
    return [place[name] for name in features]


def listed(names: Sequence[str]) -> str:
    """Names for a message, the first twenty of them."""
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(repr(name) for name in names[:20]) + more
