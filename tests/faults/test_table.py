"""The table of cases in the documentation names tests that exist, and lacks no case."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "reliability.md"
ROWS = re.findall(r"^\| (\d+) \| .* \| (`test.*) \|$", PAGE.read_text(), re.M)
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
}


def test_every_case_has_tests_that_exist():
    expected = [*range(1, 24), *range(34, 62), *range(63, 66)]
    assert [int(number) for number, _ in ROWS] == expected
    for number, tests in ROWS:
        for name in re.findall(r"`(test_\w+)`", tests):
            assert name in TESTS, (number, name)


def test_tests_that_name_a_case_are_in_its_row():
    told = dict(ROWS)
    for name in TESTS:
        if match := re.match(r"test_rows?_(\d+)_(?:to_|and_)?(\d+)?", name):
            for number in filter(None, match.groups()):
                assert name in told[number], (number, name)
