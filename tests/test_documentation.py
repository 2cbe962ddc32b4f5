"""What the documentation shows must run."""

import contextlib
import io
import os
import pathlib
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser
from torch.distributed.run import parse_args

from multisi.cli.arguments import parser
from multisi.registry import manager

ROOT = pathlib.Path(__file__).parents[1]


def pages(*patterns):
    return sorted(path.relative_to(ROOT) for p in patterns for path in ROOT.glob(p))


LESSONS = pages("docs/tutorials/*.md")
PAGES = [page for page in pages("docs/**/*.md") if page not in LESSONS]
RUN = {"multisi", "torchrun"}
"""The programs of shell blocks that are run; others install and build."""


def execute(page, folder):
    """Run the blocks of a page from top to bottom, as a reader would; return what they print."""
    shown = io.StringIO()
    parsers = [PythonCodeBlockParser(), CodeBlockParser("sh", evaluator=shell)]
    document = Sybil(parsers).parse(ROOT / page)
    with contextlib.chdir(folder), contextlib.redirect_stdout(shown):
        for example in document.examples():
            example.evaluate()
    return shown.getvalue()


def shell(example):
    """Run the commands of a block, on the files of the blocks before it."""
    if example.parsed.split()[0] not in RUN:
        return
    known = {"PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
    known["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        ["bash", "-e"],
        input=example.parsed,
        env=os.environ | known,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{example.path}:{example.line}\n{done.stdout}{done.stderr}"


@pytest.fixture(autouse=True)
def unregistered(monkeypatch):
    """Forget what a page registers."""
    known = manager.installed()
    monkeypatch.setattr(known, "_here", dict(known._here))


def test_the_readme(tmp_path):
    for name in ("cats", "dogs"):
        np.save(tmp_path / name, np.random.default_rng(0).normal(size=(500, 2)))
    (example,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S
    )
    assert len([line for line in example.splitlines() if line.strip()]) <= 15
    shown = execute("README.md", tmp_path)
    means = re.search(r"energy distance to held-out samples of the target +([-\d.e]+)\n", shown)
    assert float(means[1]) < 0.02


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_pages(page, tmp_path):
    execute(page, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", LESSONS, ids=str)
def test_tutorials(page, tmp_path):
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
    shown = "".join((ROOT / page).read_text().replace("\\\n", "") for page in PAGES + LESSONS)
    commands = re.findall(r"^torchrun (-.*)$", shown, re.M)
    assert commands
    for command in commands:
        given = parse_args(shlex.split(command))
        assert given.training_script == "multisi"
        parser().parse_args(given.training_script_args)


def test_sources_are_in_the_bibliography():
    known = (ROOT / "docs" / "bibliography.md").read_text()
    texts = [path.read_text() for path in (ROOT / "multisi").rglob("*.py")]
    texts += [(ROOT / page).read_text() for page in PAGES + LESSONS]
    cited = {
        source.rstrip(".,")
        for text in texts
        for source in re.findall(r"(?:arXiv:|arxiv.org/abs/|doi:)(\d[\w./()-]+\d)", text)
    }
    assert not {source for source in cited if source not in known}
