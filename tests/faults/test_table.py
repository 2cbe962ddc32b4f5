"""The table of cases in the documentation: its tests exist, and no test lacks a case."""

import pathlib
import re

TESTS = pathlib.Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "explanation" / "reliability.md"
ROWS = [
    line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if "`test_" in line
]
CASES = {row[0]: re.findall(r"`(test_\w+)`", row[-1]) for row in ROWS}


def names_in(folder):
    """Names of tests, this file's own left out."""
    return {
        name
        for path in folder.rglob("test_*.py")
        if path != pathlib.Path(__file__)
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }


def named_after(case, name):
    words = re.sub(r"\W+", "_", case.lower())
    return name == f"test_{words}" or name.startswith(f"test_{words}_")


def test_every_case_has_a_name_and_tests_that_exist():
    assert len(CASES) == len(ROWS)
    assert len(ROWS) > 50
    for case, names in CASES.items():
        assert re.fullmatch(r"[A-Za-z][A-Za-z ]+", case), case
        assert names and set(names) <= names_in(TESTS), case


def test_every_test_of_faults_belongs_to_a_case():
    listed = {name for names in CASES.values() for name in names}
    assert names_in(TESTS / "faults") - listed == set()


def test_tests_that_are_named_after_a_case_are_in_its_row():
    for name in names_in(TESTS):
        # The longest name counts: "another network" is one case, "another" none.
        if found := [case for case in CASES if named_after(case, name)]:
            assert name in CASES[max(found, key=len)], name
