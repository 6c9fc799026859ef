"""The site as a reader sees it: on a phone and on a desk, in light, dark and print, with nothing fetched elsewhere."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

from conftest import PICTURES, ROOT

SITE = ROOT / "build/site/html"
PAGES = (
    "index.html", "notebooks/06_metrics.html", "notebooks/14_dead_time.html", "docs/glossary.html",
    "api/helpers.dead_time.html",
)  # fmt: skip
SCREENS = {"phone": (390, 844), "desk": (1280, 900)}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Write nothing."""


@pytest.fixture(scope="module")
def address():
    if not (SITE / "index.html").exists():
        pytest.skip("no site here: `make site`")
    with ThreadingHTTPServer(("localhost", 0), partial(Quiet, directory=SITE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture
def page(browser, address):
    """A page that fails the test if it asks another machine, or writes an error into the console."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("requestfailed", lambda request: wrong.append(request.url))
    page.on(
        "request",
        lambda request: request.url.startswith((address, "data:")) or wrong.append(request.url),
    )
    yield page
    context.close()
    assert wrong == []


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_the_screen(page, address, name, scheme, screen):
    width, height = SCREENS[screen]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{address}/{name}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    stem = name.removesuffix(".html").replace("/", "-")
    page.screenshot(path=PICTURES / f"site-{stem}-{screen}-{scheme}.png")


def test_our_solution_opens(page, address):
    page.goto(f"{address}/notebooks/06_metrics.html")
    fold = page.locator("details.above-input").first
    ours = fold.locator(".cell_input")
    expect(ours).to_be_hidden()
    fold.locator("summary").click()
    expect(ours).to_contain_text("# solution:")
    expect(ours).to_be_visible()


def test_a_term_leads_to_its_meaning(page, address):
    page.goto(f"{address}/notebooks/06_metrics.html")
    term = page.locator("a.term").first
    words = term.inner_text().lower()
    term.click()
    page.wait_for_url("**/docs/glossary.html#term-*")
    assert words.startswith(page.locator(":target").inner_text().lower())


def test_the_search_finds_and_keeps_what_is_behind_the_door(page, address):
    page.goto(f"{address}/index.html")
    page.locator("input.sidebar-search").fill("paralyzable")
    page.keyboard.press("Enter")
    results = page.locator("#search-results li a")
    expect(results.first).to_be_visible()
    found = results.evaluate_all("links => links.map(link => link.href)")
    assert any("14_dead_time" in link for link in found)
    assert not any("guide.html" in link for link in found)


def test_formulas_are_drawn_by_the_font_that_comes_along(page, address):
    page.goto(f"{address}/notebooks/06_metrics.html")
    assert (
        page.evaluate("document.fonts.load('16px \"STIX Two Math\"').then(found => found.length)")
        == 1
    )
    block = page.locator("div.math math").first
    assert block.bounding_box()["height"] > 20  # a fraction is higher than a line


def test_printed_it_has_no_navigation(page, address):
    page.goto(f"{address}/notebooks/06_metrics.html")
    page.emulate_media(media="print")
    expect(page.locator(".sidebar-drawer")).to_be_hidden()
    (PICTURES / "site-06-printed.pdf").write_bytes(page.pdf())
