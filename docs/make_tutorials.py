"""Run tutorials and keep the pictures they show: `python -m docs.make_tutorials [NAME …]`."""

import pathlib
import re
import shutil
import sys
import tempfile

from tests.test_documentation import LESSONS, ROOT, execute


def main() -> None:
    """Run those that are named, or all, as the tests run them."""
    for page in LESSONS:
        if page.stem in sys.argv[1:] or not sys.argv[1:]:
            with tempfile.TemporaryDirectory() as folder:
                execute(page, folder)
                for name in re.findall(r"\]\(\.\./assets/([\w.-]+)\)", (ROOT / page).read_text()):
                    if pathlib.Path(folder, name).exists():
                        shutil.copy(pathlib.Path(folder, name), ROOT / "docs" / "assets" / name)


if __name__ == "__main__":
    main()
