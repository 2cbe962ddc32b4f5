"""The reference shows every public name by its public path, with a complete docstring."""

import dataclasses
import inspect
import pathlib
import re

import pytest

import multisi

PAGES = pathlib.Path(__file__).parents[1] / "docs" / "reference"
SHOWN = set(
    re.findall(r"^::: ([\w.]+)", "".join(page.read_text() for page in PAGES.rglob("*.md")), re.M)
)
ROOMS = {
    name: getattr(multisi, name)
    for name in multisi.__all__
    if hasattr(getattr(multisi, name), "__path__")
}
SHAPED = {"x", "y", "xs", "alpha", "weights", "samples", "points", "means", "covariances"}


def public():
    """Every public path and what it leads to; the shortest path where there are several."""
    found = {}
    for name in multisi.__all__:
        if callable(getattr(multisi, name)):
            found[id(getattr(multisi, name))] = f"multisi.{name}"
    for room, module in ROOMS.items():
        for name in module.__all__:
            if callable(getattr(module, name)):
                found.setdefault(id(getattr(module, name)), f"multisi.{room}.{name}")
    found.pop(id(multisi.hookimpl))  # A marker of pluggy, shown in every example of a plugin.
    return sorted(found.values())


def functions():
    """The functions of the public modules that are shown as a whole."""
    for module in (multisi.metrics, multisi.noise, multisi.simplex):
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__:
                if not name.startswith("_"):
                    yield f"{module.__name__}.{name}"


def test_public_modules_are_shown():
    for name in ("errors", "metrics", "noise", "simplex", "testing", "training"):
        assert f"multisi.{name}" in SHOWN


def sections(text):
    return set(re.findall(r"^(Arguments|Returns|Raises|References|Examples):", text, re.M))


def resolve(path):
    value = multisi
    for part in path.split(".")[1:]:
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("path", public())
def test_every_public_name_is_shown_by_its_public_path(path):
    assert path in SHOWN


@pytest.mark.parametrize("path", [*public(), *functions()])
def test_docstrings_are_complete(path):
    value = resolve(path)
    text = inspect.getdoc(value)
    found = sections(text)
    assert re.match(r"[A-Z$`].*[.:;]$", text.split("\n\n")[0].replace("\n", " ")), "a summary"
    made = value.__init__ if inspect.isclass(value) else value
    own = inspect.isfunction(made) and not dataclasses.is_dataclass(value)
    own = own and not getattr(value, "_is_protocol", False)
    names = [n for n in inspect.signature(made).parameters if n != "self"] if own else []
    if names and "as for" not in text:
        assert "Arguments" in found
        for name in names:
            assert re.search(rf"^    {name}: ", text, re.M), f"the argument {name}"
    if SHAPED & set(names):
        assert "shape" in text, "shapes with axis letters"
    if re.search(r"\braise \w|checks\.", inspect.getsource(made) if own else ""):
        assert "Raises" in found, "errors"
    assert found & {"Examples", "References"}, "an example or a source"


def test_references_give_authors_year_and_number():
    """An arXiv number stands behind authors, a title and a year."""
    package = pathlib.Path(multisi.__file__).parent
    for module in package.rglob("*.py"):
        for block in re.findall(r"References:\n((?: +\S.*\n)+)", module.read_text()):
            for entry in re.findall(r"[^;]*?(?:arXiv:|doi:)\S+", " ".join(block.split())):
                assert re.search(r"\(\d{4}\)", entry), (module.name, entry)
