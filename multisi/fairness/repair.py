"""Repair of tables: groups are moved to one common law, by an estimator of scikit-learn's kind."""

import logging
from typing import Any

import numpy as np
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from multisi.fairness import saved, tables, targets
from multisi.fairness.core import Core, check_finite, warn_of_groups
from multisi.fairness.counterfactuals import Counterfactuals
from multisi.fairness.groups import ordered, read_groups
from multisi.fairness.making import Making

Array = Any
_LOG = logging.getLogger("multisi")


class BarycentricRepair(TransformerMixin, Counterfactuals):  # type: ignore[misc]
    r"""Moves the groups of a sensitive feature to one common law, an inner point of their simplex.

    The groups are marginals. A row of group $k$ goes along
    $\alpha(t) = (1 - t) e_k + t\,\alpha^*$ to $t$ = `amount`; at 1 all groups have the law at
    $\alpha^*$, so the repaired columns do not tell the group. Rows are moved one by one, by a map
    that can be inverted.

    Counts, rounded numbers and atoms are spread over their bins by noise which is a function of
    `random_state`, the row and its identifier, and nominal columns have a coordinate a level:
    otherwise each group would land on a lattice of its own. `inverse_transform` gives the very
    table back.

    This repairs features. It gives neither equalised odds nor causal statements, and protects
    nobody whose group is unknown when rows are repaired.

    Arguments:
        amount: How far rows are moved: 0 leaves them untouched bit for bit, 1 repairs them.
        target: The point: `"prior"`, the shares of the groups; `"uniform"`; a group, a dict of
            group to weight, or coordinates in the order of `groups_`.
        field: The map: `"affine"`, the Gaussian barycentre; `"quantile"`, each column alone;
            `"copula"`, each column alone and the Gaussian barycentre of their scores; `"flow"`,
            the learned field, whose moments and columns are mended; `"auto"` for the simplest that
            tells least of the group of held-out rows.
        coupling: The coupling of the flow, by name; `"class-aware"` matches rows of one `y`.
        dequantize: Whether to spread lattices and atoms.
        categorical_features: Names or places of nominal columns, or a mask; `None` for the columns
            of frames with the type Categorical.
        unseen: What to do with rows of groups that were not there at the fit: `"error"`, or
            `"identity"` to leave them as they are.
        restore: Whether repaired values return to their lattice, as counts and levels do. The
            repair can then no longer be inverted exactly.
        n_steps: Steps of the flow.
        solver: The solver of the flow, by name; `None` for the default of `Model.transport`.
            `"rk4"` with 24 steps or more is the exact mode.
        max_iter: Steps of training.
        max_seconds: Time limit of training; with one the result is not reproducible.
        device: The device of the flow.
        random_state: Seed of the noise and of training.
        verbose: Whether to show a progress bar.

    Raises:
        ConfigError: an option has an invalid value.
        SimplexError: the weights of a target are not on the simplex.
        DataError: a table or the groups cannot be used; the message names column and group.

    References:
        Gordaliza et al. Obtaining fairness using optimal transport theory (2019),
        arXiv:1806.03195.

    Examples:
        >>> source = np.random.default_rng(0)
        >>> s = np.repeat(["a", "b"], 200)
        >>> X = source.normal(size=(400, 2)) + 3 * (s == "b")[:, None]
        >>> repair = BarycentricRepair(field="affine", target="uniform")
        >>> Z = repair.fit(X, sensitive_features=s).transform(X, sensitive_features=s)
        >>> bool(abs(Z[s == "a"].mean() - Z[s == "b"].mean()) < 1e-9)
        True
    """

    def __init__(
        self,
        *,
        amount: Any = 1.0,
        target: Any = "prior",
        field: str = "auto",
        coupling: str = "ot",
        dequantize: bool = True,
        categorical_features: Any = None,
        unseen: str = "error",
        restore: bool = False,
        n_steps: int = 16,
        solver: str | None = None,
        max_iter: int = 5000,
        max_seconds: float | None = None,
        device: str = "cpu",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.amount = amount
        self.target = target
        self.field = field
        self.coupling = coupling
        self.dequantize = dequantize
        self.categorical_features = categorical_features
        self.unseen = unseen
        self.restore = restore
        self.n_steps = n_steps
        self.solver = solver
        self.max_iter = max_iter
        self.max_seconds = max_seconds
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self, X: Any, y: Any = None, *, sensitive_features: Any = None, row_ids: Any = None
    ) -> "BarycentricRepair":
        """Learn the groups, their columns and the map.

        Arguments:
            X: The table, `(n, d)`: an array or a frame.
            y: Classes, for the coupling `"class-aware"`; otherwise not used.
            sensitive_features: The group of each row; several columns are joined. `None` for one
                group, which is left as it is.
            row_ids: Identifiers of the rows; the index of a DataFrame or their places by default.
        """
        making = Making.of(self)
        values, schema = self._read(X, reset=True)
        nameless = sensitive_features is None
        keys = read_groups(
            np.zeros(len(values), int) if nameless else sensitive_features, len(values)
        )
        check_finite(values, schema, None if nameless else keys)
        warn_of_groups(values, schema, keys)
        seed = int(check_random_state(self.random_state).randint(2**31))
        core = Core.of(schema, values, keys, ordered(sensitive_features), making, seed)
        core.nameless = nameless
        x = core.draws(values, tables.identifiers(X, row_ids, len(values)))
        core.learn(x, keys, None if y is None else np.asarray(y), making)
        self._settle(core)
        _LOG.info("field=%r is %r: %s.", self.field, self.field_, self.reason_)
        return self

    def transform(
        self,
        X: Any,
        *,
        sensitive_features: Any = None,
        amount: Any = None,
        target: Any = None,
        row_ids: Any = None,
    ) -> Any:
        """Repair rows; a row is repaired in the same way whatever its batch is.

        Arguments:
            X: The table, with the columns of the fit.
            sensitive_features: The group of each row.
            amount: As in the constructor, whose value is the default.
            target: As in the constructor, whose value is the default.
            row_ids: Identifiers of the rows; the index of a DataFrame or their places by default.

        Returns:
            The repaired table, of the kind of `X`.
        """
        check_is_fitted(self)
        values, _ = self._read(X, reset=False)
        check_finite(values, self.core_.schema)
        amount = targets.amount_of(self.amount if amount is None else amount)
        alpha = self._alpha(target)
        codes = self._codes(sensitive_features, len(values))
        plain = self.core_.plain(values, self.restore)
        if amount == 0 or self.core_.map is None:
            return self._repaired(X, plain)
        x = self.core_.spread(values, tables.identifiers(X, row_ids, len(values)))
        moved = self.core_.move(x, codes, alpha, amount)
        columns = self.core_.columns(moved, values, self.restore)
        columns = [np.where(codes < 0, *pair) for pair in zip(plain, columns, strict=True)]
        return self._repaired(X, columns)

    def fit_transform(
        self, X: Any, y: Any = None, *, sensitive_features: Any = None, row_ids: Any = None
    ) -> Any:
        """Fit, and repair the same rows.

        Arguments:
            X: The table, `(n, d)`.
            y: As for `fit`.
            sensitive_features: The group of each row.
            row_ids: Identifiers of the rows.
        """
        options = {"sensitive_features": sensitive_features, "row_ids": row_ids}
        return self.fit(X, y, **options).transform(X, **options)

    def inverse_transform(
        self,
        X: Any,
        *,
        sensitive_features: Any = None,
        amount: Any = None,
        target: Any = None,
    ) -> Any:
        """The rows that were repaired, values on their lattice again.

        Arguments:
            X: The repaired table, as `transform` gives it with `restore=False`.
            sensitive_features: The group of each row: any group, for rows as they would be there.
            amount: The amount that the rows were repaired by.
            target: The target that the rows were repaired to.

        Returns:
            A table like that of the fit.
        """
        check_is_fitted(self)
        shown = self._shown(X)
        amount = targets.amount_of(self.amount if amount is None else amount)
        codes = self._codes(sensitive_features, len(shown))
        if amount == 0 or self.core_.map is None:
            return self._table(X, self.core_.coordinates.moved_back(shown))
        x, values = self.core_.coordinates.read(shown)
        moved = self.core_.move(x, codes, self._alpha(target), amount, back=True)
        columns = self.core_.columns(moved, values, restore=True, clip=False)
        plain = self.core_.coordinates.moved_back(shown)
        columns = [np.where(codes < 0, *pair) for pair in zip(plain, columns, strict=True)]
        return self._table(X, columns)

    def save(self, path: Any) -> None:
        """Write the fitted repair to a file, which `multisi.fairness.load` reads.

        Arguments:
            path: The file; an existing one is replaced in one step.

        Raises:
            CheckpointError: the file cannot be written, or a group is neither text nor a number.
        """
        check_is_fitted(self)
        saved.write(path, self.core_, self.get_params())

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """The names of the repaired columns; a nominal one has a column for each level.

        Arguments:
            input_features: Names of the columns of the table, where it had none.
        """
        check_is_fitted(self)
        names = OneToOneFeatureMixin.get_feature_names_out(self, input_features)
        if self.restore:
            return names
        return np.array(self.core_.coordinates.names(names), dtype=object)


def load(path: Any) -> BarycentricRepair:
    """A fitted repair from a file that `BarycentricRepair.save` wrote; nothing in it is executed.

    Arguments:
        path: The file.

    Raises:
        CheckpointError: the file is missing or damaged, or has no repair of a table.

    Examples:
        >>> import pathlib, tempfile
        >>> X, s = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
        >>> repair = BarycentricRepair(field="affine").fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     repair.save(pathlib.Path(folder) / "repair.safetensors")
        ...     again = load(pathlib.Path(folder) / "repair.safetensors")
        >>> bool((again.transform(X) == X).all())
        True
    """
    core, options = saved.read(path)
    repair = BarycentricRepair(**options)
    repair._settle(core)
    return repair
