import importlib.metadata
import json
import pathlib
import re
import sys
import types

import pytest

import multisi
from multisi import registry
from multisi.cli.parser import main
from multisi.errors import ConfigError, PluginError, UnknownPluginError
from multisi.registry import hookspecs
from multisi.registry.hookspecs import hook_name
from multisi.registry.manager import Registry


class Mine(multisi.Interpolant):
    """Weights as they are."""

    def weights(self, alpha):
        return alpha


@pytest.fixture
def install(monkeypatch):
    """Install modules as entry points `distribution:name`; gives the registry that sees them."""

    def install(**modules):
        points = []
        for key, module in modules.items():
            distribution, _, name = key.partition("__")
            sys.modules[f"fake_{key}"] = module
            point = importlib.metadata.EntryPoint(name, f"fake_{key}", "multisi")
            info = types.SimpleNamespace(name=distribution, version="1.0")
            points.append(point._for(info))
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: points)
        return Registry()

    yield install
    for name in [name for name in sys.modules if name.startswith("fake_")]:
        del sys.modules[name]


def announcing(kind="interpolant", **answers):
    """A module whose hook for a kind announces names."""
    module = types.ModuleType("fake")

    @multisi.hookimpl(specname=hook_name(kind))
    def announce():
        return answers

    module.announce = announce
    return module


def test_every_builtin_loads_and_says_what_it_is():
    plugins = registry.installed().plugins()
    builtins = [p for p in plugins if p.distribution == "multisi"]
    assert {p.kind for p in builtins} == set(registry.KINDS)
    for plugin in builtins:
        assert plugin.state == "ok" and plugin.version == multisi.__version__
        assert plugin.load().__doc__


def test_third_parties_are_found(install):
    found = install(pack__mine=announcing(mine=Mine))
    assert found.find("interpolant", "mine").load() is Mine
    assert found.find("interpolant", "pack:mine").distribution == "pack"
    assert found.find("interpolant", "barycentric").distribution == "multisi"


def test_lazy_references(install):
    found = install(pack__mine=announcing(mine="tests.registry.test_registry:Mine", gone="no:x"))
    assert found.find("interpolant", "mine").load().__name__ == "Mine"
    with pytest.raises(PluginError, match=r"'gone' of pack 1\.0 could not be loaded from 'no:x'"):
        found.find("interpolant", "gone").load()


def misspelt():
    module = types.ModuleType("fake")

    @multisi.hookimpl
    def multisi_register_interpolant():
        return {}

    module.multisi_register_interpolant = multisi_register_interpolant
    return module


def raising(error):
    module = types.ModuleType("fake")

    @multisi.hookimpl
    def multisi_register_solvers():
        print("noise on import")
        raise error

    module.multisi_register_solvers = multisi_register_solvers
    return module


def test_broken_plugins_stay_aside(install, capsys):
    found = install(
        a__misspelt=misspelt(),
        b__raises=raising(RuntimeError("no luck")),
        c__exits=raising(SystemExit(3)),
        d__list=announcing(**{"x": 3}),
        e__taken=announcing(barycentric=Mine),
        f__good=announcing(good=Mine),
    )
    broken = {p.name: p.error for p in found.plugins() if p.state == "broken"}
    assert set(broken) == {"misspelt", "raises", "exits", "list", "taken"}
    assert "unknown hook 'multisi_register_interpolant'" in broken["misspelt"]
    assert "no luck" in broken["raises"] and "SystemExit" in broken["exits"]
    assert "got 3" in broken["list"] and "reserved" in broken["taken"]
    assert found.find("interpolant", "good").load() is Mine
    with pytest.raises(UnknownPluginError, match=r"'raises' could not be loaded .*no luck"):
        found.find("solver", "gone")
    assert capsys.readouterr() == ("", "")


def test_ambiguous_names(install):
    found = install(one__x=announcing(mine=Mine), two__x=announcing(mine=Mine))
    with pytest.raises(UnknownPluginError, match="choose one of 'one:mine', 'two:mine'"):
        found.find("interpolant", "mine")
    assert found.find("interpolant", "two:mine").distribution == "two"


def test_disabled(install, monkeypatch):
    monkeypatch.setenv("MULTISI_DISABLE_PLUGINS", "mine,other")
    found = install(pack__mine=announcing(mine=Mine))
    assert [p.state for p in found.plugins() if p.distribution == "pack"] == ["disabled"]


def test_objects_are_taken_as_they_are():
    mine = Mine()
    assert registry.create("interpolant", mine, multisi.Interpolant) is mine
    with pytest.raises(
        UnknownPluginError, match=r"There is no solver 'hune'. Did you mean 'heun'"
    ):
        registry.create("solver", "hune", multisi.Solver)


def test_listing(capsys):
    assert main(["plugins", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    keys = {"kind", "name", "distribution", "version", "state", "error", "summary", "notes"}
    assert rows and all(set(row) == keys for row in rows)
    assert main(["plugins"]) == 0
    assert "midpoint" in capsys.readouterr().out


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_hook_announces_and_is_documented(kind, install):
    found = install(pack__mine=announcing(kind, mine=Mine))
    assert found.find(kind, "mine").load() is Mine
    pages = pathlib.Path(__file__).parents[2] / "docs" / "reference" / "plugins"
    page = (pages / "index.md").read_text()
    assert re.search(rf"^#+ `?{hook_name(kind)}\(\)`?", page, re.M)
    assert f"::: multisi.registry.hookspecs.{hook_name(kind)}" in page
    assert (pages / f"{kind}s.md").exists()


def test_there_are_no_other_hooks():
    hooks = {name for name in vars(hookspecs) if name.startswith("multisi_")}
    assert hooks == {hook_name(kind) for kind in registry.KINDS}


def test_options_that_are_missing_are_named():
    for name in ("data-dependent", "rectified"):
        with pytest.raises(ConfigError, match=f"coupling '{name}'.*missing"):
            registry.create("coupling", name, multisi.Coupling, [])
