"""Plugins as they are found on disk: real distributions, each in a process of its own."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

import multisi

GOOD = """
import multisi

class {name}(multisi.Interpolant):
    \"\"\"Weights as they are.\"\"\"

    def weights(self, alpha):
        return alpha

@multisi.hookimpl
def multisi_register_interpolants():
    return {{"{item}": {name}}}
"""


def hook(body, kind="interpolant", arguments=""):
    return (
        "import multisi\n@multisi.hookimpl\n"
        f"def multisi_register_{kind}s({arguments}):\n    {body}\n"
    )


BROKEN = {
    "imports": ("import does_not_exist", "No module named 'does_not_exist'"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "raises": (hook("raise OSError('no luck')"), "OSError: no luck"),
    "yields": (hook("yield 'a'; raise OSError('late')"), "must return a dict"),
    "misspelt": (hook("return {}", "interpolan"), "unknown hook"),
    "argument": (hook("return {}", arguments="registry"), "registry"),
    "returns": (hook("return ['mine']"), "must return a dict of names to factories; got list"),
    "reserved": (hook("return {'barycentric': dict}"), "'barycentric' is built in"),
    "upper": (hook("return {'Mine': dict}"), "lower-case letters"),
    "empty": (hook("return {'': dict}"), "lower-case letters"),
    "nothing": (hook("return {'mine': 'no-colon'}"), "'module:attribute'; got 'no-colon'"),
    "nobody": ("x = 3", "announces nothing"),
    "missing": (None, "No module named 'missing'"),
}


@pytest.fixture
def place(tmp_path):
    """A folder of distributions; `add(name, source)` installs one there."""

    def add(name, source, requires="", version="1.0"):
        if source is not None:
            (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        info = tmp_path / f"pack_{name}-{version}.dist-info"
        info.mkdir()
        needs = f"Requires-Dist: {requires}\n" if requires else ""
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: pack-{name}\nVersion: {version}\n{needs}"
        )
        (info / "entry_points.txt").write_text(f"[multisi]\n{name} = {name}\n")

    add.path = tmp_path
    return add


def run(place, *arguments, **environment):
    path = os.pathsep.join([str(place.path), *sys.path])
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


def listed(place, **environment):
    done = run(place, "-m", "multisi", "plugins", "--json", **environment)
    assert done.returncode == 0 and done.stderr == ""
    return {
        row["name"]: row for row in json.loads(done.stdout) if row["distribution"] != "multisi"
    }


def test_broken_plugins_side_by_side(place):
    for name, (source, _) in BROKEN.items():
        place(name, source)
    place("good", GOOD.format(name="Good", item="good"))
    place("lazy", hook("return {'gone': 'json:gone', 'lost': 'lost:x', 'dumps': 'json:dumps'}"))
    place(
        "loud",
        "import warnings\nprint('hello')\nwarnings.warn('old')\n" + hook("return {'l': dict}"),
    )
    place("slow", "import time\ntime.sleep(1.2)\n" + hook("return {'s': dict}"))
    rows = listed(place)
    assert {name for name, row in rows.items() if row["state"] == "broken"} == {
        *BROKEN,
        "gone",
        "lost",
    }
    for name, (_, reason) in BROKEN.items():
        assert reason in rows[name]["error"], name
        assert rows[name]["kind"] == "" and rows[name]["version"] == "1.0"
    assert rows["good"]["state"] == "ok" and rows["good"]["summary"] == "Weights as they are."
    assert "no attribute 'gone'" in rows["gone"]["error"] and rows["gone"]["kind"] == "interpolant"
    assert "No module named 'lost'" in rows["lost"]["error"]
    assert rows["dumps"]["summary"].startswith("Serialize")
    assert "prints on import: hello" in rows["l"]["notes"]
    assert "warns on import: old" in rows["l"]["notes"]
    assert "to import" in rows["s"]["notes"]
    text = run(place, "-m", "multisi", "plugins")
    assert text.returncode == 0 and text.stderr == "" and "BROKEN: OSError: no luck" in text.stdout
    strict = run(place, "-m", "multisi", "plugins", "--strict")
    assert strict.returncode == 2 and f"Broken plugins ({len(BROKEN) + 2})" in strict.stderr


def test_listing_imports_no_torch(place):
    place("good", GOOD.format(name="Good", item="good"))
    script = (
        "import sys; from multisi.cli.parser import main; main(['plugins']); "
        "sys.exit('torch' in sys.modules)"
    )
    assert run(place, "-c", script).returncode == 0


def test_disabled_plugins_are_not_imported(place):
    place("exits", "import os; os._exit(9)")
    place("good", GOOD.format(name="Good", item="good"))
    assert listed(place, MULTISI_DISABLE_PLUGINS="exits")["exits"]["state"] == "disabled"
    assert listed(place, MULTISI_DISABLE_PLUGINS="good, pack-exits")["good"]["state"] == "disabled"
    rows = listed(place, MULTISI_DISABLE_PLUGINS="*")
    assert {row["state"] for row in rows.values()} == {"disabled"}


def test_a_plugin_for_another_multisi(place):
    place("later", "raise AssertionError('imported')", "multisi>=99")
    place("extra", GOOD.format(name="Good", item="good"), "multisi>=99; extra == 'x'")
    rows = listed(place)
    assert f"needs multisi >=99, but {multisi.__version__} is installed" in rows["later"]["error"]
    assert rows["good"]["state"] == "ok"


FIND = """
import multisi
from multisi import Interpolant, registry
try:
    print(registry.create("interpolant", "{name}", Interpolant))
