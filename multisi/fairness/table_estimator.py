"""What estimators of tables with groups share: reading rows and groups, and tables in and out."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from multisi.errors import ConfigError, DataError, DataWarning
from multisi.fairness import tables, targets
from multisi.fairness.core import Core
from multisi.fairness.groups import read_groups
from multisi.fairness.tables import Schema

Array = Any


class TableEstimator(BaseEstimator):  # type: ignore[misc]
    """Reads tables and groups for a repair, and gives tables back."""

    core_: Core

    def _read(self, X: Any, reset: bool) -> tuple[Array, Schema]:
        """The rows as numbers, float64, shape `(n, d)`, and the schema of their columns."""
        if tables.as_frame(X) is None and self.categorical_features is None:
            found = {"dtype": [np.float64, np.float32], "ensure_all_finite": False}
            values = validate_data(self, X, reset=reset, **found)
            return values.astype(np.float64), Schema.of(values, None)
        validate_data(self, X, reset=reset, skip_check_array=True)
        schema = Schema.of(X, self.categorical_features) if reset else self.core_.schema
        values = check_array(schema.numbers(X), dtype=np.float64, ensure_all_finite=False)
        return values, schema

    def _codes(self, sensitive_features: Any, rows: int) -> Array:
        """The number of the group of each row; -1 for groups that are left as they are."""
        if len(self.groups_) == 1 and self.core_.nameless:
            if sensitive_features is not None:
                warnings.warn(
                    "This repair was fitted without sensitive_features, so rows are left as they "
                    "are. Fit it with the group of each row.",
                    DataWarning,
                    stacklevel=3,
                )
            return np.zeros(rows, int)
        if sensitive_features is None:
            raise DataError(
                "sensitive_features is missing: rows are repaired by their group. Give the group "
                f"of each of the {rows} rows; where it is not known, this repair cannot be used."
            )
        keys = read_groups(sensitive_features, rows)
        codes = self.core_.codes(keys)
        if self.unseen == "error" and (codes < 0).any():
            row = int(np.flatnonzero(codes < 0)[0])
            raise DataError(
                f"sensitive_features: group {keys[row]!r} of row {row} was not there at the fit; "
                f"known: {', '.join(map(repr, self.groups_))}. Use unseen='identity' to leave "
                "such rows as they are."
            )
        return codes

    def _settle(self, core: Core) -> None:
        """Take over what was fitted or read."""
        self.core_, self.groups_, self.weights_ = core, core.groups, core.weights
        self.field_, self.reason_ = core.selection.name, core.selection.reason
        self.n_iter_ = core.map.iterations if core.map is not None else 1
        self.n_features_in_ = len(core.schema.levels)
        if core.schema.names is not None:
            self.feature_names_in_ = np.array(core.schema.names, dtype=object)

    def _alpha(self, target: Any) -> Array:
        if target is None:
            return self.core_.target
        return targets.resolve(target, self.groups_, self.weights_)

    def _shown(self, X: Any) -> Array:
        """A repaired table as numbers, shape `(n, c)`."""
        if self.restore:
            raise ConfigError(
                "Values that returned to their lattice cannot be inverted exactly. Repair with "
                "restore=False, then invert."
            )
        names = self.get_feature_names_out()
        frame = tables.as_frame(X)
        if frame is not None and list(map(str, frame.columns)) != list(names):
            raise DataError(
                f"A repaired table has the columns {', '.join(names)}; got "
                f"{', '.join(map(str, frame.columns))}."
            )
        shown = check_array(X if frame is None else frame.to_numpy(), dtype=np.float64)
        if shown.shape[1] != len(names):
            raise DataError(f"A repaired table has {len(names)} columns; got {shown.shape[1]}.")
        return shown

    def _repaired(self, X: Any, columns: Sequence[Array]) -> Any:
        if self.restore:
            return self._table(X, columns)
        return tables.like(X, columns, self.get_feature_names_out())

    def _table(self, X: Any, columns: Sequence[Array]) -> Any:
        """Columns of the fit as a table of the kind of `X`, with levels and types."""
        names = OneToOneFeatureMixin.get_feature_names_out(self)
        named = self.core_.schema.levelled(columns)
        return tables.typed(tables.like(X, named, names), self.core_.schema.types)
