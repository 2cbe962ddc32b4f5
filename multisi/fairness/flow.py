"""The learned map: the flow of one field over the simplex of groups."""

import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from multisi.data.marginals import Marginal
from multisi.fairness.maps import GroupMap
from multisi.model import Model
from multisi.model import load as load_model
from multisi.training import SimplexLaw, fit

Array = Any


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
            alpha: The target: half of the training is on the way from the groups to it.
            n_steps: Steps of the solver.
            solver: The solver or its name.
            labels: Labels of the rows of each group, for a coupling that uses them.
            options: Options of `multisi.fit`.
        """
        marginals = {
            name: Marginal(x, labels=None if labels is None else labels[k])
            for k, (name, x) in enumerate(zip(names, rows, strict=True))
        }
        law = SimplexLaw(along=[(corner, alpha) for corner in np.eye(len(names))])
        return cls(fit(marginals, law=law, units="whole", **options), n_steps, solver)

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
