"""The weights of a run, trained and averaged: whole in each process, or sharded over all."""

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from multisi.common.compiled import plain_name, weights_of
from multisi.common.processes import World, fill
from multisi.field.conditional_means import ConditionalMeans
from multisi.files.checkpoint import under
from multisi.training.adam import Adam
from multisi.training.average import Average
from multisi.training.flat_weights import Flat, trainable

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Weights:
    """The trained weights of a run, their average and the state of the optimiser.

    Arguments:
        means: The conditional means to train; with `shard` a copy of them is trained.
        rate: The learning rate.
        world: The processes of the run.
        shard: Whether weights are sharded over the processes.
    """

    def __init__(
        self, means: ConditionalMeans, rate: float, world: World, shard: bool = False
    ) -> None:
        self.world = world
        world.copy([*(p.detach() for p in means.parameters()), *means.buffers()])
        self.shard = shard and world.size > 1
        if self.shard:
            means.cpu()
        averaged = copy.deepcopy(means).eval().requires_grad_(False)
        self._given, self.means, self.result = means, means, averaged
        if self.shard:
            self.means, self.result = copy.deepcopy(means), copy.deepcopy(averaged)
            for each in (self.means, averaged):
                world.shard(each.network)
        self.flat = Flat(trainable(self.means))
        self.optimiser = Adam(self.flat.vectors, rate)
        self.average = Average(self.means, flat=self.flat, held_by=averaged)

    def state(self) -> dict[str, Tensor]:
        """All tensors that resuming needs, except the average; whole in the first process."""
        tensors = {f"weights.{name}": t for name, t in weights_of(self.means).items()}
        states = [self.optimiser.state[vector] for vector in self.flat.vectors]
        if states[0]:
            tensors["optimiser.step"] = states[0]["step"]
            for moment in _MOMENTS:
                parts = self.flat.split([state[moment] for state in states])
                tensors |= {
                    f"optimiser.{moment}.{plain_name(name)}": part for name, part in parts.items()
                }
        return self.world.whole(tensors)

    def check(self, tensors: Mapping[str, Tensor], averaged: Mapping[str, Tensor]) -> None:
        """Check tensors of `state` and an average before they are used.

        Raises:
            ValueError: a tensor is missing, or has another shape or type, or is not finite.
        """
        _compare(_state(self.means), under(tensors, "weights."), "weights")
        _compare(_state(self.average.means), averaged, "average")
        if best := under(tensors, "best."):
            _compare(_state(self.average.means), best, "best weights")
        taken = tensors.get("optimiser.step")
        if taken is None:
            return
        if taken.shape != () or not taken.is_floating_point() or not 0 <= taken < math.inf:
            raise ValueError("the step of the optimiser must be a number of at least 0")
        weights = {plain_name(name): own for name, own in trainable(self.means).items()}
        for moment in _MOMENTS:
            found = under(tensors, f"optimiser.{moment}.")
            _compare(weights, found, moment)
            if moment == "exp_avg_sq" and any((tensor < 0).any() for tensor in found.values()):
                raise ValueError("the squares of the optimiser must not be negative")

    def restore(self, tensors: Mapping[str, Tensor], averaged: Mapping[str, Tensor]) -> None:
        """Resume from tensors of `state` and an average."""
        load(self.means, under(tensors, "weights."))
        load(self.average.means, averaged)
        if "optimiser.step" not in tensors:
            return
        for vector in self.flat.vectors:
            step = tensors["optimiser.step"].to(vector.device, copy=True)
            moments = {moment: torch.zeros_like(vector.data) for moment in _MOMENTS}
            self.optimiser.state[vector] = {"step": step, **moments}
        for moment in _MOMENTS:
            own = [self.optimiser.state[vector][moment] for vector in self.flat.vectors]
            for name, part in self.flat.split(own).items():
                fill(part, tensors[f"optimiser.{moment}.{plain_name(name)}"])

    def gather(self) -> None:
        """Update `result` in the first process; every process must call it."""
        self._gather(self.result, self.average.means, everywhere=False)

    def finish(self) -> None:
        """Set the weights of `result` and of the original means in every process."""
        self._gather(self.result, self.average.means, everywhere=True)
        self._gather(self._given, self.means, everywhere=True)

    def _gather(self, to: ConditionalMeans, spread: ConditionalMeans, everywhere: bool) -> None:
        if self.shard:
            state = self.world.whole(spread.state_dict(), everywhere)
            if everywhere or self.world.first:
                to.load_state_dict(state)


def _state(means: ConditionalMeans) -> dict[str, Tensor]:
    return {plain_name(name): t for name, t in means.state_dict(keep_vars=True).items()}


def _compare(own: Mapping[str, Tensor], found: Mapping[str, Tensor], what: str) -> None:
    """Check that tensors have the names, shapes and types of others, and that weights are finite.

    Raises:
        ValueError: they differ, or a weight is not finite.
    """
    if own.keys() != found.keys():
        raise ValueError(
            f"the names of the {what} differ, from {min(own.keys() ^ found.keys())!r} on"
        )
    for name, tensor in found.items():
        if tensor.shape != own[name].shape or tensor.dtype != own[name].dtype:
            raise ValueError(
                f"the {what} {name!r} must be {own[name].dtype} of shape "
                f"{tuple(own[name].shape)}; got {tensor.dtype} of shape {tuple(tensor.shape)}"
            )
        if isinstance(own[name], nn.Parameter) and not tensor.isfinite().all():
            raise ValueError(f"the {what} {name!r} have NaN or infinity")


def load(means: ConditionalMeans, state: Mapping[str, Tensor]) -> None:
    """Set the weights of means from whole tensors; those of the means may be sharded.

    Raises:
        RuntimeError: names or shapes differ.
    """
    own, state = weights_of(means), {plain_name(name): t for name, t in state.items()}
    if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in state.items()}:
        raise RuntimeError(f"names and shapes of weights differ, from {sorted(own)[:3]} on")
    for name, tensor in own.items():
        fill(tensor, state[name])
