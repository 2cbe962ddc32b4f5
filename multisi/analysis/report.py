"""The report of an evaluation: figures of every ordered pair, with floors and a baseline."""

import math
import statistics
from dataclasses import asdict, dataclass
from typing import Any

from multisi.analysis.marginal_tests import LEVEL


@dataclass(frozen=True)
class Pair:
    """The figures of the transport from one marginal to another, in the units of the report.

    Arguments:
        source: Name of the source.
        target: Name of the target.
        energy_distance: Energy distance of the moved samples to held-out samples of the target;
            it is unbiased, so it may be slightly negative.
        floor: Energy distance between two halves of the target.
        p_value: p-value of a permutation test of the energy distance, on at most 1000 rows each.
        gaussian: Energy distance to the target after the optimal map between Gaussians with the
            means and covariances of source and target, a baseline.
        w2: Exact 2-Wasserstein distance to held-out samples, on at most 1000 rows each.
        w2_floor: 2-Wasserstein distance between two disjoint parts of the target, of at most as
            many rows.
        sliced_w2: Sliced 2-Wasserstein distance to held-out samples.
        path_energy: Mean over samples of the integral of |velocity|² along the path; NaN with
            noise.
        npe: Normalised path energy: `path_energy` over the squared 2-Wasserstein distance of
            source and target, minus one; 0 is optimal.
        cycle_error: Mean squared error after transport to the target and back, divided by the
            variance of the source.
        seconds: Time of the transport to the target.
        within_labels: Mean, by the shares of the labels in the target, of the energy distance
            between moved and held-out samples of one label; NaN unless both have labels.
        wrong_count: Number of features whose law is wrong, by a Kolmogorov-Smirnov test of each.
            The probability that a report of an exact model names any is at most 0.01.
        wrong_features: The names of these features, worst first, twenty at most. A feature without
            a name has its index.
        wrong_shifts: For each of them, the mean of the moved samples minus that of the target.
        wrong_spreads: For each of them, the standard deviation of the moved samples over that of
            the target.
        composition: Mean squared difference of the way through a third marginal from the direct
            one, divided by the variance of the target, over at most two third marginals and 500
            rows; NaN without a third marginal, with noise, or with options for each row.
        holonomy: Mean squared error after transport round a triangle, to the target, to the third
            marginal and back, divided by the variance of the source.

    References:
        Tong et al. Improving and generalizing flow-based generative models with minibatch optimal
        transport (2023), arXiv:2302.00482, for the normalised path energy.
    """

    source: str
    target: str
    energy_distance: float
    floor: float
    p_value: float
    gaussian: float
    w2: float
    w2_floor: float
    sliced_w2: float
    path_energy: float
    npe: float
    cycle_error: float
    seconds: float
    within_labels: float = math.nan
    wrong_count: int = 0
    wrong_features: tuple[str, ...] = ()
    wrong_shifts: tuple[float, ...] = ()
    wrong_spreads: tuple[float, ...] = ()
    composition: float = math.nan
    holonomy: float = math.nan

    def remark(self, shown: int = 5) -> str:
        """The wrong features as a line of text, with their shifts and spreads.

        Arguments:
            shown: Largest number of features in the line.

        Examples:
            >>> figures = [0.0] * 11
            >>> Pair("a", "b", *figures, 0.0, 1, ("age",), (0.35,), (1.8,)).remark()
            'a to b: age (mean +0.35, spread × 1.8)'
        """
        each = zip(self.wrong_features, self.wrong_shifts, self.wrong_spreads, strict=True)
        texts = [f"{name} (mean {d:+.2g}, {_spread(r)})" for name, d, r in each][:shown]
        more = self.wrong_count - len(texts)
        texts += [f"{more} more"] if more else []
        return f"{self.source} to {self.target}: {', '.join(texts)}"


