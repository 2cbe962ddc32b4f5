"""The checks of networks."""

import copy
import pathlib
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from multisi.common.derivatives import jvp
from multisi.field.conditional_means import ConditionalMeans
from multisi.model.loading import load
from multisi.model.model import Model
from multisi.testing.battery import (
    Battery,
    close,
    demand,
    demand_kind,
    factory_of,
    same_generators,
)


@dataclass(frozen=True)
class Subject:
    """A network to check: its factory, event shape and number of condition features."""

    factory: Callable[..., Any]
    event: tuple[int, ...]
    condition: int

    def make(self, marginals: int = 3) -> Any:
        """A new network in evaluation mode; its weights are perturbed, as some start at zero."""
        options = {"condition": self.condition} if self.condition else {}
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = self.factory(self.event, marginals, **options)
            if isinstance(network, nn.Module):
                network.eval()
                for parameter in network.parameters():
                    parameter.data += 0.05 * torch.randn_like(parameter.data)
        return network

    def inputs(self, n: int = 5, marginals: int = 3, kind: Any = torch.float32) -> list[Tensor]:
        """States, points and a condition, which is unused if the network takes none."""
        source = torch.Generator().manual_seed(n)
        x = torch.randn((n, *self.event), generator=source).to(kind)
        alpha = torch.rand((n, marginals), generator=source).to(kind)
        condition = torch.randn((n, max(1, self.condition)), generator=source).to(kind)
        return [x, alpha / alpha.sum(1, keepdim=True), condition]

    def call(self, network: Any, x: Tensor, alpha: Tensor, condition: Tensor) -> Any:
        """The output of the network, called with the condition if it takes one."""
        return network(x, alpha, condition=condition) if self.condition else network(x, alpha)


NETWORK: Battery[Subject] = Battery("network")


def check_network(
    factory: Any,
    *,
    event: tuple[int, ...] = (2,),
    condition: int = 0,
    skip: Collection[str] = (),
    **options: Any,
) -> None:
    """Check a network against its contract.

    Arguments:
        factory: The class, another factory `(event_shape, marginals, **options)`, or the
            registered name.
        event: Shape of one sample.
        condition: Features of the condition; if above 0, it is the option `condition` of the
            factory.
        skip: Names of checks to skip.
        options: Options of the factory.

    Raises:
        ConformanceError: the network fails a check; the error lists all failed checks.
        ConfigError: `factory` is neither callable nor a name, or `skip` names an unknown check.
        UnknownPluginError: no plugin, or more than one, has the name.

    Examples:
        >>> check_network("mlp", width=16)
    """
    NETWORK.run(factory, Subject(factory_of("network", factory, options), event, condition), skip)


@NETWORK.check
def network(subject: Subject) -> None:
    """The factory creates a `torch.nn.Module` with trainable parameters."""
    made = subject.make()
    demand_kind(made, nn.Module, "torch.nn.Module")
    trained = any(parameter.requires_grad for parameter in made.parameters())
    demand(trained, "must have a parameter that requires a gradient; got none.")


@NETWORK.check
def heads(subject: Subject) -> None:
    """One head per marginal, shape `(b, k, *event)`, for any number of marginals and rows."""
    for n, k in ((5, 2), (5, 3), (3, 5), (1, 3), (0, 3)):
        answer = subject.call(subject.make(k), *subject.inputs(n, k))
        expected = (n, k, *subject.event)
        got = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        demand(got == expected, f"expected heads of shape {expected}; got {got}.")


@NETWORK.check
def dtype(subject: Subject) -> None:
    """The heads have the type to which the network is converted."""
    for kind in (torch.float32, torch.float64):
        answer = subject.call(subject.make().to(kind), *subject.inputs(kind=kind))
        got = answer.dtype
        demand(got == kind, f"after .to({kind}) the heads must have this type; got {got}.")


@NETWORK.check
def finite(subject: Subject) -> None:
    """The heads are finite, including at corners of the simplex."""
    x, alpha, condition = subject.inputs(6)
    alpha[:3] = torch.eye(3)
    answer = subject.call(subject.make(), x, alpha, condition)
    finite = torch.isfinite(answer).all()
    demand(finite, "heads must be finite, including at corners of the simplex.")


@NETWORK.check
def repeatable(subject: Subject) -> None:
    """In evaluation mode, equal arguments give equal heads."""
    made, inputs = subject.make(), subject.inputs()
    same = close(subject.call(made, *inputs), subject.call(made, *inputs), 1e-6)
    demand(same, "in evaluation mode, the same arguments must give the same heads twice.")


@NETWORK.check
def seeded(subject: Subject) -> None:
    """The initial weights are a function of torch's seed."""
    one, two = subject.make().state_dict(), subject.make().state_dict()
    differ = [name for name in one if not torch.equal(one[name], two[name])]
    demand(not differ, f"the same torch seed must give the same weights; {differ[:3]} differ.")


@NETWORK.check
def generators(subject: Subject) -> None:
    """In evaluation mode, no global generator is used."""
    made, inputs = subject.make(), subject.inputs()
    same = same_generators(lambda: subject.call(made, *inputs))
    demand(same, "in evaluation mode, it must not draw from a global generator.")


@NETWORK.check
def untouched(subject: Subject) -> None:
    """The arguments are not changed."""
    inputs = subject.inputs()
    subject.call(subject.make(), *inputs)
    same = all(torch.equal(a, b) for a, b in zip(inputs, subject.inputs(), strict=True))
    demand(same, "must not change x, alpha or the condition in place.")


@NETWORK.check
def rows(subject: Subject) -> None:
    """In evaluation mode, a row does not depend on the rest of the batch."""
    made, inputs = subject.make(), subject.inputs()
    alone = [subject.call(made, *(part[i : i + 1] for part in inputs)) for i in range(5)]
    same = close(subject.call(made, *inputs), torch.cat(alone), 1e-4)
    demand(same, "in evaluation mode, a row must have the same heads alone and in a batch.")


