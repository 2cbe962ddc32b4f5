"""Utility against unfairness over the amounts of a repair."""

from collections.abc import Iterator, Sequence
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from multisi.common import checks
from multisi.errors import ConfigError, DataError
from multisi.fairness.extra import need
from multisi.fairness.metrics import ks_distance
from multisi.fairness.outcomes import Outcomes, parity, read_outcomes
from multisi.fairness.probe import folds_of, held_out_leakage, leakage
from multisi.fairness.reading import Array, coded, take

_METHODS = ("fit", "transform", "predict", "predict_proba", "decision_function")


class _Rows(NamedTuple):
    """Rows of one side of a split, and the groups as they were given."""

    X: Any
    y: Any
    groups: Any
    codes: Array


class _Answers(NamedTuple):
    """What a model says of the rows of the test, and what the repair made of both sides."""

    classes: Any
    predicted: Any
    scores: Any
    before: Any
    after: Any


def pareto_frontier(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    sensitive_features: Any,
    amounts: Sequence[float] = (0, 0.25, 0.5, 0.75, 1),
    cv: Any = 5,
    random_state: Any = 0,
) -> Any:
    """Utility and unfairness of a model on held-out rows, for every amount of its repair.

    The repair of a pair, or of a `Pipeline` of which it is a step, is fitted once a split. For
    other estimators the one parameter that is called `amount`, or ends in `__amount`, is set on
    clones, to which `sensitive_features` is routed.

    Arguments:
        estimator: A pair `(repair, predictor)`, or an estimator of scikit-learn with a repair.
        X: A table of shape `(n, d)`.
        y: Labels or numbers, of shape `(n,)`.
        sensitive_features: The group of every row; several columns are crossed.
        amounts: The amounts, in [0, 1].
        cv: Number of folds, which all have the same shares of the groups, or a splitter, which is
            given the groups as labels, or pairs of training and test rows.
        random_state: Seed of the folds and of the probe.

    Returns:
        A DataFrame with a row for every split and amount: `amount`, `split`, `utility` (AUC of
        two classes, accuracy of several, R² of numbers; `attrs["utility"]` says which), `ks` of
        the scores, `leakage` of the repaired test rows by a probe of the training rows, or of the
        predictions where the repair cannot be reached, and `demographic_parity_difference` of
        decisions, NaN for numbers. `attrs["chance"]` is that of the leakage.

    Raises:
        ConfigError: an amount is not in [0, 1], or the estimator has no or several amounts.
        DataError: rows do not go together, or a group is too small to be divided.

    References:
        Chzhen et al., "Fair Regression with Wasserstein Barycenters" (2020), arXiv:2006.07286.
    """
    amounts = [_check(amount) for amount in amounts]
    y = np.asarray(y)
    names, codes = coded(sensitive_features, len(y))
    if len(X) != len(y):
        raise DataError(f"X and y must have the same rows; got {len(X)} and {len(y)}.")
    rows, merit = [], "utility"
    with need("sklearn").config_context(enable_metadata_routing=True):
        for split, parts in enumerate(_splits(cv, X, codes, random_state)):
            train, test = (
                _Rows(take(X, part), y[part], take(sensitive_features, part), codes[part])
                for part in parts
            )
            models = _models(estimator, train, test, amounts)
            for amount, answers in zip(amounts, models, strict=True):
                merit, figures = _figures(answers, train, test, random_state)
                rows.append({"amount": amount, "split": split, **figures})
    table = need("pandas").DataFrame(rows)
    table.attrs.update(utility=merit, chance=1 / len(names))
    return table


def _check(amount: Any) -> float:
    if checks.number(amount, "An amount") > 1:
        raise ConfigError(f"An amount must be in [0, 1]; got {amount!r}.")
    return float(amount)


def _splits(cv: Any, X: Any, codes: Array, random_state: Any) -> Any:
    if hasattr(cv, "split"):
        return cv.split(np.zeros(len(codes)), codes)
    if isinstance(cv, int | np.integer):
        return folds_of(codes, checks.integer(cv, "cv", 2), random_state)
    return cv


