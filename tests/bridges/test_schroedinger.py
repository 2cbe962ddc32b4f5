import numpy as np
import pandas as pd
import pytest
import torch

import multisi
from multisi.bridges import SchroedingerBridge, schroedinger
from multisi.couplings import OptimalTransport
from multisi.errors import ConfigError

QUICK = {"progress": False, "network_options": {"width": 64, "depth": 3}, "batch_size": 512}


def gaussians(n, seed=0):
    source = torch.Generator().manual_seed(seed)
    a = torch.randn(n, 2, generator=source)
    return {"a": a, "b": torch.randn(n, 2, generator=source) * torch.tensor([2.0, 0.5]) + 2}


def joint(variance, epsilon):
    """The cross-covariance of the bridge from the standard normal: c² + 2 ε c = c_0 c_1."""
    return (variance + epsilon**2).sqrt() - epsilon


def test_plans_are_those_of_the_bridge():
    variance = torch.tensor([4.0, 0.25])
    data = [multisi.Marginal(x) for x in gaussians(20_000).values()]
    for epsilon in (0.3, 1.0):
        plans = OptimalTransport(data, epsilon=epsilon, rows=1024, reuse=1, pool=4)
        xs = plans.sample(4096, seed=0, step=0)
        found = ((xs[:, 0] - xs[:, 0].mean(0)) * (xs[:, 1] - xs[:, 1].mean(0))).mean(0)
        assert torch.allclose(found, joint(variance, epsilon), atol=0.1)


def test_laws_on_the_way_are_those_of_the_closed_form():
    bridge = schroedinger(gaussians(20_000), 1.0, steps=1500, **QUICK)
    x, times = gaussians(20_000, 1)["a"], [0.25, 0.5, 1.0]
    variance = torch.tensor([4.0, 0.25])
    for flow in (True, False):
        states = bridge.transport(x, "a", "b", times=times, flow=flow, seed=0)
        for t, state in zip(times, states, strict=True):
            exact = (1 - t) ** 2 + t**2 * variance + 2 * t * (1 - t) * (joint(variance, 1.0) + 1)
            assert torch.allclose(state.var(0), exact, rtol=0.1)
            assert torch.allclose(state.mean(0), torch.tensor([2.0, 2.0]) * t, atol=0.1)
    flow, process = (
        bridge.transport(x, "a", "b", times=[0.0, 1.0], flow=flow, seed=0)
        for flow in (True, False)
    )
    assert torch.allclose(flow[0], x, atol=1e-5) and torch.allclose(process[0], x, atol=1e-5)
    # The process forgets more of its start than the flow, and about as much as it should.
    crossed = [((s[1] - s[1].mean(0)) * x).mean(0) for s in (flow, process)]
    assert (crossed[0] > crossed[1]).all()
    assert torch.allclose(crossed[1], joint(variance, 1.0), atol=0.15)


def test_three_marginals_in_the_form_of_the_user():
    data = {n: pd.DataFrame(x.numpy(), columns=["u", "v"]) for n, x in gaussians(300).items()}
    data["c"] = data["a"] - 3
    bridge = schroedinger(data, 0.5, steps=3, **QUICK)
    assert bridge.model.noise == "noise"
    moved = bridge.transport(data["c"], "c", "b", seed=0)
    assert isinstance(moved, pd.DataFrame) and list(moved) == ["u", "v"]
    again = bridge.transport(data["c"], "c", "b", seed=0)
    assert np.array_equal(moved, again)
    named = schroedinger({"noise": data["a"], "noise_": data["b"]}, 0.5, steps=1, **QUICK)
    assert named.model.noise == "noise__"


def test_what_a_bridge_cannot_be_made_of():
    data = gaussians(300)
    for epsilon in (0, -1, "much", float("nan")):
        with pytest.raises(ConfigError, match="epsilon must"):
            schroedinger(data, epsilon)
    with pytest.raises(ConfigError, match="give samples of the standard normal"):
        schroedinger({"z": multisi.StandardNormal(), **data}, 1.0)
    plain = multisi.fit(data, steps=1, **QUICK)
    with pytest.raises(ConfigError, match="with a noise marginal"):
        SchroedingerBridge(plain, 1.0)
    bridge = schroedinger(data, 1.0, steps=1, **QUICK)
    for times in ([0.5, 0.25], [-0.1], [1.5], [], [float("nan")]):
        with pytest.raises(multisi.errors.MultisiError, match="times"):
            bridge.transport(data["a"], "a", "b", times=times)
    with pytest.raises(ConfigError, match="leave out entropy, embed, noise"):
        OptimalTransport([multisi.Marginal(x) for x in data.values()], epsilon=1.0, entropy=0.1)
    for source, target in (("a", "a"), ("a", "noise"), (["a"], "b")):
        with pytest.raises(ConfigError, match="A bridge joins two of"):
            bridge.transport(data["a"], source, target)
    with pytest.raises(ConfigError, match="path cannot be an option here: a bridge sets it"):
        bridge.transport(data["a"], "a", "b", path="bow")
    with pytest.raises(ConfigError, match="coupling, units cannot be an option here"):
        schroedinger(data, 1.0, coupling="ot", units="whole")
