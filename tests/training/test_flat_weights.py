import copy

import torch

import multisi

X = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
DATA = {"z": multisi.StandardNormal(), "a": X, "b": X * 0.5 + 2}


def fit(marginals=DATA, **options):
    return multisi.fit(marginals, **{"steps": 20, "progress": False} | options)


def test_weights_are_one_vector_and_nobody_notices():
    class Odd(torch.nn.Module):
        """Two types, a weight that is shared, one that is frozen, one that is not used."""

        def __init__(self):
            super().__init__()
            self.first = torch.nn.Linear(4, 6, bias=False)
            self.again = self.first
            self.wide = torch.nn.Parameter(torch.ones(4, dtype=torch.float64))
            self.still = torch.nn.Parameter(torch.ones(()), requires_grad=False)
            self.idle = torch.nn.Parameter(torch.ones(3))

        def forward(self, x, alpha):
            rows = torch.cat([x, alpha[:, :2]], 1) * self.wide * self.still
            rows = rows.to(self.first.weight)
            return (self.first(rows) + self.again(rows)).reshape(len(x), 3, 2)

    network = Odd()
    before = {name: p.clone() for name, p in network.named_parameters()}
    model = fit(network=network, steps=30)
    after = dict(network.named_parameters())
    moved = {name for name, p in after.items() if not torch.equal(p, before[name])}
    assert moved == {"first.weight", "wide"}
    assert after["wide"].dtype == torch.float64 and not after["still"].requires_grad
    assert all(p.untyped_storage().nbytes() == p.nbytes for p in after.values())
    again = copy.deepcopy(model)
    assert torch.equal(again.transport(X, "a", "b"), model.transport(X, "a", "b"))
