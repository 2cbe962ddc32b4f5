"""Build the site, serve it, and open its pages in a browser that is installed."""

import contextlib
import functools
import gzip
import http.server
import os
import pathlib
import shutil
import subprocess
import sys
import threading

from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


def installed():
    """Path of a browser, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def build(folder):
    """Build the site strictly in a folder."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    unset = {"SITE_URL", "READTHEDOCS_CANONICAL_URL", "VERSIONS"}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    shown = subprocess.run(
        command,
        cwd=ROOT,
        env=environment | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr


@functools.cache
def weight(path):
    """Bytes of a file as a host of pages sends it, which compresses text."""
    compressed = path.suffix in {".css", ".html", ".js", ".json", ".svg", ".txt", ".xml"}
    return len(gzip.compress(path.read_bytes())) if compressed else path.stat().st_size


class Site:
    """A site that is served on this machine, and what it was asked for.

    Arguments:
        folder: Where it was built.
        url: Where it is served, with a slash at the end.
    """

    def __init__(self, folder, url):
        self.folder, self.url, self.answers = pathlib.Path(folder), url, []

    def pages(self):
        """Addresses of all pages, relative to `url`."""
        found = (p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*.html"))
        return sorted(page.removesuffix("index.html") for page in found)


@contextlib.contextmanager
def serve(folder):
    """Serve a folder as a `Site`."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, code="-", size="-"):
            path = pathlib.Path(self.translate_path(self.path))
            path = path / "index.html" if path.is_dir() else path
            site.answers.append((self.path, int(code), weight(path) if path.is_file() else 0))

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *given: Handler(*given, directory=str(folder))
    )
    site = Site(folder, f"http://127.0.0.1:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def browse():
    """An installed browser, without windows."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A page in a context of its own, with an empty cache, and what went wrong on it.

    Arguments:
        browser: The browser.
        site: A `Site`.
        page: Address of the page, relative to that of the site.
        options: Those of a context of Playwright, as `color_scheme` and `viewport`.
    """

    def __init__(self, browser, site, page, **options):
        self.site, self.faults = site, []
        self._context = browser.new_context(**options)
        self._context.on("request", self._request)
        self.page = self._context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        site.answers.clear()
        self.page.goto(site.url + page, wait_until="networkidle")
        self.bytes = sum(size for _, _, size in site.answers)
        self.faults += [f"{code}: {path}" for path, code, _ in site.answers if code >= 400]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._context.close()

    def _request(self, request):
        if not request.url.startswith((self.site.url, "data:", "blob:")):
            self.faults.append(f"another host: {request.url}")

    def _console(self, message):
        if message.type == "error":
            self.faults.append(f"console: {message.text}")
