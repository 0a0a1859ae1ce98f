"""The pages in a real browser, without a network: what a person sees, and when.

With ANYCAST_SCREENSHOTS=DIRECTORY it leaves its pictures there, to be looked at.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anycast_handlers.decision.facts import State
from anycast_handlers.watch.board import Board
from anycast_handlers.watch.page import open_page

from tests.support.boards import board, endpoint, rich
from tests.support.decisions import night, written
from tests.support.handler import Monitor

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the Debian package chromium")
SIZES = {"wall": (1440, 900), "phone": (390, 844)}
# The page has this long to show a change; a person may wait for a second.
SECOND = 1000.0


class Watched:
    """A page of which a test changes the board."""

    def __init__(self) -> None:
        self.board = board(1, *(endpoint(f"ns{n}") for n in (1, 2, 3)))
        self.page = open_page("127.0.0.1:0", lambda: self.board)
        self.url = f"http://127.0.0.1:{self.page.port}/"

    def change(self, new: Board) -> None:
        self.board = new._replace(version=self.board.version + 1)


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.page.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        # Root may start it without its sandbox only; it sees nothing but the page of this test.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Tab:
    """A tab of the browser that notes what it asks for, and each complaint of the browser."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.view = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.view.on("request", lambda request: self.asked.append(request.url))
        self.view.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.view.on("console", lambda message: self.complaints.append(message.text))
        self.view.goto(url)
        self.view.wait_for_selector(".endpoint")

    def shows_all(self, picture: str) -> None:
        """Fail where something is cut off, or a text does not stand out from what is behind it."""
        if directory := os.environ.get("ANYCAST_SCREENSHOTS"):
            self.view.screenshot(path=Path(directory) / f"{picture}.png", full_page=True)
        contrasts = self.view.evaluate(CONTRASTS)
        widths = self.view.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert widths[0] <= widths[1]
        assert len(contrasts) > 20
        # 4.5 is what WCAG 2 asks of text.
        assert {text: ratio for text, ratio in contrasts if ratio < 4.5} == {}


@pytest.fixture
def tab(browser: Any, watched: Watched) -> Iterator[Tab]:
    tab = Tab(browser, watched.url)
    yield tab
    tab.context.close()


def test_an_endpoint_that_dies_is_seen_within_a_second_without_a_reload(
    watched: Watched, tab: Tab
) -> None:
    tab.view.evaluate("window.mark = 'the same page'")
    assert tab.view.title() == "all OK \u2013 anycast"
    dead = endpoint("ns2", State.CRITICAL, "connection refused, still announced")
    watched.change(board(0, endpoint("ns1"), dead, endpoint("ns3")))

    tab.view.wait_for_selector(".endpoint.CRITICAL", timeout=SECOND)
    assert tab.view.title() == "1 CRITICAL \u2013 anycast"
    assert "connection refused" in tab.view.inner_text(".endpoint.CRITICAL")
    # Problems come first.
    assert tab.view.inner_text(".endpoint >> nth=0").startswith("ns2")
    assert tab.view.evaluate("window.mark") == "the same page"

    watched.change(board(0, *(endpoint(f"ns{n}") for n in (1, 2, 3))))
    tab.view.wait_for_selector(".endpoint.CRITICAL", state="detached", timeout=SECOND)
    assert tab.complaints == []


def test_a_hold_that_cannot_be_read_is_not_shown_as_well(watched: Watched, tab: Tab) -> None:
    watched.change(board(0, endpoint("ns1"), endpoint("ns2")._replace(hold_unknown=True)))
    tab.view.wait_for_selector(".endpoint:not(.well)", timeout=SECOND)
    said = tab.view.inner_text(".endpoint:not(.well)")
    assert said.startswith("ns2"), said
    assert "hold unreadable: counts as held" in said
    assert tab.complaints == []


def test_without_a_routing_daemon_the_routing_says_nothing(watched: Watched, tab: Tab) -> None:
    states = [endpoint(f"ns{n}")._replace(announced=None, site="fra") for n in (1, 2)]
    new = board(0, *states, endpoint("ns3", State.CRITICAL, "refused")._replace(announced=None))
    watched.change(new._replace(vips=(new.vips[0]._replace(routing="none"),)))
    tab.view.wait_for_selector(".endpoint.CRITICAL", timeout=SECOND)
    said = tab.view.inner_text("main")
    assert "3 of 3 announce it, the floor is 1" in said
    assert "routing not known" not in said
    assert "fra 0 of 2" not in said
    assert tab.complaints == []


