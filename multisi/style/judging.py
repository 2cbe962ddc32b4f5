"""What a model makes of pictures of all domains: laws, contents, and whether maps agree."""

import functools
import itertools
import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from multisi.common import checks
from multisi.data.marginals import Marginal
from multisi.errors import ConfigError, DataError
from multisi.metrics import energy_distance, sliced_wasserstein
from multisi.model.model import Model
from multisi.style.labels import condition_of
from multisi.style.translation import Codec, moved_by

Classifier = Callable[[np.ndarray[Any, Any]], Any]
_LEAST = 4
"""Pictures of a domain of which two halves can be compared."""
_SHOWN = {"energy_distance": 4, "floor": 4, "accuracy": 3, "cycle_error": 4, "composition": 4}


@dataclass(frozen=True)
class Direction:
    """The figures of the translation of one domain to another.

    Arguments:
        source: Name of the domain of the pictures.
        target: Name of the domain that they are moved to.
        energy_distance: Energy distance to held-out pictures of the target, a V-statistic.
        floor: That between two halves of the target.
        sliced_w2: Sliced 2-Wasserstein distance to held-out pictures of the target.
        accuracy: Share of pictures that a classifier of the target gives the label of their
            source; NaN without labels or classifiers.
        cycle_error: Mean squared error after the way to the target and back, in variances of the
            source.
        composition: Mean squared difference between the way through a third domain and the direct
            one, the largest of all, in variances of the target; NaN for two domains.
        paired_error: Mean squared error to the same picture in the target, in its variances; NaN
            unless rows are pairs.
    """

    source: str
    target: str
    energy_distance: float
    floor: float
    sliced_w2: float
    accuracy: float
    cycle_error: float
    composition: float
    paired_error: float


@dataclass(frozen=True)
class Directions:
    """The figures of all ordered pairs of domains.

    Arguments:
        pairs: One entry for each ordered pair.
    """

    pairs: tuple[Direction, ...]

    def mean(self, figure: str) -> float:
        """The mean of a figure over all pairs.

        Arguments:
            figure: Its name, such as `"accuracy"`.
        """
        return statistics.fmean(getattr(pair, figure) for pair in self.pairs)

    def to_dict(self) -> dict[str, Any]:
        """The pairs, and the means of all figures, as plain values."""
        figures = [field.name for field in fields(Direction)[2:]]
        return {
            "pairs": [asdict(pair) for pair in self.pairs],
            "means": {name: self.mean(name) for name in figures},
        }

    def __str__(self) -> str:
        names = list(dict.fromkeys(pair.source for pair in self.pairs))
        known = {(pair.source, pair.target): pair for pair in self.pairs}
        wide = max(map(len, names)) + 2
        blocks = []
        for figure, digits in _SHOWN.items():
            lines = [f"{figure:{wide}}" + "".join(f"{name:>{wide}}" for name in names)]
            for source in names:
                cells = [
                    f"{getattr(known[source, target], figure):.{digits}f}"
                    if source != target
                    else ""
                    for target in names
                ]
                lines.append(f"{source:{wide}}" + "".join(f"{cell:>{wide}}" for cell in cells))
            blocks.append("\n".join([*lines, f"mean {self.mean(figure):.{digits}f}"]))
        return "\n\n".join(blocks)


def evaluate(
    model: Model,
    held_out: Mapping[str, Any],
    *,
    classifiers: Mapping[str, Classifier] | None = None,
    train: Mapping[str, Marginal] | None = None,
    paired: bool = False,
    codec: Codec | None = None,
    readers: Mapping[str, Classifier] | None = None,
    **options: Any,
) -> Directions:
    """Translate held-out pictures between all domains, and judge what comes out.

    Arguments:
        model: A model of pictures.
        held_out: Name of each domain to pictures that were not trained on, as a `Marginal` with
            labels of the contents or without.
        classifiers: Name of each domain to a function of flat pictures `(n, d)` that gives labels.
        train: In place of classifiers, pictures with labels of each domain that they are fitted
            to: support vector machines of scikit-learn.
        paired: Whether row $i$ of all domains shows the same content.
        codec: Encodes pictures before they are moved, and decodes them after.
        readers: Name of each domain to a function of flat pictures whose labels the model is told,
            for a model of `labelled` pictures.
        options: Options of `Model.transport`, such as `steps` and `via`.

    Returns:
        The figures of all ordered pairs, which print as tables.

    Raises:
        ConfigError: there are fewer than two domains, both `classifiers` and `train`, a domain is
            missing in `train` or `readers`, or a model without labels is to be told some.
        DataError: domains are paired and have different numbers of rows, or a domain has fewer
            than four pictures, or one picture only.

    Examples:
        >>> import multisi
        >>> a, b = torch.rand(2, 20, 1, 4, 4).unbind()
        >>> model = multisi.fit({"a": a, "b": b}, steps=2, progress=False)
        >>> report = evaluate(model, {"a": a, "b": b}, steps=4)
        >>> report.mean("cycle_error") < 1
        True
    """
    if len(held_out) < 2 or (classifiers is not None and train is not None):
        raise ConfigError(
            "Directions are judged between 2 domains or more, with classifiers or what they are "
            f"fitted to; got {len(held_out)} domains."
        )
    data = {name: m if isinstance(m, Marginal) else Marginal(m) for name, m in held_out.items()}
    _check(data, checks.instance(paired, bool, "paired"))
    for what, known in {"train": train, "readers": readers}.items():
        if missing := sorted(set(data) - set(data if known is None else known)):
            raise ConfigError(f"{what} must have all domains; {', '.join(missing)} are missing.")
    if train is not None:
        classifiers = {name: fitted(train[name]) for name in data}
    judge = _Judge(moved_by(model, codec), data, classifiers or {}, paired, options)
    for name, read in (readers or {}).items():
        if name in data:
            judge.tell(model, name, read)
    return Directions(tuple(itertools.starmap(judge, itertools.permutations(data, 2))))


