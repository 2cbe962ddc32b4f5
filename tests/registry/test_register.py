"""Plugins that are registered at run time, as from a notebook."""

import pytest
import torch

import multisi
from multisi import registry
from multisi.errors import (
    CheckpointError,
    ConfigError,
    PluginError,
    SimplexError,
    UnknownPluginError,
)
from multisi.registry import manager


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    alone = manager.Registry()
    # The face first: it would find the other one in the room, and keep it for ever.
    monkeypatch.setattr(registry, "installed", lambda: alone)
    monkeypatch.setattr(manager, "installed", lambda: alone)
    return alone


class Mine(multisi.Interpolant):
    """Weights as they are."""

    def weights(self, alpha):
        return alpha


class Network(torch.nn.Module):
    def __init__(self, event_shape, marginals):
        super().__init__()
        self.layer = torch.nn.Linear(2 + marginals, 2 * marginals)

    def forward(self, x, alpha):
        return self.layer(torch.cat([x, alpha], 1)).reshape(len(x), alpha.shape[1], 2)


def test_registered_names_work_and_may_be_replaced(fresh):
    assert multisi.register("interpolant", "mine", Mine) is Mine
    assert isinstance(registry.create("interpolant", "mine", multisi.Interpolant), Mine)

    @multisi.register("interpolant", "mine")
    class Again(Mine):
        """Once more."""

    assert type(registry.create("interpolant", "here:mine", multisi.Interpolant)) is Again
    (row,) = (p.examined().to_dict() for p in fresh.plugins() if p.name == "mine")
    assert row["distribution"] == "here" and row["summary"] == "Once more."


@pytest.mark.parametrize(
    ("kind", "name", "factory", "error", "message"),
    [
        ("metric", "mine", Mine, ConfigError, "kind must be one of"),
        ("solver", "heun", Mine, PluginError, "'heun' is built in, so its name is reserved"),
        ("solver", "My Own", Mine, PluginError, "lower-case letters and digits"),
        ("solver", "a:b", Mine, PluginError, "lower-case letters and digits"),
        ("solver", "mine", 3, PluginError, "a class, a function or 'module:attribute'; got 3"),
    ],
)
def test_bad_registrations(kind, name, factory, error, message):
    with pytest.raises(error, match=message):
        multisi.register(kind, name, factory)


def test_what_a_factory_makes_is_checked():
    multisi.register("interpolant", "wrong", dict)
    with pytest.raises(PluginError, match=r"must create a Interpolant; got \{\}"):
        registry.create("interpolant", "wrong", multisi.Interpolant)
    multisi.register("interpolant", "gone", "multisi.interpolants:Gone")
    with pytest.raises(PluginError, match="'gone' of here could not be loaded"):
        registry.create("interpolant", "gone", multisi.Interpolant)
    multisi.register("interpolant", "value", "multisi._version:__version__")
    with pytest.raises(PluginError, match="must be a class or a function"):
        registry.create("interpolant", "value", multisi.Interpolant)


def test_models_note_it_and_ask_for_it(fresh, tmp_path):
    multisi.register("network", "mine", Network)
    data = {"a": torch.randn(9, 2), "b": torch.randn(9, 2)}
    model = multisi.fit(data, network="mine", steps=1, progress=False)
    assert [p["name"] for p in model.plugins] == ["ot", "mine"]
    model.save(tmp_path / "m")
    assert multisi.load(tmp_path / "m").plugins == model.plugins
    fresh._here.clear()
    with pytest.raises(
        CheckpointError, match=r"multisi\.register\('network', 'mine', <its class>\)"
    ):
        multisi.load(tmp_path / "m")
    with pytest.raises(UnknownPluginError, match="There is no network 'mine'"):
        multisi.fit(data, network="mine", steps=1, progress=False)


class Wrong(multisi.Path):
    """Off the simplex beyond its middle, or of no shape."""

    def __init__(self, points, shape=None):
        self.points, self.shape = points, shape

    def __call__(self, t):
        if self.shape:
            return torch.zeros(self.shape)
        return self.points[0] + 2 * t[..., None] * (self.points[1] - self.points[0])


def test_plugins_that_break_when_used_are_named():
    def raises(*arguments):
        raise KeyError("inside")

    data = {"a": torch.randn(9, 2), "b": torch.randn(9, 2)}
    model = multisi.fit(data, steps=1, progress=False)
    for kind in registry.KINDS:
        multisi.register(kind, "raises", raises)
    with pytest.raises(PluginError, match=r"solver 'raises' of .* could not be created: KeyError"):
        model.transport(data["a"], "a", "b", solver="raises")
    with pytest.raises(
        PluginError, match=r"network 'raises' of .* could not be created: KeyError"
    ):
        multisi.fit(data, network="raises", steps=1, progress=False)
    multisi.register("network", "linear", lambda event, marginals: torch.nn.Linear(2, 2))
    with pytest.raises(ConfigError, match=r"callable as network\(x, alpha\); Linear takes"):
        multisi.fit(data, network="linear", steps=1, progress=False)
    multisi.register("path", "off", Wrong)
    with pytest.raises(SimplexError, match="must not be negative"):
        model.transport(data["a"], "a", "b", path="off")
    multisi.register("path", "shape", lambda points: Wrong(points, (3,)))
    with pytest.raises(PluginError, match=r"shape \(33, 2\) for 33 times; got \(3,\)"):
        model.transport(data["a"], "a", "b", path="shape")
