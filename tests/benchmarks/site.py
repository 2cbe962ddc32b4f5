"""The site in a browser: sizes of pages, first paint, and the rates of the interactive page."""

import math
import statistics
import tempfile
import time

from tests.site import browsing

ROUNDS, SECONDS = 5, 5
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
DATA = "document.getElementById('play').dataset"


def run():
    """Print what each page loads and when it first shows something: all are served from here."""
    if not browsing.installed():
        print("\nthe site: left out, no browser is installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        browsing.build(folder)
        with browsing.serve(folder) as site, browsing.browse() as browser:
            print("\npage | kB with all it loads | ms to the first contentful paint")
            for name in site.pages():
                size, paint = _page(browser, site, name)
                print(f"{name or 'index'} | {size / 1000:,.0f} | {paint:.0f}", flush=True)
            frames, moved = _rates(browser, site)
            print(f"play: {frames:.0f} frames and {moved:.1f} transports a second while dragging")


def _page(browser, site, name):
    paints = []
    for _ in range(ROUNDS):
        with browsing.Visit(browser, site, name) as visit:
            paints.append(visit.page.evaluate(PAINT))
    return visit.bytes, statistics.median(paints)


def _rates(browser, site):
    """Frames a second, and transports of 1,000 samples by Heun's method in four steps."""
    with browsing.Visit(browser, site, "play/", viewport={"width": 1200, "height": 1100}) as visit:
        visit.page.wait_for_function(f"{DATA}.rate && {DATA}.frames")
        mouse, box = visit.page.mouse, visit.page.locator("[data-play=triangle]").bounding_box()
        mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        mouse.down()
        frames, rates, end, turn = [], [], time.perf_counter() + SECONDS, 0.0
        while time.perf_counter() < end:
            x, y, turn = 0.5 + 0.2 * math.cos(turn), 0.6 + 0.15 * math.sin(turn), turn + 0.05
            mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
            data = visit.page.evaluate(f"({{...{DATA}}})")
            frames.append(float(data["frames"]))
            rates.append(float(data["rate"]))
        mouse.up()
    return statistics.median(frames), statistics.median(rates)
