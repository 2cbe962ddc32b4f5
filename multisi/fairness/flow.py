"""The learned map: the flow of one field over the simplex of groups."""

import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from multisi.couplings import OptimalTransport
from multisi.data.marginals import Marginal
from multisi.fairness.maps import GroupMap
from multisi.model import Model
from multisi.model import load as load_model
from multisi.training import SimplexLaw, fit

Array = Any
_ALONG = 9.0
"""Share of the ways from the groups to the target, in that of all other points."""
_RATE = 5e-3
"""Learning rate: maps of few columns bear one that is larger than for other data."""


class Flow(GroupMap):
    """Rows are moved along the probability flow from their group's corner to the point.

    Arguments:
        model: A model whose marginals are the groups in order.
        steps: Steps of the solver.
        solver: The solver or its name.
    """

    def __init__(self, model: Model, steps: int, solver: str | None = None) -> None:
        self.model, self.steps, self.solver = model, steps, solver
        self.iterations = int(model.card["training"]["steps"])

    @classmethod
    def of(
        cls,
        rows: Sequence[Array],
        names: Sequence[str],
        alpha: Array,
        n_steps: int,
        solver: str | None = None,
        labels: Sequence[Array] | None = None,
        **options: Any,
    ) -> "Flow":
        """The flow of a model that is trained for a target.

        Arguments:
            rows: The rows of each group.
            names: The names of the groups.
            alpha: The target: nine tenths of the training are on the way from the groups to it.
            n_steps: Steps of the solver.
            solver: The solver or its name.
            labels: Labels of the rows of each group, for a coupling that uses them.
            options: Options of `multisi.fit`.
        """
        marginals = {
            name: Marginal(x, labels=None if labels is None else labels[k])
            for k, (name, x) in enumerate(zip(names, rows, strict=True))
        }
        ways = [(corner, alpha) for corner in np.eye(len(names))]
        law = SimplexLaw(edges=0.5, bows=0, faces=0.5, paths=_ALONG, along=ways)
        if options.get("coupling") == "ot":
            # Rows move along few edges, so these need no plans of their own.
            data = list(marginals.values())
            options["coupling"] = OptimalTransport(data, plan="barycentric", units="whole")
        made = fit(marginals, law=law, units="whole", learning_rate=_RATE, **options)
        return cls(made, n_steps, solver)

    def move(self, x: Array, source: Array, target: Array) -> Array:
        """Rows at a point, moved to another one."""
        if not len(x) or np.array_equal(source, target):
            return x
        return np.asarray(
            self.model.transport(x, source, target, steps=self.steps, solver=self.solver)
        )

    def tensors(self) -> dict[str, Array]:
        """The bytes of the model's file."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.safetensors"
            self.model.save(path)
            return {"model": np.frombuffer(path.read_bytes(), np.uint8)}

    @classmethod
    def from_bytes(cls, data: Array, steps: int, solver: str | None = None) -> "Flow":
        """The flow of a model's file.

        Arguments:
            data: The bytes of the file, shape `(n,)`.
            steps: Steps of the solver.
            solver: The solver or its name.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.safetensors"
            path.write_bytes(np.asarray(data, np.uint8).tobytes())
            return cls(load_model(path), steps, solver)
