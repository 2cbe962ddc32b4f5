"""The gradient of a step, computed in parts where memory requires it."""

from typing import Any

import torch
from torch import Tensor

from multisi.common import checks
from multisi.common.memory import lacks_memory
from multisi.errors import ConfigError
from multisi.field.conditional_means import ConditionalMeans
from multisi.training.balance import Balance
from multisi.training.objective import Batch, errors


class Gradient:
    """Adds the gradient of the balanced objective to the weights.

    Arguments:
        means: The conditional means to train, of shape `(b, k, *event)`.
        balance: The weights of the rows.
        accumulate: Number of parts in which a batch is computed in turn.
        rows: Most rows of a batch in this process.

    Raises:
        ConfigError: `accumulate` is not an integer from 1 to the number of rows.
    """

    def __init__(
        self, means: ConditionalMeans, balance: Balance, accumulate: int, rows: int
    ) -> None:
        self.means, self.balance = means, balance
        self.accumulate = checks.integer(accumulate, "accumulate")
        if self.accumulate > rows:
            raise ConfigError(
                f"accumulate must be at most the number of rows per process, {rows}; got "
                f"{accumulate}."
            )

    def __call__(self, batch: Batch, rows: int) -> list[Tensor]:
        """Add the gradient of some rows of a step to the weights.

        Arguments:
            batch: These rows.
            rows: Number of all rows of the step.

        Returns:
            Their part of the loss, the mean over all rows, shape `()`, and what `Balance.seen`
            returns for them.

        Raises:
            ConfigError: the rows do not fit in memory, or the loss has no gradient.
        """
        try:
            return self._added(batch, rows)
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
            failure = str(error).splitlines()[0]
        raise ConfigError(self._advice(batch, failure))  # The failed step is freed by now.

    def _advice(self, batch: Batch, failure: str) -> str:
        """What batch would fit in memory, found by trying smaller ones."""
        whole = fits = -(-len(batch) // self.accumulate)
        while fits > 1:
            fits //= 2
            try:
                errors(self.means, batch[slice(0, fits)]).sum().backward()  # type: ignore[no-untyped-call]
            except RuntimeError as error:
                if not lacks_memory(error):
                    raise
                continue
            return (
                f"{whole} rows at a time do not fit in memory; {fits} do. Use batch_size={fits}, "
                f"or accumulate={-(-len(batch) // fits)}: {failure}"
            )
        return f"Not even one row fits in memory. Use a smaller network: {failure}"

    def _added(self, batch: Batch, rows: int) -> list[Tensor]:
        total: Any = 0.0
        seen = torch.zeros_like(self.balance.sums)
        for part in batch.split(self.accumulate) if self.accumulate > 1 else (batch,):
            found = errors(self.means, part)
            if not found.requires_grad:
                raise ConfigError(
                    "The network must return values that depend on its parameters; these have no "
                    "gradients. Do not detach them, or compute them under no_grad."
                )
            plain = found.detach()
            weighted = found
            if part.group is not None:
                weighted = found * self.balance.weights(part.group)
                seen += self.balance.seen(part.group, plain)
            (weighted.sum() / rows).backward()  # type: ignore[no-untyped-call]
            total = total + plain.sum() / rows
        return [torch.as_tensor(total), seen]
