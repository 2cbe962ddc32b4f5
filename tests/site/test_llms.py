"""The list of pages for language models."""

import pathlib
import re

DOCS = pathlib.Path(__file__).parents[2] / "docs"


def address(page):
    """Where a page is in the site."""
    path = page.relative_to(DOCS).with_suffix("").as_posix()
    return "index.html" if path == "index" else path.removesuffix("index").rstrip("/") + "/"


def test_every_page_is_listed_and_every_link_leads_to_a_page():
    links = re.findall(r"\]\(([^)]+)\)", (DOCS / "llms.txt").read_text())
    assert sorted(links) == sorted(address(page) for page in DOCS.rglob("*.md"))
