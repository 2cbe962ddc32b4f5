"""How a repair is made: the checked options, and the map that they ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multisi.common import checks
from multisi.errors import ConfigError, DataError
from multisi.fairness import targets
from multisi.fairness.copula import Copula
from multisi.fairness.maps import Affine, GroupMap, Quantile
from multisi.fairness.refined import Refined
from multisi.fairness.selection import Maker, Selection, select

Array = Any
FIELDS = ("auto", "affine", "quantile", "copula", "flow")
_ROWS, _GROUP, _MENDED = 1000, 200, 100
"""Rows of the table, and of its smallest group, with which a flow is a candidate; and rows of the
smallest group with which the error of a flow is mended."""
_BATCH = 512
"""Rows of a batch: of few columns, so that a step takes little longer than with fewer."""


def _of_first(make: Maker) -> Maker:
    """A function that makes a map of the first draw of the rows' noise."""
    return lambda rows: make([x[:, 0] for x in rows])


CLOSED: dict[str, Maker] = {
    name: _of_first(make)
    for name, make in (("affine", Affine.of), ("quantile", Quantile.of), ("copula", Copula.of))
}
"""The maps in closed form, the simplest first."""


@dataclass(frozen=True)
class Making:
    """The options of a repair, checked."""

    target: Any
    field: str
    coupling: str
    dequantize: bool
    n_steps: int
    solver: str | None
    max_iter: int
    max_seconds: float | None
    device: str
    verbose: bool

    @classmethod
    def of(cls, repair: Any) -> "Making":
        """The options of an estimator.

        Raises:
            ConfigError: one has an invalid value.
        """
        targets.amount_of(repair.amount)
        choices = {"field": FIELDS, "unseen": ("error", "identity")}
        for name, known in choices.items():
            if getattr(repair, name) not in known:
                raise ConfigError(
                    f"{name} must be one of {', '.join(map(repr, known))}; got "
                    f"{getattr(repair, name)!r}."
                )
        return cls(
            repair.target,
            repair.field,
            checks.instance(repair.coupling, str, "coupling"),
            checks.instance(repair.dequantize, bool, "dequantize"),
            checks.integer(repair.n_steps, "n_steps"),
            repair.solver,
            checks.integer(repair.max_iter, "max_iter"),
            repair.max_seconds,
            repair.device,
            checks.instance(repair.verbose, bool, "verbose"),
        )

    def made(
        self,
        rows: Sequence[Array],
        names: Sequence[str],
        alpha: Array,
        labels: Sequence[Array] | None,
        seed: int,
    ) -> tuple[Selection, GroupMap | None]:
        """The map of some groups, and why it was chosen.

        Arguments:
            rows: The coordinates of each group, `(n, draws, c)`: closed forms are made of the
                first draw of the noise, which is that of repaired rows, and flows of all.
            names: The names of the groups.
            alpha: The target.
            labels: Classes of the rows of each group, or `None`.
            seed: The seed.
        """

        def flow(part: Sequence[Array]) -> GroupMap:
            return self._flow(part, names, alpha, labels, seed, 1.0)

        makers: dict[str, Maker] = {**CLOSED, "flow": flow}
        if self.field != "auto":
            chosen = Selection(self.field, {}, float("nan"), "it was asked for")
            return chosen, makers[self.field](rows)
        enough = sum(map(len, rows)) >= _ROWS and min(map(len, rows)) >= _GROUP
        tried = dict(CLOSED)
        if enough:
            tried["flow"] = lambda part: self._flow(part, names, alpha, None, seed, 0.5)
        chosen = select(rows, alpha, tried, seed)
        return chosen, None if chosen.name == "none" else makers[chosen.name](rows)

    def _flow(
        self,
        rows: Sequence[Array],
        names: Sequence[str],
        alpha: Array,
        labels: Sequence[Array] | None,
        seed: int,
        share: float,
    ) -> GroupMap:
        from multisi.fairness.flow import Flow  # The other maps need no torch.

        if alone := [name for name, x in zip(names, rows, strict=True) if len(x) < 2]:
            raise DataError(
                f"field='flow' needs 2 rows of each group or more; {', '.join(alone)} has one. "
                "Use another field, or join groups."
            )
        seconds = None if self.max_seconds is None else share * self.max_seconds
        # Candidates are made without labels, and so without a coupling that needs them.
        named = self.coupling == "class-aware"
        coupling = "ot" if named and labels is None and share < 1 else self.coupling
        steps = max(1, round(share * self.max_iter))
        draws, mended = rows[0].shape[1], min(map(len, rows)) >= _MENDED
        rows = [x.reshape(-1, x.shape[2]) for x in rows]
        found = Flow.of(
            rows,
            names,
            alpha,
            self.n_steps,
            self.solver,
            [np.repeat(each, draws) for each in labels] if named and labels else None,
            coupling=coupling,
            batch_size=_BATCH,
            steps=10**9 if seconds is not None else steps,
            max_seconds=seconds,
            seed=seed,
            device=self.device,
            progress=self.verbose,
        )
        return Refined.of(found, rows, alpha) if mended else found