def test_what_an_endpoint_says_never_becomes_markup(watched: Watched, tab: Tab) -> None:
    watched.change(rich())
    tab.view.wait_for_selector(".endpoint.UNKNOWN", timeout=SECOND)

    assert "<img src=x" in tab.view.inner_text(".endpoint.UNKNOWN")
    assert tab.view.locator("img, script:not([src]), iframe").count() == 0
    assert "hacked" not in tab.view.title()
    assert tab.complaints == []


@pytest.mark.parametrize(
    "code",
    [
        "document.body.innerHTML = '<img src=x>'",
        "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')",
        "eval('1')",
        "new Function('return 1')()",
    ],
)
def test_the_browser_itself_would_refuse_markup_and_code(tab: Tab, code: str) -> None:
    """So a mistake in the page's own code stays harmless."""
    # What the test itself evaluates is not bound by the policy, but what it leaves for later is.
    later = f"try {{ {code}; done('done'); }} catch (error) {{ done('refused'); }}"
    run = f"new Promise((done) => setTimeout(() => {{ {later} }}))"

    assert tab.view.evaluate(run) == "refused"


def test_no_request_leaves_for_anywhere_else(watched: Watched, tab: Tab) -> None:
    watched.change(rich())
    tab.view.wait_for_selector(".endpoint.UNKNOWN", timeout=SECOND)

    assert len(tab.asked) > 4
    assert [url for url in tab.asked if not url.startswith(watched.url)] == []
    refused = "url => fetch(url).then(() => 'answered', () => 'refused')"
    assert tab.view.evaluate(refused, "http://127.0.0.1:9/") == "refused"


def test_a_watcher_that_is_gone_does_not_look_well(watched: Watched, tab: Tab) -> None:
    watched.page.close()

    tab.view.wait_for_selector("body.lost", timeout=10 * SECOND)
    assert "NO CONTACT" in tab.view.inner_text("#contact")


def test_a_watcher_that_hangs_does_not_look_well(browser: Any, watched: Watched) -> None:
    watched.change(watched.board._replace(at=watched.board.at - 3600))
    tab = Tab(browser, watched.url)

    assert "the watcher hangs: nothing new for 60 m" in tab.view.inner_text("#contact")
    tab.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_can_be_read(browser: Any, watched: Watched, size: str, scheme: str) -> None:
    watched.change(rich())
    width, height = SIZES[size]
    tab = Tab(
        browser, watched.url, viewport={"width": width, "height": height}, color_scheme=scheme
    )
    tab.shows_all(f"{size}-{scheme}")
    tab.context.close()


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write the page of `history --html`, and give its address."""
    directory = tmp_path_factory.mktemp("morning")
    monitor = Monitor(directory)
    (directory / "log/decisions.jsonl").write_bytes(written(night()))
    code, said = monitor.run("history", "--html", f"{directory}/page.html", "--since", "12h")
    assert code == 0, said
    return f"file://{directory}/page.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_of_a_night_can_be_read(
    browser: Any, morning: str, size: str, scheme: str
) -> None:
    width, height = SIZES[size]
    tab = Tab(browser, morning, viewport={"width": width, "height": height}, color_scheme=scheme)
    bars = tab.view.locator(".bar svg")
    boxes = [bars.nth(number).bounding_box() for number in range(bars.count())]
    tab.shows_all(f"history-{size}-{scheme}")
    tab.context.close()

    # The lanes have one scale, which takes most of the room.
    assert len(boxes) == 3
    assert len({(box["x"], box["width"]) for box in boxes}) == 1
    assert boxes[0]["width"] > width / 2


def test_the_page_of_a_night_asks_for_nothing_and_runs_nothing(browser: Any, morning: str) -> None:
    tab = Tab(browser, morning)
    assert "<img src=x" in tab.view.inner_text("main")
    assert tab.view.locator("img, script, iframe").count() == 0
    assert "hacked" not in tab.view.title()
    # The browser has taken the style sheet of the page, which its policy names.
    colour = tab.view.evaluate("getComputedStyle(document.querySelector('.span.OK')).fill")
    assert colour != "rgb(0, 0, 0)"
    tab.view.click("details summary >> nth=0")
    assert "/sbin/ifdown lo:0" in tab.view.inner_text("details[open]")
    asked, complaints = tab.asked, tab.complaints
    tab.context.close()

    assert [url for url in asked if url != morning] == []
    assert complaints == []


CONTRASTS = """() => {
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map((one) => one / 255)
            .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const colour = parse(getComputedStyle(one).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const texts = [...document.body.querySelectorAll("*")].filter((one) =>
        [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
    return texts.map((one) => {
        const pair = [light(parse(getComputedStyle(one).color)), light(behind(one))];
        return [one.textContent, (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)];
    });
}"""
