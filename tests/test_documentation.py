"""What the documentation shows must run."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
from torch.distributed.run import parse_args

from multisi.cli.arguments import parser

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("index.md", "tutorials/*.md", "how-to/*.md", "explanation/*.md")
    for path in (ROOT / "docs").glob(pattern)
)


def blocks(page):
    """The Python of a page, in order."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)


def execute(page, folder):
    """Run all Python of a page in one namespace, in an empty folder, with warnings as errors."""
    script = folder / "page.py"
    script.write_text("\n".join(blocks(page)))
    command = [sys.executable, "-W", "error", script.name]
    shown = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


def test_the_example_of_the_readme(tmp_path):
    (example,) = blocks("README.md")
    assert len([line for line in example.splitlines() if line.strip()]) <= 15
    shown = execute("README.md", tmp_path)
    means = re.search(r"energy distance to held-out samples of the target +([-\d.e]+)\n", shown)
    assert float(means[1]) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=str)
def test_pages(page, tmp_path):
    execute(page, tmp_path)


def test_commands_are_in_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), re.M):
        assert re.search(rf"^{command}:", makefile, re.M)


def test_links_of_the_readme():
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_every_option_is_in_the_reference():
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text()
    (commands,) = [a for a in parser()._actions if a.dest == "command"]
    for name, command in commands.choices.items():
        assert f"\n## multisi {name}\n" in page
        for action in command._actions:
            for option in set(action.option_strings) - {"-h", "--help"}:
                assert f"`{option}" in page, (name, option)


def test_torchrun_lets_every_option_pass():
    """It reads ours as beginnings of its own, so that each needs a name that is none."""
    (commands,) = [a for a in parser()._actions if a.dest == "command"]
    for name in ("fit", "transport"):
        for action in commands.choices[name]._actions:
            if action.option_strings:
                longest = max(action.option_strings, key=len)
                given = parse_args(["-m", "multisi", name, longest, "x"])
                assert given.training_script_args == [name, longest, "x"]


def test_torchrun_takes_the_commands_of_the_documentation():
    shown = "".join((ROOT / page).read_text().replace("\\\n", "") for page in PAGES)
    commands = re.findall(r"^torchrun (-.*)$", shown, re.M)
    assert commands
    for command in commands:
        given = parse_args(shlex.split(command))
        assert given.training_script == "multisi"
        parser().parse_args(given.training_script_args)
