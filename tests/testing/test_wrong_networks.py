"""Deliberately wrong networks: each is caught by the check made for it."""

import copy

import numpy as np
import pytest
import torch

from multisi.errors import ConformanceError
from multisi.networks import MLP
from multisi.testing import check_network
from multisi.testing.networks import NETWORK


def network(function=None, **methods):
    """A network that spoils an MLP: `function(forward, self, x, alpha, condition)`."""

    class Wrong(MLP):
        def __init__(self, event_shape, marginals, condition=0):
            super().__init__(event_shape, marginals, 16, 2, 8, condition)

        def forward(self, x, alpha, condition=None):
            right = super().forward
            return (
                function(right, self, x, alpha, condition)
                if function
                else right(x, alpha, condition)
            )

    for name, method in methods.items():
        setattr(Wrong, name, method)
    return Wrong


class Mixes(MLP):
    """One head in place of a combination."""

    def forward(self, x, alpha, condition=None, mix=None):
        heads = super().forward(x, alpha, condition)
        return heads if mix is None else heads[:, : len(mix)]


class Random(MLP):
    """First weights by numpy's global generator."""

    def __init__(self, event_shape, marginals):
        super().__init__(event_shape, marginals, 16, 2, 8)
        bias = self.heads.bias
        bias.data = torch.from_numpy(np.random.randn(*bias.shape)).float()


class Idle(MLP):
    """With a layer that nothing goes through."""

    def __init__(self, event_shape, marginals):
        super().__init__(event_shape, marginals, 16, 2, 8)
        self.idle = torch.nn.Linear(2, 2)


class Hidden(MLP):
    """With a tensor that is neither parameter nor buffer."""

    def __init__(self, event_shape, marginals):
        super().__init__(event_shape, marginals, 16, 2, 8)
        self.offset = [torch.randn(2)]

    def forward(self, x, alpha, condition=None):
        return super().forward(x, alpha) + self.offset[0]


class Stays(Hidden):
    def __init__(self, event_shape, marginals):
        super().__init__(event_shape, marginals)
        self.offset = [torch.arange(2.0)]


class OneWay(torch.autograd.Function):
    """A product whose derivative backwards is wrong."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return 2 * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        return 3 * gradient

    @staticmethod
    def jvp(ctx, tangent):
        return 2 * tangent


def in_place(right, self, x, alpha, condition):
    heads = right(x, alpha, condition)
    x.mul_(0.5)
    return heads


def sees_strides(right, self, x, alpha, condition):
    return right(x, alpha, condition) + (alpha.stride(0) == 0)


def same(self, memo):
    return self


def draws(right, self, x, alpha, condition):
    return right(x, alpha, condition) + 0 * torch.rand(())


def forgets(right, self, x, alpha, condition):
    return right(x, alpha, None if condition is None else 0 * condition)


WRONG = {
    "network": lambda event_shape, marginals: lambda x, alpha: x,
    "heads": network(lambda right, self, x, alpha, c: right(x, alpha, c).sum(1)),
    "dtype": network(lambda right, self, x, alpha, c: right(x, alpha, c).float()),
    "finite": network(lambda right, self, x, alpha, c: right(x, alpha, c) + alpha.log().sum()),
    "repeatable": network(
        lambda right, self, x, alpha, c: torch.dropout(right(x, alpha, c), 0.5, True)
    ),
    "seeded": Random,
    "generators": network(draws),
    "untouched": network(in_place),
    "rows": network(lambda right, self, x, alpha, c: right(x - x.mean(0), alpha, c)),
    "expanded": network(sees_strides),
    "mix": Mixes,
    "state": network(lambda right, self, x, alpha, c: right(x[:, :1].expand(-1, 2), alpha, c)),
    "alpha": network(lambda right, self, x, alpha, c: right(x, 0 * alpha, c)),
    "condition": network(forgets),
    "gradients": Idle,
    "divergence": network(lambda right, self, x, alpha, c: right(OneWay.apply(x), alpha, c)),
    "copies": network(__deepcopy__=same),
    "saved": Hidden,
    "devices": Stays,
}


@pytest.mark.parametrize("check", NETWORK.checks)
def test_wrong_network(check):
    before = copy.deepcopy(np.random.get_state())
    options = {
        "condition": 2 if check == "condition" else 0,
        "skip": set(NETWORK.checks) - {check},
    }
    with pytest.raises(ConformanceError, match=f"\n- {check}: ") as caught:
        check_network(WRONG[check], **options)
    np.random.set_state(before)
    assert set(caught.value.broken) == {check}


def test_saved_is_checked_whatever_the_seed_was():
    torch.manual_seed(0)  # That of the weights of the network under test.
    with pytest.raises(ConformanceError, match="\n- saved: "):
        check_network(Hidden, skip=set(NETWORK.checks) - {"saved"})
