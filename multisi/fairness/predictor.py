"""Repair of predictions: scores and probabilities that do not tell the group."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.model_selection import cross_val_predict
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from multisi.errors import ConfigError, DataError
from multisi.fairness.repair import BarycentricRepair

Array = Any
_LEAST = 1e-9
"""Least probability of a class, whose logarithm is finite."""


class FairPredictor(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    r"""A predictor whose predictions are repaired, so that their law is the same in all groups.

    Probabilities of classes are repaired as logarithms of their ratios to the last class,
    predictions of numbers as they are, several outputs together. The repair is fitted on
    predictions for rows that the predictor was not fitted on.

    At amount 1 the rates of predicted classes are those of all groups (demographic parity); error
    rates may still differ, since the rates of true classes do.

    Arguments:
        estimator: A classifier with `predict_proba`, or a regressor.
        repair: A `BarycentricRepair`; `None` for `field="quantile"` where predictions are one
            number, and `field="auto"` where they are more.
        cv: Folds of the predictions that the repair is fitted on, as in scikit-learn; `"prefit"`
            for an estimator that is fitted, and rows that it was not fitted on.

    Raises:
        ConfigError: a classifier has no `predict_proba`, or `"prefit"` is not fitted.
        DataError: `sensitive_features` is missing.

    References:
        Chzhen et al. Fair regression with Wasserstein barycenters (2020), arXiv:2006.07286.

    Examples:
        >>> from sklearn.linear_model import LinearRegression
        >>> source = np.random.default_rng(0)
        >>> s = np.repeat([0, 1], 200)
        >>> X = source.normal(size=(400, 2)) + s[:, None]
        >>> fair = FairPredictor(LinearRegression()).fit(X, X.sum(1), sensitive_features=s)
        >>> y = fair.predict(X, sensitive_features=s)
        >>> bool(abs(y[s == 0].mean() - y[s == 1].mean()) < 0.1)
        True
    """

    def __init__(self, estimator: Any, repair: Any = None, *, cv: Any = 5) -> None:
        self.estimator = estimator
        self.repair = repair
        self.cv = cv

    def fit(self, X: Any, y: Any, *, sensitive_features: Any = None) -> "FairPredictor":
        """Fit the estimator, and the repair of its predictions.

        Arguments:
            X: The features.
            y: The outcome.
            sensitive_features: The group of each row.
        """
        if sensitive_features is None:
            raise DataError("sensitive_features is missing: give the group of each row.")
        classifier = is_classifier(self.estimator)
        method = "predict_proba" if classifier else "predict"
        if not hasattr(self.estimator, method):
            raise ConfigError(
                f"A classifier needs predict_proba for its predictions to be repaired; "
                f"{type(self.estimator).__name__} has none. Wrap it in CalibratedClassifierCV."
            )
        if isinstance(self.cv, str) and self.cv == "prefit":
            check_is_fitted(self.estimator)
            self.estimator_, found = self.estimator, getattr(self.estimator, method)(X)
        else:
            found = cross_val_predict(self.estimator, X, y, cv=self.cv, method=method)
            self.estimator_ = clone(self.estimator).fit(X, y)
        if classifier:
            self.classes_ = self.estimator_.classes_
        scores = self._scores(found)
        chosen = self.repair
        if chosen is None:
            chosen = BarycentricRepair(field="quantile" if scores.shape[1] == 1 else "auto")
        self.repair_ = clone(chosen).fit(scores, sensitive_features=sensitive_features)
        return self

    def predict(self, X: Any, *, sensitive_features: Any = None) -> Array:
        """Repaired predictions: classes, or numbers.

        Arguments:
            X: The features.
            sensitive_features: The group of each row.
        """
        check_is_fitted(self)
        if hasattr(self, "classes_"):
            shares = self.predict_proba(X, sensitive_features=sensitive_features)
            return self.classes_[shares.argmax(1)]
        scores = self._repaired(self.estimator_.predict(X), sensitive_features)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    @available_if(lambda self: is_classifier(self.estimator))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any, *, sensitive_features: Any = None) -> Array:
        """Repaired probabilities, shape `(n, classes)`.

        Arguments:
            X: The features.
            sensitive_features: The group of each row.
        """
        check_is_fitted(self)
        ratios = self._repaired(self.estimator_.predict_proba(X), sensitive_features)
        logits = np.concatenate([ratios, np.zeros((len(ratios), 1))], 1)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    def _scores(self, found: Array) -> Array:
        """Predictions as numbers to repair, shape `(n, c)`."""
        if not hasattr(self, "classes_"):
            return np.asarray(found, float).reshape(len(found), -1)
        logs = np.log(np.clip(found, _LEAST, None))
        return logs[:, :-1] - logs[:, -1:]

    def _repaired(self, found: Array, sensitive_features: Any) -> Array:
        return self.repair_.transform(self._scores(found), sensitive_features=sensitive_features)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        return tags
