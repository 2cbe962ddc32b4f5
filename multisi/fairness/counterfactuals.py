"""Rows of a group as they would be in another, on the way through the target of a repair."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from multisi.common import checks
from multisi.fairness import tables
from multisi.fairness.core import check_finite
from multisi.fairness.table_estimator import TableEstimator

Array = Any


class Counterfactuals(TableEstimator):
    """Moves rows from group to group, through the target."""

    def counterfactual(self, X: Any, *, from_: Any, to: Any = None, row_ids: Any = None) -> Any:
        """Rows of groups as they would be in another group, moved through the target.

        Maps through one common point agree when they are composed. What they keep is not
        identified by data without pairs: a counterfactual is a statement about laws, not about a
        person.

        Arguments:
            X: The table.
            from_: The group of the rows, or of each row.
            to: The group that they are moved to; `None` for all, as a dict of group to table.
            row_ids: Identifiers of the rows; the index of a DataFrame or their places by default.
        """
        check_is_fitted(self)
        if to is None:
            return {
                group: self.counterfactual(X, from_=from_, to=group, row_ids=row_ids)
                for group in self.groups_
            }
        return self.path(X, from_=from_, to=to, n_points=2, row_ids=row_ids)[-1]

    def path(
        self, X: Any, *, from_: Any, to: Any, n_points: int = 11, row_ids: Any = None
    ) -> list[Any]:
        """Tables on the way of rows from a group through the target to another group.

        Arguments:
            X: The table.
            from_: The group of the rows, or of each row.
            to: The group that they are moved to.
            n_points: Number of tables, at least 2; the first is `X`.
            row_ids: Identifiers of the rows; the index of a DataFrame or their places by default.
        """
        check_is_fitted(self)
        values, _ = self._read(X, reset=False)
        check_finite(values, self.core_.schema)
        n = len(values)
        checks.integer(n_points, "n_points", least=2)
        codes, goal = self._codes(_one_each(from_, n), n), self._codes(_one_each(to, n), n)
        plain = self.core_.plain(values, restore=True)
        if self.core_.map is None:
            return [self._table(X, plain) for _ in range(n_points)]
        x = self.core_.spread(values, tables.identifiers(X, row_ids, n))
        alpha, found = self.core_.target, []
        hub = self.core_.move(x, codes, alpha, 1.0)
        for t in np.linspace(0, 2, n_points):
            if t <= 1:
                moved = self.core_.move(x, codes, alpha, t) if 0 < t < 1 else (hub if t else x)
            else:
                end = self.core_.move(hub, goal, alpha, 1.0, back=True)
                moved = self.core_.move(end, goal, alpha, 2 - t) if t < 2 else end
            columns = self.core_.columns(moved, values, restore=True)
            still = (codes == goal) | (t == 0)
            columns = [np.where(still, *pair) for pair in zip(plain, columns, strict=True)]
            found.append(self._table(X, columns))
        return found


def _one_each(groups: Any, rows: int) -> Array:
    """A group for each row."""
    if isinstance(groups, str) or np.ndim(groups) == 0:
        return np.array([groups] * rows, dtype=object)
    return groups
