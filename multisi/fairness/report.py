"""A table of figures: what is fair, what could be, and what no repair of features can change."""

from typing import Any

import numpy as np

from multisi.fairness import changes, metrics
from multisi.fairness.extra import need
from multisi.fairness.outcomes import GAPS, Outcomes, parity, quick_parity, read_outcomes
from multisi.fairness.probe import leakage
from multisi.fairness.reading import Array, coded

_PERMUTATIONS, _QUANTILE = 60, 0.9

_MEANINGS = {
    "base_rate_difference": "gap of the rates in y_true; no repair of features can change it",
    "demographic_parity_difference": "gap of the rates of decisions",
    "demographic_parity_ratio": "least rate of decisions over the largest; 1 is parity",
    "equalized_odds_difference": "gap of true or false positive rates; repair does not aim at it",
    "selection_rate": "rate of decisions for the last class",
    "accuracy": "share of right decisions",
    "AUC": "chance that a positive row has the higher score",
    "R²": "share of the variance that is explained",
    "mean_squared_error": "mean squared error",
    "ks_distance": "largest gap of the distributions of two groups",
    "wasserstein_distance": "largest mean shift between two groups, in standard deviations",
    "energy_distance": "difference of the laws of two groups, all columns together",
    "sliced_wasserstein_distance": "the same along random directions, in standard deviations",
    "leakage": "balanced accuracy of a classifier of the groups; the floor is chance",
    "distortion": "mean squared change of a value, in variances",
    "rank_preservation": "correlation of ranks before and after, within groups",
    "neighbour_preservation": "share of the ten nearest neighbours that are kept",
    "support_violations": "largest share of values of a column that X could not have had",
}
_FROM_LABELS = "; that of y_true, which no repair of features can change"


def fairness_report(
    y_true: Any,
    y_pred: Any,
    *,
    sensitive_features: Any,
    X: Any = None,
    Z: Any = None,
    random_state: Any = 0,
) -> Any:
    """Figures of labels, predictions and features by group, each beside its floor.

    Classification and regression are told apart by scikit-learn's `type_of_target` of `y_true`;
    predictions that are not labels are scores. Gaps of decisions are fairlearn's; of more than
    two classes they are the worst of one class against the others. Floors are the 90 % quantile
    over 60 permutations of the groups, the 10 % quantile for a ratio, and chance for `leakage`.

    The rates of `y_true` are a fact of the labels: repair of features moves what a model says,
    never what is true, so `movable` is False for them. Nor does it aim at equalised odds, which
    depend on these rates.

    Arguments:
        y_true: Labels or numbers, of shape `(n,)` or `(n, m)`.
        y_pred: Labels, scores, probabilities of all classes in order, or numbers.
        sensitive_features: The group of every row; several columns are crossed.
        X: The features, of shape `(n, d)`.
        Z: The repaired features, with the same rows.
        random_state: Seed of permutations, folds and rows that are drawn.

    Returns:
        A DataFrame with a row for every figure, such as `"leakage (X)"` or `"accuracy (women)"`,
        and columns `value`, `floor` (NaN if it has none), `kind` (`"labels"`, `"outcome"` or
        `"representation"`), `movable` and `meaning`.

    Raises:
        DataError: rows do not go together, values are missing, or there are fewer than two groups.
        ConfigError: fairlearn, pandas or scikit-learn is not installed.

    Examples:
        >>> groups = ["a", "a", "b", "b"]
        >>> report = fairness_report([0, 1, 0, 1], [0, 0, 1, 1], sensitive_features=groups)
        >>> report.loc["demographic_parity_difference", "value"].item()
        1.0
    """
    outcomes = read_outcomes(y_true, y_pred)
    names, codes = coded(sensitive_features, len(outcomes.true))
    table = _Table(names, codes, random_state)
    if outcomes.classes:
        table.classified(outcomes)
    else:
        table.regressed(outcomes)
    for what, rows in {"X": X, "Z": Z}.items():
        if rows is not None:
            table.represented(rows, what)
    if X is not None and Z is not None:
        table.changed(X, Z)
    columns = ["value", "floor", "kind", "movable", "meaning"]
    index = need("pandas").Index(table.rows, name="figure")
    return need("pandas").DataFrame(list(table.rows.values()), index, columns)


