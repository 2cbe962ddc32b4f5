import subprocess
import sys

import torch

from multisi.training.adam import Adam


def test_it_equals_that_of_torch_bit_for_bit():
    source = torch.Generator().manual_seed(0)
    sizes = (1000, 7)
    ours, theirs = ([torch.nn.Parameter(torch.arange(n) / n) for n in sizes] for _ in range(2))
    own, other = Adam(ours, 0.0), torch.optim.Adam(theirs, fused=True)
    for step in range(50):
        own.rate = other.param_groups[0]["lr"] = 1e-2 * (1 + step)
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=source)
            b.grad = a.grad.clone()
        own.step()
        other.step()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)
        assert own.state[a].keys() == other.state[b].keys()
        assert all(torch.equal(own.state[a][name], other.state[b][name]) for name in own.state[a])


def test_training_does_not_import_the_compiler():
    code = """
import sys
import torch
import multisi
x = torch.randn(99, 2)
multisi.fit({"a": x, "b": x + 1}, steps=1, coupling="ot", progress=False)
slow = {"torch._dynamo", "torch.distributed.fsdp", "sympy"}
assert not slow & sys.modules.keys(), slow & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)
