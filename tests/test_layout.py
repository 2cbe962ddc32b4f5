"""The layout itself: the size of modules and functions, and an import that costs nothing."""

import ast
import importlib
import inspect
import pathlib
import subprocess
import sys

import pytest

import multisi

PACKAGE = pathlib.Path(multisi.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def name(module):
    return str(module.relative_to(PACKAGE))


def test_few_modules_are_at_the_top():
    assert len([m for m in PACKAGE.glob("*.py") if m.name != "__init__.py"]) <= 8


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_modules_are_small(module):
    assert len(module.read_text().splitlines()) <= 300


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_functions_fit_in_the_eye(module):
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1 if ast.get_docstring(node) and len(node.body) > 1 else 0]
            assert node.body[-1].end_lineno - first.lineno < 40, node.name


def test_importing_does_not_import_torch():
    code = "import sys, multisi, multisi.cli, multisi.registry; print('torch' in sys.modules)"
    code += "; multisi.registry.installed().plugins(); print('torch' in sys.modules)"
    code += "; multisi.Interpolant, multisi.Path, multisi.Coupling, multisi.hookimpl"
    code += "; multisi.paths, multisi.solvers.Solver, multisi.training"
    code += "; print('torch' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["False"] * 3


ROOMS = [
    getattr(multisi, room)
    for room in multisi.__all__
    if hasattr(getattr(multisi, room), "__path__")
]


@pytest.mark.parametrize("room", [multisi, *ROOMS], ids=lambda room: room.__name__)
def test_faces_show_what_they_say(room):
    for public in room.__all__:
        assert getattr(room, public) is not None
        assert public in dir(room)
    with pytest.raises(AttributeError, match=r"nothing"):
        _ = room.nothing


def test_names_of_a_room_can_be_imported_from_it():
    from multisi.couplings import OptimalTransport
    from multisi.networks import MLP
    from multisi.paths import Polyline
    from multisi.training import fit

    assert Polyline.__module__ == "multisi.paths.polyline"
    assert MLP.__module__ == "multisi.networks.mlp"
    assert OptimalTransport.__module__ == "multisi.couplings.optimal_transport"
    assert fit is multisi.fit


def test_plugin_kinds_show_their_built_ins():
    """Every built-in plugin is a public name of the folder of its kind."""
    for plugin in multisi.registry.installed().plugins("multisi"):
        made, folder = plugin.load(), getattr(multisi, f"{plugin.kind}s")
        assert getattr(folder, made.__name__) is made


DEFAULTS = {"Coupling.condition", "Coupling.sample_at", "Solver.record", "Source.look"}
"""Methods that subclasses are meant to replace, and that say so."""


def classes():
    for path in MODULES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[-1] not in ("__init__", "__main__"):
            module = importlib.import_module(".".join(parts))
            for value in vars(module).values():
                if inspect.isclass(value) and value.__module__ == module.__name__:
                    yield value


def test_nothing_that_is_implemented_is_overridden():
    replaced = {
        f"{base.__name__}.{name}"
        for own in classes()
        for name, method in vars(own).items()
        if inspect.isfunction(method) and not name.startswith("__")
        for base in own.__mro__[1:]
        if base.__module__.startswith("multisi")
        and name in vars(base)
        and not getattr(vars(base)[name], "__isabstractmethod__", False)
    }
    assert replaced == DEFAULTS