def _check(data: Mapping[str, Marginal], paired: bool) -> None:
    """Check that figures of all directions can be computed.

    Raises:
        DataError: they cannot.
    """
    if paired and len(set(map(len, data.values()))) > 1:
        raise DataError(f"Paired domains have as many rows; got {list(map(len, data.values()))}.")
    for name, marginal in data.items():
        rows = marginal.take(torch.arange(len(marginal)))
        if len(rows) < _LEAST or (rows == rows[0]).all():
            raise DataError(
                f"{name!r} must have {_LEAST} pictures or more, not all alike; it has {len(rows)}."
            )


class _Judge:
    """The figures of one direction after another; what is moved is kept for the others."""

    def __init__(
        self,
        move: Callable[..., Tensor],
        data: Mapping[str, Marginal],
        classifiers: Mapping[str, Classifier],
        paired: bool,
        options: Mapping[str, Any],
    ) -> None:
        self.move, self.classifiers, self.paired = move, classifiers, paired
        self.options = options
        self.labels = {name: marginal.labels for name, marginal in data.items()}
        self.states = {n: m.take(torch.arange(len(m))).float() for n, m in data.items()}
        self.told: dict[str, Tensor] = {}
        self.first = functools.cache(lambda a, b: self._moved(self.states[a], a, b, a))

    def tell(self, model: Model, name: str, read: Classifier) -> None:
        """Tell a model what a classifier reads in the pictures of a domain, wherever they go."""
        rows = self.states[name].flatten(1).cpu().numpy()
        self.told[name] = condition_of(model, np.asarray(read(rows)), len(rows))

    def __call__(self, source: str, target: str) -> Direction:
        """The figures of one direction."""
        x, y, moved = self.states[source], self.states[target], self.first(source, target)
        through = [
            _share(self._moved(self.first(source, other), other, target, source) - moved, y)
            for other in self.states
            if other not in (source, target)
        ]
        half, rows, flat = len(y) // 2, moved.flatten(1), y.flatten(1)
        return Direction(
            source,
            target,
            energy_distance(rows, flat, biased=True),
            energy_distance(flat[:half], flat[half:], biased=True),
            sliced_wasserstein(rows, flat),
            self._right(target, rows, self.labels[source]),
            _share(self._moved(moved, target, source, source) - x, x),
            max(through, default=float("nan")),
            _share(moved - y, y) if self.paired else float("nan"),
        )

    def _moved(self, x: Tensor, source: str, target: str, first: str) -> Tensor:
        """Pictures moved on, which were of the domain `first` at first."""
        told = {"condition": self.told[first]} if self.told else {}
        return self.move(x, source, target, **told, **self.options)

    def _right(self, target: str, rows: Tensor, labels: Any) -> float:
        if target not in self.classifiers or labels is None:
            return float("nan")
        told = np.asarray(self.classifiers[target](rows.cpu().numpy()))
        return float((told == np.asarray(labels)).mean())


def fitted(marginal: Marginal) -> Classifier:
    """A support vector machine of labelled pictures.

    Arguments:
        marginal: The pictures and their labels.

    Raises:
        ConfigError: scikit-learn is not installed.
        DataError: there are no labels.
    """
    try:
        from sklearn.svm import SVC
    except ImportError:
        raise ConfigError("Classifiers need scikit-learn. Try: pip install scikit-learn") from None
    if marginal.labels is None:
        raise DataError("A classifier needs labels. Give Marginal(samples, labels=...).")
    rows = marginal.take(torch.arange(len(marginal))).flatten(1).numpy()
    classifier = SVC(C=5).fit(rows, np.asarray(marginal.labels))
    predict: Classifier = classifier.predict
    return predict


def _share(error: Tensor, of: Tensor) -> float:
    """A mean squared error in variances of a pixel."""
    return float(error.square().mean() / of.var(0, correction=0).mean())
