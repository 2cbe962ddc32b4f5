"""The site in a browser: every page, in both schemes, and what the interactive page does."""

import math
import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.site.browsing import Visit

pytestmark = pytest.mark.slow

LARGEST = 3_000_000
"""Bytes that a page may load, with all that belongs to it."""

PHONE = {"width": 400, "height": 800}

TOLD = "document.querySelector('[data-play=told]').textContent"

RULES = {"runOnly": ["wcag2a", "wcag2aa"], "resultTypes": ["violations"]}


def violations(page):
    """What axe finds against WCAG 2 A and AA: the rule, the element and the reason."""
    for found in Axe().run(page, options=RULES).response["violations"]:
        for node in found["nodes"]:
            reasons = [check["message"] for check in node["any"] + node["all"] + node["none"]]
            yield f"{found['id']}: {node['html'][:120]} ({'; '.join(reasons)[:200]})"


def too_wide(page):
    """By how much a page is wider than a phone."""
    page.set_viewport_size(PHONE)
    width = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
    if width > 0:
        yield f"{width} pixels wider than a phone"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page(browser, site, scheme):
    faults = []
    for name in site.pages():
        with Visit(browser, site, name, color_scheme=scheme) as visit:
            found = [*violations(visit.page), *too_wide(visit.page), *visit.faults]
            if visit.bytes > LARGEST:
                found.append(f"{visit.bytes:,} bytes")
            faults += [f"{name or 'index'}: {fault}" for fault in found]
    assert not faults, "\n".join(faults)


class Play:
    """The interactive page: its parts, and what it tells after each act."""

    def __init__(self, page):
        self.page = page
        self.told = self.part("told")
        self.page.wait_for_function(f"{TOLD}.match(/^\\d+ steps in/)")

    def part(self, name):
        return self.page.locator(f'[data-play="{name}"]')

    def answer(self, act, *given):
        """The steps and the energy distance, or NaN, that are told after an act."""
        self.page.evaluate(f"{TOLD} = ''")
        act(*given)
        self.page.wait_for_function(f"{TOLD}.match(/^\\d+ steps in/)")
        steps, energy = re.match(
            r"(\d+) steps in \d+ ms\.(?: Energy distance to the target: (-?[\d.]+)\.)?$",
            self.told.text_content(),
        ).groups()
        return int(steps), float(energy or "nan")

    def choose(self, name, value):
        return self.answer(self.part(name).select_option, value)

    def steps(self, number):
        return self.answer(self.part("steps").fill, str(number))

    def picture(self):
        """What the plot shows when the samples have come to rest."""
        self.page.wait_for_timeout(2500)
        return self.part("plot").evaluate("plot => plot.toDataURL()")

    def place(self):
        point = self.part("point")
        return float(point.get_attribute("cx")), float(point.get_attribute("cy"))

    def drag(self, name, points):
        """Drag the mouse over a part, through points in shares of its box."""
        box = self.part(name).bounding_box()
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place)
        self.page.mouse.up()


@pytest.fixture
def play(browser, site):
    with Visit(browser, site, "play/", viewport={"width": 1200, "height": 1100}) as visit:
        yield Play(visit.page)
        assert not [*violations(visit.page), *too_wide(visit.page), *visit.faults]


def test_the_point_is_dragged(play):
    before = play.picture()
    _, energy = play.answer(play.drag, "triangle", [(0.5, 0.6), (0.4, 0.7), (0.3, 0.8)])
    assert play.place() == pytest.approx((30, 0.8 * 88), abs=1)
    assert math.isnan(energy)
    assert float(play.part("share-squares").input_value()) > 60
    assert play.picture() != before


def test_sliders_are_moved_by_the_keyboard(play):
    slider, before, place = play.part("share-ring"), play.picture(), play.place()
    value = int(slider.input_value())
    slider.focus()
    for _ in range(5):
        play.answer(play.page.keyboard.press, "ArrowRight")
    assert int(slider.input_value()) == value + 5
    assert play.place()[1] < place[1]
    assert play.picture() != before


def test_samples_come_to_the_target(play):
    play.choose("source", "ring")
    assert play.choose("target", "squares")[1] < 0.05
    assert play.choose("target", "cross")[1] < 0.05


def test_every_choice_counts(play):
    play.choose("source", "ring")
    steps, good = play.choose("target", "squares")
    pictures = [play.picture()]
    for name, value in [("interpolant", "trigonometric"), ("motion", "sde"), ("source", "noise")]:
        assert play.choose(name, value)[1] < 0.1
        pictures.append(play.picture())
    assert len(set(pictures)) == len(pictures)
    play.choose("source", "ring")
    play.choose("motion", "ode")
    for solver in ("midpoint", "rk4", "euler"):
        assert play.choose("solver", solver)[0] == steps
    few, bad = play.steps(2)
    assert few == 2
    assert bad > good


def test_a_drawing_is_moved(play):
    play.choose("target", "squares")
    play.part("source").select_option("drawing")
    assert play.told.text_content().startswith("Draw in the plot")
    circle = [(0.5 + 0.3 * math.cos(t / 8), 0.5 + 0.3 * math.sin(t / 8)) for t in range(51)]
    play.drag("plot", circle)
    drawn = play.picture()
    _, energy = play.choose("target", "cross")
    assert 0 < energy < 0.5
    assert play.picture() != drawn
