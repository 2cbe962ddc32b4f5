"""The design itself: floors, sizes, and an import that costs nothing."""

import ast
import pathlib
import subprocess
import sys

import pytest

import multisi

PACKAGE = pathlib.Path(multisi.__file__).parent
FLOORS = {
    0: ("_version", "common", "errors", "registry"),
    1: ("simplex", "noise", "metrics", "files"),
    2: ("data", "interpolants", "networks", "paths"),
    3: ("couplings", "field", "dynamics"),
    4: ("solvers",),
    5: ("sampling",),
    6: ("analysis",),
    7: ("model",),
    8: ("training", "testing"),
    9: ("__init__", "__main__", "cli"),
}  # fmt: skip
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(module):
    """The first part of a module's name below multisi."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported(module):
    """Rooms of multisi that a module imports, but for type checking."""
    tree = ast.parse(module.read_text())
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped |= set(ast.walk(node))
    for node in ast.walk(tree):
        if node in skipped or not isinstance(node, ast.ImportFrom):
            continue
        if node.module == "multisi":
            yield from (alias.name for alias in node.names if alias.name in FLOOR_OF)
        elif node.module and node.module.startswith("multisi."):
            yield node.module.split(".")[1]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(PACKAGE)))
def test_imports_go_down(module):
    here = FLOOR_OF[room(module)]
    for other in imported(module):
        assert FLOOR_OF[other] <= here, f"{module.name} imports {other} from a floor above"


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(PACKAGE)))
def test_modules_are_small(module):
    assert len(module.read_text().splitlines()) <= 300


def test_importing_does_not_import_torch():
    code = "import sys, multisi, multisi.cli.parser, multisi.registry"
    code += "; print('torch' in sys.modules)"
    code += "; multisi.registry.installed().plugins(); print('torch' in sys.modules)"
    code += "; multisi.Interpolant, multisi.Path, multisi.Coupling, multisi.hookimpl"
    code += "; print('torch' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["False"] * 3


def test_public_names_are_there():
    for name in multisi.__all__:
        assert getattr(multisi, name) is not None
        assert name in dir(multisi)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = multisi.nothing
