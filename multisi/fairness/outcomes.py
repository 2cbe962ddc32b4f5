"""Predictions of every kind, read against what was true."""

from typing import Any, NamedTuple

import numpy as np

from multisi.errors import DataError
from multisi.fairness.extra import need
from multisi.fairness.reading import Array

GAPS = (
    "base_rate_difference",
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equalized_odds_difference",
)
"""What `parity` computes."""


class Outcomes(NamedTuple):
    """What was true and what was predicted, a column for every output.

    A classification has 0 and 1, in a column for every class, or for the last of two classes.

    Examples:
        >>> read_outcomes(["no", "yes"], [0.2, 0.9]).predicted.tolist()
        [[0], [1]]
    """

    true: Array
    """What was true, of shape `(n, m)`."""
    predicted: Array
    """What was predicted, of shape `(n, m)`."""
    scores: Array | None
    """Scores or probabilities that the predictions follow from, if these were given."""
    classes: tuple[Any, ...]
    """The classes of the columns; empty for numbers, which are regressed."""

    def utility(self) -> tuple[str, float]:
        """The name and the value of the usual figure of merit: AUC, accuracy or R²."""
        metrics = need("sklearn.metrics")
        if not self.classes:
            return "R²", float(metrics.r2_score(self.true, self.predicted))
        if self.scores is None or self.scores.shape[1] > 1:
            return "accuracy", float((self.true == self.predicted).all(1).mean())
        both = len(np.unique(self.true)) == 2
        return "AUC", float(metrics.roc_auc_score(self.true, self.scores)) if both else np.nan


def read_outcomes(y_true: Any, y_pred: Any, classes: Any = None) -> Outcomes:
    """Read labels, scores, probabilities, several labels or numbers, as scikit-learn names them.

    Scores of two classes are probabilities if all are in [0, 1], with the threshold 1/2;
    otherwise the threshold is 0.

    Arguments:
        y_true: What was true, of shape `(n,)` or `(n, m)`.
        y_pred: Predictions of the same kind, scores of shape `(n,)`, or probabilities of all
            classes in order, of shape `(n, c)`.
        classes: The classes; those that occur if it is `None`.

    Raises:
        DataError: the predictions do not go with what was true.
    """
    true, predicted = _array(y_true, "y_true"), _array(y_pred, "y_pred")
    if len(true) != len(predicted) or not len(true):
        raise DataError(
            f"y_true and y_pred must have the same rows; got {len(true)} and {len(predicted)}."
        )
    kind = need("sklearn.utils.multiclass").type_of_target
    found, given = kind(true), kind(predicted)
    if found == "multilabel-indicator":
        return _labels(true, predicted)
    if found in ("binary", "multiclass"):
        known = np.unique(true) if classes is None else np.asarray(classes)
        if predicted.ndim == 2:
            return _probabilities(true, predicted, known, classes is None)
        if given != "continuous":
            return _decisions(true, predicted, known)
        if len(known) <= 2:
            threshold = 0.5 if predicted.min() >= 0 and predicted.max() <= 1 else 0.0
            chosen = (predicted > threshold)[:, None].astype(int)
            positive = (true == known[-1])[:, None].astype(int)
            return Outcomes(positive, chosen, predicted[:, None], (known[-1],))
    columns = [part.reshape(len(part), -1) for part in (true, predicted)]
    if columns[0].shape != columns[1].shape or any(
        part.dtype.kind not in "biuf" for part in columns
    ):
        raise DataError(
            f"y_pred must hold numbers of the shape of y_true, {true.shape}; got "
            f"{predicted.dtype} of shape {predicted.shape}."
        )
    return Outcomes(columns[0], columns[1], None, ())


def _array(values: Any, what: str) -> Array:
    array = np.asarray(values)
    if array.dtype.kind == "O":
        array = np.asarray(array.tolist())
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2):
        raise DataError(f"{what} must have one or two axes; got shape {array.shape}.")
    missing = need("pandas").isna(values if array.dtype.kind == "O" else array)
    if np.any(missing) or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        raise DataError(f"{what} must have no missing or infinite values.")
    return array


def _labels(true: Array, predicted: Array) -> Outcomes:
    if predicted.shape != true.shape:
        raise DataError(
            f"y_pred must have the shape of y_true, {true.shape}; got {predicted.shape}."
        )
    whole = np.isin(predicted, (0, 1)).all()
    scores = None if whole else predicted
    return Outcomes(true, (predicted > 0.5).astype(int), scores, tuple(range(true.shape[1])))


def _probabilities(true: Array, predicted: Array, known: Array, guess: bool) -> Outcomes:
    columns = predicted.shape[1]
    if guess and len(known) < columns and true.dtype.kind in "iu" and known.max() < columns:
        known = np.arange(columns)  # Some classes did not occur.
    if len(known) != columns:
        raise DataError(
            f"y_pred must have a column for each of {len(known)} classes; got {columns}."
        )
    if columns == 2:
        return read_outcomes(true, predicted[:, 1].astype(float), known)
    chosen = known[predicted.argmax(1)]
    return _decisions(true, chosen, known)._replace(scores=predicted)


def _decisions(true: Array, predicted: Array, known: Array) -> Outcomes:
    if (true.dtype.kind in "US") != (predicted.dtype.kind in "US"):
        raise DataError(
            f"y_pred must hold labels as y_true does; got {predicted.dtype} and {true.dtype}."
        )
    every = np.union1d(known, predicted)
    shown = every[-1:] if len(every) <= 2 else every
    return Outcomes(
        (true[:, None] == shown).astype(int),
        (predicted[:, None] == shown).astype(int),
        None,
        tuple(shown.tolist()),
    )


def parity(outcomes: Outcomes, groups: Array) -> dict[str, float]:
    """The gaps between groups by fairlearn, the worst of all classes, each against the others.

    Arguments:
        outcomes: A classification.
        groups: The group of every row.
    """
    fair = need("fairlearn.metrics")
    metrics = {
        "base": lambda true, predicted: np.mean(true),
        "chosen": fair.selection_rate,
        "hits": fair.true_positive_rate,
        "alarms": fair.false_positive_rate,
    }
    found = []
    for true, predicted in zip(outcomes.true.T, outcomes.predicted.T, strict=True):
        frame = fair.MetricFrame(
            metrics=metrics, y_true=true, y_pred=predicted, sensitive_features=groups
        )
        found.append(frame.by_group[list(metrics)].to_numpy(float).T)
    return _gaps(np.stack(found, 1))


def quick_parity(outcomes: Outcomes, codes: Array) -> dict[str, float]:
    """The same by counting, in a hundredth of the time, for permutations of the groups."""
    members = np.eye(codes.max() + 1)[codes]
    true, predicted = outcomes.true, outcomes.predicted

    def rate(what: Array, among: Array) -> Array:
        count = (among.T @ members).clip(1)
        return np.asarray(((what * among).T @ members) / count)

    every = np.ones_like(true)
    rates = [rate(true, every), rate(predicted, every)]
    return _gaps(np.stack([*rates, rate(predicted, true), rate(predicted, 1 - true)]))


def _gaps(rates: Array) -> dict[str, float]:
    """The gaps of rates of shape `(4, m, k)`: of four kinds, `m` classes and `k` groups."""
    low, high = rates.min(2), rates.max(2)
    base, chosen, hits, alarms = (high - low).max(1)
    some = high[1] > 0
    ratio = (low[1][some] / high[1][some]).min() if some.any() else np.nan
    found = (base, chosen, ratio, max(hits, alarms))
    return dict(zip(GAPS, map(float, found), strict=True))