class _Table:
    """Rows of a report as they are made."""

    def __init__(self, names: list[Any], codes: Array, random_state: Any) -> None:
        self.names, self.codes, self.random_state = names, codes, random_state
        self.rows: dict[str, tuple[float, float, str, bool, str]] = {}

    def add(
        self, figure: str, value: float, kind: str, floor: float = np.nan, of: Any = None
    ) -> None:
        fixed = kind == "labels" and of is not None
        meaning = _MEANINGS[figure] + (_FROM_LABELS if fixed else "")
        name = figure if of is None else f"{figure} ({of})"
        self.rows[name] = (float(value), float(floor), kind, kind != "labels", meaning)

    def by_group(self, figure: str, values: Any, kind: str = "outcome") -> None:
        for name, value in zip(self.names, values, strict=True):
            self.add(figure, value, kind, of=name)

    def classified(self, outcomes: Outcomes) -> None:
        source = np.random.default_rng(self.random_state)
        gaps = parity(outcomes, self.codes)
        chance = [
            quick_parity(outcomes, source.permutation(self.codes)) for _ in range(_PERMUTATIONS)
        ]
        for figure in GAPS:
            level = 1 - _QUANTILE if figure.endswith("ratio") else _QUANTILE
            floor = float(np.quantile([found[figure] for found in chance], level))
            kind = "labels" if figure == "base_rate_difference" else "outcome"
            self.add(figure, gaps[figure], kind, floor)
        if len(outcomes.classes) == 1:
            self.by_group("selection_rate", self._means(outcomes.predicted[:, 0]))
        right = (outcomes.true == outcomes.predicted).all(1)
        self.add("accuracy", right.mean(), "outcome")
        self.by_group("accuracy", self._means(right))
        if outcomes.scores is not None:
            name, value = outcomes.utility()
            if name == "AUC":
                self.add(name, value, "outcome")
            self._distances(outcomes.scores, "scores", "outcome")

    def regressed(self, outcomes: Outcomes) -> None:
        self._distances(outcomes.true, "y_true", "labels")
        self._distances(outcomes.predicted, "y_pred", "outcome")
        parts = [self.codes == k for k in range(len(self.names))]
        for figure, metric in (
            ("R²", need("sklearn.metrics").r2_score),
            ("mean_squared_error", need("sklearn.metrics").mean_squared_error),
        ):
            self.add(figure, metric(outcomes.true, outcomes.predicted), "outcome")
            least = 2 if figure == "R²" else 1
            self.by_group(
                figure,
                [
                    metric(outcomes.true[part], outcomes.predicted[part])
                    if part.sum() >= least
                    else np.nan
                    for part in parts
                ],
            )

    def represented(self, rows: Any, what: str) -> None:
        self._distances(rows, what, "representation")
        for metric in (metrics.energy_distance, metrics.sliced_wasserstein_distance):
            self._measure(metric, rows, what, "representation")
        found = leakage(rows, sensitive_features=self.codes, random_state=self.random_state)
        self.add("leakage", found, "representation", 1 / len(self.names), what)

    def changed(self, X: Any, Z: Any) -> None:
        kind = "representation"
        moved = changes.distortion(X, Z, sensitive_features=self.codes).to_numpy()
        self.add("distortion", moved[0], kind)
        self.by_group("distortion", moved[1:], kind)
        for keeps in (changes.rank_preservation, changes.neighbour_preservation):
            self.add(keeps.__name__, keeps(X, Z, sensitive_features=self.codes), kind)
        outside = np.nanmax(changes.support_violations(X, Z).to_numpy())
        self.add("support_violations", outside, kind)

    def _distances(self, rows: Any, what: str, kind: str) -> None:
        for metric in (metrics.ks_distance, metrics.wasserstein_distance):
            self._measure(metric, rows, what, kind)

    def _measure(self, metric: Any, rows: Any, what: str, kind: str) -> None:
        chance = metrics.floor(
            metric,
            rows,
            sensitive_features=self.codes,
            permutations=_PERMUTATIONS,
            quantile=_QUANTILE,
            random_state=self.random_state,
        )
        value = metric(rows, sensitive_features=self.codes)
        self.add(metric.__name__, value, kind, chance, what)

    def _means(self, values: Array) -> list[float]:
        return [values[self.codes == k].mean() for k in range(len(self.names))]