except multisi.errors.MultisiError as error:
    print(type(error).__name__, error)
"""


def test_looking_up(place):
    place("one", GOOD.format(name="One", item="mine"))
    place("two", GOOD.format(name="Two", item="mine"))
    place("imports", "import does_not_exist")
    find = {
        name: run(place, "-c", FIND.format(name=name), MULTISI_STRICT_PLUGINS="0").stdout
        for name in ("mine", "pack-two:mine", "mime", "pack-imports:mine")
    }
    assert "announced by 2 distributions" in find["mine"]
    assert "choose one of 'pack-one:mine', 'pack-two:mine'" in find["mine"]
    assert find["pack-two:mine"].strip() == "Two()"
    assert "Did you mean 'mine'?" in find["mime"] and "barycentric" in find["mime"]
    assert "'imports' could not be loaded" in find["pack-imports:mine"]


def test_strict(place):
    place("imports", "import does_not_exist")
    place("good", GOOD.format(name="Good", item="good"))
    done = run(place, "-c", FIND.format(name="good"), MULTISI_STRICT_PLUGINS="1")
    assert "PluginError Plugin 'imports' of pack-imports 1.0 could not be loaded" in done.stdout
    done = run(place, "-c", FIND.format(name="barycentric"), MULTISI_STRICT_PLUGINS="1")
    assert done.stdout.strip() == "Barycentric()"  # Built-ins never ask third parties.


def test_one_distribution_is_imported_where_it_is_named(place):
    place("exits", "import os; os._exit(9)")
    place("good", GOOD.format(name="Good", item="good"))
    assert run(place, "-c", FIND.format(name="pack-good:good")).stdout.strip() == "Good()"


def test_odd_metadata_and_one_module_twice(place):
    """No name, no metadata, requirements that are none, one module under two names."""
    place("good", GOOD.format(name="Good", item="good"), requires="???")
    for i, metadata in enumerate(("Version: 1.0\n", "")):
        info = place.path / f"odd{i}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(metadata)
        (info / "entry_points.txt").write_text(f"[multisi]\nodd{i} = good\nbad{i} = \n")
    rows = listed(place, MULTISI_DISABLE_PLUGINS=" ,")
    assert rows["good"]["state"] == "ok"
    twice = [row for row in rows.values() if "announced the same" in row["error"]]
    assert len(twice) == 2 and all(row["state"] == "broken" for row in twice)
