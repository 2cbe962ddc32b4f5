"""The packages of `plugins/`, and those that `new-plugin` writes, installed as a user would."""

import os
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

from multisi.cli.new_plugin import write_package
from multisi.cli.parser import main
from multisi.registry import KINDS

ROOT = pathlib.Path(__file__).parents[2]
PACKAGES = sorted((ROOT / "plugins").iterdir())
IDS = [package.name for package in PACKAGES]

USE = """
import sys, torch, multisi
source = torch.Generator().manual_seed(0)
a, b = (torch.rand(32, 6, 2, generator=source) + shift for shift in (0, 1))
options = {"network": "set-transformer", "network_options": {"width": 16, "depth": 1}}
model = multisi.fit({"a": a, "b": b}, coupling="pot-entropic", steps=3, progress=False, **options)
moved = model.transport(a, "a", "b", interpolant="power", solver="bosh3")
model.save(sys.argv[1])
again = multisi.load(sys.argv[1])
assert torch.equal(again.transport(a, "a", "b", interpolant="power", solver="bosh3"), moved)
for plugin in again.plugins:
    print(plugin["kind"], plugin["name"], plugin["distribution"], plugin["version"])
"""
LOAD = "import sys, multisi; print(multisi.load(sys.argv[1]))"


def install(packages, folder):
    """Put packages where `PYTHONPATH` finds them, the environment being left as it is."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-build-isolation", "--target", str(folder), *map(str, packages)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def run(folder, *arguments, cwd=None):
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return install(PACKAGES, tmp_path_factory.mktemp("site"))


@pytest.mark.parametrize("package", PACKAGES, ids=IDS)
def test_every_package_is_whole(package):
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert project["name"] == package.name and project["description"]
    assert any(need.startswith("multisi") for need in project["dependencies"])
    readme = (package / "README.md").read_text()
    assert f"pip install ./plugins/{package.name}" in readme
    module = (package / f"{package.name.replace('-', '_')}.py").read_text()
    names = re.findall(r'"([a-z0-9-]+)":', module[module.index("@multisi.hookimpl") :])
    assert names and all(f"`{name}`" in readme for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES, ids=IDS)
def test_its_own_tests(package, site):
    done = run(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=package)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_used_together_saved_and_loaded(site, tmp_path):
    file = tmp_path / "m.safetensors"
    used = run(site, "-c", USE, file)
    assert used.returncode == 0, used.stderr
    assert used.stdout.splitlines() == [
        "coupling pot-entropic multisi-pot 0.1.0",
        "network set-transformer multisi-transformer 0.1.0",
    ]
    missing = run(tmp_path, "-c", LOAD, file)
    assert "network 'set-transformer' of multisi-transformer 0.1.0 is needed" in missing.stderr
    assert "pip install multisi-transformer==0.1.0" in missing.stderr
    # Another version is told; a coupling is not needed for what a loaded model does.
    other = install([ROOT / "plugins" / "multisi-transformer"], tmp_path / "other")
    (info,) = other.glob("multisi_transformer-*.dist-info/METADATA")
    info.write_text(info.read_text().replace("Version: 0.1.0", "Version: 0.2.0"))
    done = run(other, "-c", LOAD, file)
    assert "multisi-transformer 0.1.0; 0.2.0 is installed" in done.stderr
    assert done.stdout.startswith("Model(")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_new_plugin(kind, tmp_path, capsys):
    assert main(["new-plugin", kind, "my-own", "--out", str(tmp_path)]) == 0
    place = tmp_path / "multisi-my-own"
    assert str(place) in capsys.readouterr().out
    site = install([place], tmp_path / "site")
    done = run(site, "-m", "pytest", "-q", "-W", "error", place)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout
    listed = run(site, "-m", "multisi", "plugins")
    assert f"{kind:<12} my-own" in listed.stdout


def test_a_new_interpolant_is_thirty_lines(tmp_path):
    place = write_package("interpolant", "mine", tmp_path)
    lines = [
        line
        for file in ("pyproject.toml", "multisi_mine.py")
        for line in (place / file).read_text().splitlines()
        if line.strip()
    ]
    assert len(lines) <= 30
    code = (place / "multisi_mine.py").read_text()
    assert [line for line in code.splitlines() if "import" in line] == ["import multisi"]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("metric", "mine", "kind must be one of interpolant"),
        ("solver", "My_Own", "lower-case letters and digits"),
        ("solver", "", "lower-case letters and digits"),
        ("solver", "../up", "lower-case letters and digits"),
        ("solver", "heun", "'heun' is built in"),
    ],
)
def test_bad_names(kind, name, message, tmp_path, capsys):
    assert main(["new-plugin", kind, name, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_over(tmp_path, capsys):
    assert main(["new-plugin", "path", "mine", "--out", str(tmp_path)]) == 0
    assert main(["new-plugin", "path", "mine", "--out", str(tmp_path)]) == 2
    assert "exists; choose another name or folder" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["new-plugin", "path", "mine", "--out", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err