@dataclass(frozen=True)
class Report:
    """The figures of all ordered pairs of marginals; its text is a set of tables.

    Arguments:
        names: The marginals in order.
        pairs: The figures of each ordered pair.
        units: The units of distances: `"standardised"`, in which each feature has the standard
            deviation 1 over all marginals, or `"data"`.

    Examples:
        >>> Report(("a", "b"), ()).to_dict()
        {'names': ['a', 'b'], 'units': 'standardised', 'pairs': []}
    """

    names: tuple[str, ...]
    pairs: tuple[Pair, ...]
    units: str = "standardised"

    def mean(self, figure: str) -> float:
        """The mean of a figure over all pairs; NaN if there are none.

        Arguments:
            figure: Name of a figure of `Pair`, such as `"w2"`.
        """
        values = [getattr(pair, figure) for pair in self.pairs]
        return statistics.fmean(values) if values else math.nan

    def to_dict(self) -> dict[str, Any]:
        """The report for JSON: dicts, lists, strings, numbers; `None` for what is not finite."""
        pairs = [{k: _plain(v) for k, v in asdict(pair).items()} for pair in self.pairs]
        return {"names": list(self.names), "units": self.units, "pairs": pairs}

    def __str__(self) -> str:
        tables = [f"{self.title(figure)}\n{self.table(figure)}" for figure in _TABLES]
        means = [(text, self.mean(figure)) for figure, text in FIGURES.items()]
        lines = [f"  {text:<62}{mean:.2g}" for text, mean in means if not math.isnan(mean)]
        lines = [f"mean over all pairs, in {self.units} units", *lines]
        return "\n\n".join([*tables, "\n".join(lines), "\n".join(self._remarks())])

    def _remarks(self) -> list[str]:
        wrong = [f"  {pair.remark()}" for pair in self.pairs if pair.wrong_count]
        how = f"at level {LEVEL:g} over all features and pairs"
        if not wrong:
            return [f"no feature is found to have another law than in the target, {how}"]
        return [f"features whose law is wrong, {how}; means in {self.units} units", *wrong]

    def title(self, figure: str) -> str:
        """What a figure is, with its units if it has any.

        Arguments:
            figure: Name of a figure of `Pair`, such as `"w2"`.
        """
        units = "" if figure in _PLAIN else f", {self.units} units"
        return FIGURES[figure] + units

    def table(self, figure: str) -> str:
        """One figure of all pairs as a text table: a row per source, a column per target.

        Arguments:
            figure: Name of a figure of `Pair`, such as `"w2"`.
        """
        cells = {(p.source, p.target): f"{getattr(p, figure):.2g}" for p in self.pairs}
        width = max(8, *(len(name) for name in self.names)) + 2
        lines = ["".join(text.rjust(width) for text in ("", *self.names))]
        for source in self.names:
            row = (cells.get((source, target), "-") for target in self.names)
            lines.append("".join(text.rjust(width) for text in (source, *row)))
        return "\n".join(lines)


def _spread(ratio: float) -> str:
    return f"spread × {ratio:.2g}" if math.isfinite(ratio) else "constant in the target"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


FIGURES = {
    "energy_distance": "energy distance to held-out samples of the target",
    "floor": "floor: energy distance of two samples of the target",
    "gaussian": "baseline: energy distance after the optimal map of Gaussians",
    "p_value": "p-value of the energy distance",
    "within_labels": "energy distance to held-out samples of the same label",
    "wrong_count": "number of features whose law is wrong",
    "w2": "2-Wasserstein distance to held-out samples of the target",
    "w2_floor": "floor: 2-Wasserstein distance of two samples of the target",
    "sliced_w2": "sliced 2-Wasserstein distance",
    "path_energy": "path energy",
    "npe": "excess of the path energy over the squared distance",
    "cycle_error": "cycle error, as a share of the variance",
    "composition": "composition defect through a third set, as a share of the variance",
    "holonomy": "holonomy round a triangle, as a share of the variance",
    "seconds": "seconds to move the samples",
}
_TABLES = ("energy_distance", "p_value", "npe", "cycle_error")
_PLAIN = ("p_value", "wrong_count", "npe", "cycle_error", "composition", "holonomy", "seconds")
"""The figures that have no units of the data."""