@NETWORK.check
def expanded(subject: Subject) -> None:
    """Alpha may be an expanded tensor: one point for the whole batch."""
    made, (x, alpha, condition) = subject.make(), subject.inputs()
    one = subject.call(made, x, alpha[:1].expand(5, -1), condition)
    same = close(one, subject.call(made, x, alpha[:1].repeat(5, 1), condition), 1e-4)
    demand(same, "an alpha of stride 0 must give the same heads as a contiguous one.")


@NETWORK.check
def mix(subject: Subject) -> None:
    """If `forward` takes the keyword `mix`, it returns these combinations of the heads."""
    made, (x, point, condition) = subject.make(), subject.inputs()
    if ConditionalMeans(made).mixes:
        coefficients = torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, -1.0]])
        options = {"condition": condition} if subject.condition else {}
        found = made(x, point, mix=coefficients, **options)
        heads = subject.call(made, x, point, condition)
        expected = torch.einsum("rk,bk...->br...", coefficients, heads)
        demand(close(found, expected, 1e-4), "mix must give the combinations of the heads.")


@NETWORK.check
def state(subject: Subject) -> None:
    """The heads depend on every entry of the state, and are differentiable in it."""
    made, (x, alpha, condition) = subject.make(), subject.inputs()
    x.requires_grad_()
    answer = subject.call(made, x, alpha, condition)
    demand(answer.requires_grad, "heads must be differentiable in x; they have no gradient.")
    weights = torch.randn(answer.shape, generator=torch.Generator().manual_seed(1))
    slope = torch.autograd.grad((answer * weights).sum(), x, allow_unused=True)[0]
    depends = slope is not None and (slope != 0).any(0).all()
    demand(depends, "heads must depend on every entry of x.")


@NETWORK.check
def alpha(subject: Subject) -> None:
    """The heads depend on the point of the simplex."""
    made, (x, point, condition) = subject.make(), subject.inputs()
    other = subject.call(made, x, point.roll(1, 1), condition)
    same = close(subject.call(made, x, point, condition), other, 1e-6)
    demand(not same, "heads must depend on alpha; they are the same at two points.")


@NETWORK.check
def condition(subject: Subject) -> None:
    """The heads depend on the condition, if there is one."""
    if subject.condition:
        made, (x, point, condition) = subject.make(), subject.inputs()
        other = subject.call(made, x, point, condition + 1)
        same = close(subject.call(made, x, point, condition), other, 1e-6)
        demand(not same, "heads must depend on the condition; they are the same for two of them.")


@NETWORK.check
def gradients(subject: Subject) -> None:
    """In training mode, every parameter has a finite gradient."""
    made = subject.make().train()
    answer = subject.call(made, *subject.inputs())
    answer.square().mean().backward()
    idle = [
        name
        for name, p in made.named_parameters()
        if p.requires_grad and (p.grad is None or not torch.isfinite(p.grad).all())
    ]
    demand(not idle, f"every parameter must have a finite gradient; {idle[:3]} have none.")


@NETWORK.check
def divergence(subject: Subject) -> None:
    """`torch.func.jvp`, which likelihoods use, gives the derivatives of backpropagation."""
    made, (x, point, condition) = subject.make().double(), subject.inputs(kind=torch.float64)
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).double()
    answer, forward = jvp(lambda x: subject.call(made, x, point, condition), x, v)
    weights = torch.randn(answer.shape, generator=torch.Generator().manual_seed(3)).double()
    x = x.requires_grad_()
    total = (subject.call(made, x, point, condition) * weights).sum()
    backward = (torch.autograd.grad(total, x)[0] * v).sum()
    same = close((forward * weights).sum(), backward, 1e-6)
    demand(same, "torch.func.jvp must give the derivatives of backpropagation.")


@NETWORK.check
def copies(subject: Subject) -> None:
    """A deep copy has its own weights; `fit` averages weights in one."""
    made, inputs = subject.make(), subject.inputs()
    twin, before = copy.deepcopy(made), subject.call(made, *inputs)
    for parameter in made.parameters():
        parameter.data.mul_(1.5)
    same = close(subject.call(twin, *inputs), before, 1e-6)
    demand(same, "a deep copy must not change when the weights of the network change.")


@NETWORK.check
def saved(subject: Subject) -> None:
    """Saving and loading preserves the heads."""
    made, inputs = subject.make(), subject.inputs()
    condition = {"condition": subject.condition} if subject.condition else {}
    with torch.random.fork_rng():
        torch.manual_seed(1)  # Other weights than those of `made`, whatever the seed was before.
        fresh = subject.factory(subject.event, 3, **condition).eval()
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "model.safetensors")
        Model(made, ("a", "b", "c")).save(file)
        load(file, network=fresh)
    demand(
        close(subject.call(made, *inputs), subject.call(fresh, *inputs), 1e-6),
        "must give the same heads after saving and loading; keep all state in parameters and "
        "buffers.",
    )


@NETWORK.check
def devices(subject: Subject) -> None:
    """All tensors that the network uses move with it to another device."""
    device = torch.device("cuda" if torch.cuda.is_available() else "meta")
    made, inputs = subject.make().to(device), [part.to(device) for part in subject.inputs()]
    try:
        answer = subject.call(made, *inputs)
    except RuntimeError as error:
        # The meta device has no values, so a network that reads values is not at fault.
        demand("device" not in str(error) or ".item()" in str(error), str(error).split("\n")[0])
    else:
        found = answer.device
        demand(found.type == device.type, f"after .to({device}) the heads are on {found}.")