def _models(estimator: Any, train: _Rows, test: _Rows, amounts: list[float]) -> Iterator[_Answers]:
    if isinstance(estimator, tuple | list):
        if len(estimator) != 2:
            raise ConfigError(f"A pair must be (repair, predictor); got {len(estimator)} parts.")
        repair, predictor = estimator
        return _fitted_once(None, repair, predictor, train, test, amounts)
    found = [name for name in estimator.get_params() if f"__{name}".endswith("__amount")]
    if len(found) != 1:
        raise ConfigError(
            f"The estimator must have one parameter that ends in amount; it has "
            f"{', '.join(found) or 'none'}. Pass the pair (repair, predictor)."
        )
    step = found[0].rpartition("__")[0]
    places = list(getattr(estimator, "named_steps", ()))
    i = places.index(step) if step in places[:-1] else None
    if i is not None and "amount" in signature(estimator[i].transform).parameters:
        head = estimator[:i] if i else None
        return _fitted_once(head, estimator[i], estimator[i + 1 :], train, test, amounts)
    return _fitted_anew(estimator, found[0], train, test, amounts)


def _fitted_once(
    head: Any, repair: Any, predictor: Any, train: _Rows, test: _Rows, amounts: list[float]
) -> Iterator[_Answers]:
    """A repair that is fitted once, and a predictor that is fitted for every amount."""
    clone = need("sklearn.base").clone
    A, B = train.X, test.X
    if head is not None:
        head = clone(head)
        A, B = head.fit_transform(A, train.y), head.transform(B)
    repair = clone(repair).fit(A, train.y, sensitive_features=train.groups)
    for amount in amounts:
        before = repair.transform(A, sensitive_features=train.groups, amount=amount)
        after = repair.transform(B, sensitive_features=test.groups, amount=amount)
        yield _answers(clone(predictor).fit(before, train.y), after, before, after)


def _fitted_anew(
    estimator: Any, name: str, train: _Rows, test: _Rows, amounts: list[float]
) -> Iterator[_Answers]:
    """An estimator that is fitted for every amount; the groups go to all parts that take them."""
    for amount in amounts:
        model = need("sklearn.base").clone(estimator).set_params(**{name: amount})
        for part in [model, *model.get_params().values()]:
            _request(part)
        model.fit(train.X, train.y, sensitive_features=train.groups)
        model = getattr(model, "best_estimator_", model)  # A search does not pass the groups on.
        before = after = None
        if hasattr(model, "named_steps"):
            before, after = (
                model[:-1].transform(rows.X, sensitive_features=rows.groups)
                for rows in (train, test)
            )
        yield _answers(model, test.X, before, after, sensitive_features=test.groups)


def _request(part: Any) -> None:
    for method in _METHODS:
        ask = getattr(part, f"set_{method}_request", None)
        if ask is None or isinstance(part, type):
            continue
        try:
            ask(sensitive_features=True)
        except TypeError:  # This method does not take them.
            continue


def _answers(model: Any, rows: Any, before: Any, after: Any, **routed: Any) -> _Answers:
    classes = getattr(model, "classes_", None)
    predicted, scores = model.predict(rows, **routed), None
    if classes is not None and len(classes) == 2:
        for method in ("predict_proba", "decision_function"):
            if hasattr(model, method):
                scores = np.asarray(getattr(model, method)(rows, **routed))
                scores = scores[:, 1] if scores.ndim == 2 else scores
                break
    return _Answers(classes, predicted, scores, before, after)


def _figures(
    answers: _Answers, train: _Rows, test: _Rows, random_state: Any
) -> tuple[str, dict[str, float]]:
    gap, shown = np.nan, answers.predicted
    if answers.classes is None:
        true, found = (np.reshape(side, (len(shown), -1)) for side in (test.y, shown))
        merit, utility = Outcomes(true, found, None, ()).utility()
    else:
        outcomes = read_outcomes(test.y, shown, answers.classes)
        gap = parity(outcomes, test.codes)["demographic_parity_difference"]
        shown = outcomes.predicted
        if answers.scores is not None:
            shown = answers.scores
            outcomes = outcomes._replace(scores=shown[:, None])
        merit, utility = outcomes.utility()
    if answers.after is None:
        leaks = leakage(shown, sensitive_features=test.codes, random_state=random_state)
    else:
        leaks = held_out_leakage(
            answers.before, train.codes, answers.after, test.codes, random_state
        )
    return merit, {
        "utility": utility,
        "ks": ks_distance(shown, sensitive_features=test.codes),
        "leakage": leaks,
        "demographic_parity_difference": gap,
    }
