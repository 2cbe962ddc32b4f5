"""The battery for networks."""

import copy
import pathlib
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

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
    """A network to check: how it is made, and for what."""

    factory: Callable[..., Any]
    event: tuple[int, ...]
    condition: int

    def make(self, marginals: int = 3) -> Any:
        """A fresh network, seeded, in evaluation mode; its zeros are stirred."""
        told = {"condition": self.condition} if self.condition else {}
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = self.factory(self.event, marginals, **told)
            if isinstance(network, nn.Module):
                network.eval()
                for parameter in network.parameters():
                    parameter.data += 0.05 * torch.randn_like(parameter.data)
        return network

    def inputs(self, n: int = 5, marginals: int = 3, kind: Any = torch.float32) -> list[Tensor]:
        """States, points and, where there is one, the condition."""
        source = torch.Generator().manual_seed(n)
        x = torch.randn((n, *self.event), generator=source).to(kind)
        alpha = torch.rand((n, marginals), generator=source).to(kind)
        told = torch.randn((n, max(1, self.condition)), generator=source).to(kind)
        return [x, alpha / alpha.sum(1, keepdim=True), told]

    def ask(self, network: Any, x: Tensor, alpha: Tensor, told: Tensor) -> Any:
        """What the network answers, with the condition where it takes one."""
        return network(x, alpha, condition=told) if self.condition else network(x, alpha)


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
        factory: Its class, another function `(event_shape, marginals, **options)`, or the name it
            is registered by.
        event: Shape of one sample.
        condition: Features of the condition; above 0, the factory is given the option `condition`.
        skip: Names of checks to leave out.
        options: Handed to the factory.

    Raises:
        ConformanceError: it fails a check; with every check that it fails, and why.

    Example:
        >>> check_network("mlp", width=16)
    """
    NETWORK.run(factory, Subject(factory_of("network", factory, options), event, condition), skip)


@NETWORK.check
def network(subject: Subject) -> None:
    """It is a `torch.nn.Module` with something to train."""
    made = subject.make()
    demand_kind(made, nn.Module, "torch.nn.Module")
    trained = any(parameter.requires_grad for parameter in made.parameters())
    demand(trained, "has no parameter that requires a gradient.")


@NETWORK.check
def heads(subject: Subject) -> None:
    """One head a marginal, shape `(b, k, *event)`, for any number of marginals and rows."""
    for n, k in ((5, 2), (5, 3), (3, 5), (1, 3), (0, 3)):
        answer = subject.ask(subject.make(k), *subject.inputs(n, k))
        expected = (n, k, *subject.event)
        got = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        demand(got == expected, f"{n} rows of {k} marginals must give {expected}; got {got}.")


@NETWORK.check
def dtype(subject: Subject) -> None:
    """It computes in the type that it is turned into."""
    for kind in (torch.float32, torch.float64):
        answer = subject.ask(subject.make().to(kind), *subject.inputs(kind=kind))
        demand(
            answer.dtype == kind, f"after .to({kind}) the heads must be of it; got {answer.dtype}."
        )


@NETWORK.check
def finite(subject: Subject) -> None:
    """The heads are finite, at corners of the simplex too."""
    x, alpha, told = subject.inputs(6)
    alpha[:3] = torch.eye(3)
    answer = subject.ask(subject.make(), x, alpha, told)
    demand(torch.isfinite(answer).all(), "must be finite, at corners of the simplex too.")


@NETWORK.check
def repeatable(subject: Subject) -> None:
    """In evaluation mode the heads are a function of the arguments."""
    made, inputs = subject.make(), subject.inputs()
    same = close(subject.ask(made, *inputs), subject.ask(made, *inputs), 1e-6)
    demand(same, "in evaluation mode the same arguments must give the same heads twice.")


@NETWORK.check
def seeded(subject: Subject) -> None:
    """Its first weights follow from torch's seed."""
    one, two = subject.make().state_dict(), subject.make().state_dict()
    differ = [name for name in one if not torch.equal(one[name], two[name])]
    demand(not differ, f"the same torch seed must give the same weights; {differ[:3]} differ.")


@NETWORK.check
def generators(subject: Subject) -> None:
    """In evaluation mode it draws from no global generator."""
    made, inputs = subject.make(), subject.inputs()
    demand(
        same_generators(lambda: subject.ask(made, *inputs)),
        "in evaluation mode it must not draw from a global generator.",
    )


@NETWORK.check
def untouched(subject: Subject) -> None:
    """Its arguments are left as they are."""
    inputs = subject.inputs()
    subject.ask(subject.make(), *inputs)
    same = all(torch.equal(a, b) for a, b in zip(inputs, subject.inputs(), strict=True))
    demand(same, "must not change x, alpha or the condition in place.")


@NETWORK.check
def rows(subject: Subject) -> None:
    """In evaluation mode a row does not depend on the rest of the batch."""
    made, inputs = subject.make(), subject.inputs()
    alone = [subject.ask(made, *(part[i : i + 1] for part in inputs)) for i in range(5)]
    same = close(subject.ask(made, *inputs), torch.cat(alone), 1e-4)
    demand(same, "in evaluation mode a row must have the same heads alone and in a batch.")


