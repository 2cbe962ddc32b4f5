"""The site, built once, and the browser that opens it."""

import pytest

from tests.site import browsing


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    browsing.build(folder)
    with browsing.serve(folder) as served:
        yield served


# Of the module: while Playwright runs, other tests cannot start a loop of asyncio.
@pytest.fixture(scope="module")
def browser():
    if not browsing.installed():
        pytest.skip(f"no browser is installed; tried {', '.join(browsing.BROWSERS)}")
    with browsing.browse() as opened:
        yield opened
