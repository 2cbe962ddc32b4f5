"""The optimiser."""

from collections.abc import Sequence

import torch
from torch import Tensor

_BETAS, _EPSILON = (0.9, 0.999), 1e-8


class Adam:
    r"""Adam on vectors of weights, as by `torch.optim.Adam(fused=True)`, bit for bit.

    The operation is the same. `torch.optim` imports torch's compiler first, which takes longer
    than hundreds of steps, and examines its options at each step.

    Arguments:
        vectors: The weights; their gradients are in `grad`.
        rate: The learning rate.

    References:
        Kingma, Ba. Adam: a method for stochastic optimization (2014), arXiv:1412.6980.
    """

    def __init__(self, vectors: Sequence[Tensor], rate: float) -> None:
        self.vectors, self.rate = vectors, rate
        self.state: dict[Tensor, dict[str, Tensor]] = {vector: {} for vector in vectors}

    @torch.no_grad()
    def step(self) -> None:
        """Take a step; vectors without a gradient stay as they are."""
        for vector in self.vectors:
            if vector.grad is None:
                continue
            state = self.state[vector]
            if not state:
                step = torch.zeros((), dtype=torch.float32, device=vector.device)
                moments = {name: torch.zeros_like(vector) for name in ("exp_avg", "exp_avg_sq")}
                state.update(step=step, **moments)
            state["step"] += 1
            torch._fused_adam_(
                [vector],
                [vector.grad],
                [state["exp_avg"]],
                [state["exp_avg_sq"]],
                [],
                [state["step"]],
                lr=self.rate,
                beta1=_BETAS[0],
                beta2=_BETAS[1],
                weight_decay=0.0,
                eps=_EPSILON,
                amsgrad=False,
                maximize=False,
            )