@NETWORK.check
def expanded(subject: Subject) -> None:
    """One point for the whole batch may come as an expanded tensor."""
    made, (x, alpha, told) = subject.make(), subject.inputs()
    one = subject.ask(made, x, alpha[:1].expand(5, -1), told)
    same = close(one, subject.ask(made, x, alpha[:1].repeat(5, 1), told), 1e-4)
    demand(same, "alpha of stride 0 must give the same heads as a copied one.")


@NETWORK.check
def mix(subject: Subject) -> None:
    """With a keyword `mix`, if it takes one, the answer is these combinations of its heads."""
    made, (x, point, told) = subject.make(), subject.inputs()
    if ConditionalMeans(made).mixes:
        coefficients = torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, -1.0]])
        options = {"condition": told} if subject.condition else {}
        found = made(x, point, mix=coefficients, **options)
        heads = subject.ask(made, x, point, told)
        expected = torch.einsum("rk,bk...->br...", coefficients, heads)
        demand(close(found, expected, 1e-4), "mix must give the combinations of the heads.")


@NETWORK.check
def state(subject: Subject) -> None:
    """The heads depend on the state, and on all of it."""
    made, (x, alpha, told) = subject.make(), subject.inputs()
    x.requires_grad_()
    answer = subject.ask(made, x, alpha, told)
    demand(answer.requires_grad, "the heads must be differentiable in x; they have no gradient.")
    weights = torch.randn(answer.shape, generator=torch.Generator().manual_seed(1))
    slope = torch.autograd.grad((answer * weights).sum(), x, allow_unused=True)[0]
    demand(slope is not None and (slope != 0).any(0).all(), "must depend on every entry of x.")


@NETWORK.check
def alpha(subject: Subject) -> None:
    """The heads depend on the point of the simplex."""
    made, (x, point, told) = subject.make(), subject.inputs()
    other = subject.ask(made, x, point.roll(1, 1), told)
    demand(
        not close(subject.ask(made, x, point, told), other, 1e-6),
        "must depend on alpha: at another point of the simplex the heads are the same.",
    )


@NETWORK.check
def condition(subject: Subject) -> None:
    """The heads depend on the condition, where there is one."""
    if subject.condition:
        made, (x, point, told) = subject.make(), subject.inputs()
        other = subject.ask(made, x, point, told + 1)
        demand(
            not close(subject.ask(made, x, point, told), other, 1e-6),
            "must depend on the condition: with another one the heads are the same.",
        )


@NETWORK.check
def gradients(subject: Subject) -> None:
    """In training every parameter has a finite gradient."""
    made = subject.make().train()
    answer = subject.ask(made, *subject.inputs())
    answer.square().mean().backward()
    idle = [
        name
        for name, p in made.named_parameters()
        if p.requires_grad and (p.grad is None or not torch.isfinite(p.grad).all())
    ]
    demand(not idle, f"every parameter must have a finite gradient; {idle[:3]} have none.")


@NETWORK.check
def divergence(subject: Subject) -> None:
    """Derivatives by `torch.func.jvp` agree with backpropagation: likelihoods need them."""
    made, (x, point, told) = subject.make().double(), subject.inputs(kind=torch.float64)
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).double()
    answer, forward, *_ = torch.func.jvp(lambda x: subject.ask(made, x, point, told), (x,), (v,))
    weights = torch.randn(answer.shape, generator=torch.Generator().manual_seed(3)).double()
    x = x.requires_grad_()
    total = (subject.ask(made, x, point, told) * weights).sum()
    backward = (torch.autograd.grad(total, x)[0] * v).sum()
    demand(
        close((forward * weights).sum(), backward, 1e-6),
        "torch.func.jvp must give the derivative that backpropagation gives.",
    )


@NETWORK.check
def copies(subject: Subject) -> None:
    """A deep copy is a network of its own: weights are averaged in one."""
    made, inputs = subject.make(), subject.inputs()
    twin, before = copy.deepcopy(made), subject.ask(made, *inputs)
    for parameter in made.parameters():
        parameter.data.mul_(1.5)
    demand(
        close(subject.ask(twin, *inputs), before, 1e-6),
        "a deep copy must keep its weights when those of the network change.",
    )


@NETWORK.check
def saved(subject: Subject) -> None:
    """Saved and loaded, it says the same."""
    made, inputs = subject.make(), subject.inputs()
    fresh = subject.factory(
        subject.event, 3, **({"condition": subject.condition} if subject.condition else {})
    ).eval()
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "model.safetensors")
        Model(made, ("a", "b", "c")).save(file)
        load(file, network=fresh)
    demand(
        close(subject.ask(made, *inputs), subject.ask(fresh, *inputs), 1e-6),
        "saved and loaded it must give the same heads; keep all state in parameters and buffers.",
    )


@NETWORK.check
def devices(subject: Subject) -> None:
    """Everything that it computes with moves with it to another device."""
    device = torch.device("cuda" if torch.cuda.is_available() else "meta")
    made, inputs = subject.make().to(device), [part.to(device) for part in subject.inputs()]
    try:
        answer = subject.ask(made, *inputs)
    except RuntimeError as error:
        # A look at values is beyond the device that only knows shapes, and no fault.
        demand("device" not in str(error) or ".item()" in str(error), str(error).split("\n")[0])
    else:
        demand(answer.device.type == device.type, f"on {device} the heads are on {answer.device}.")
