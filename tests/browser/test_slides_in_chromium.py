"""The slides as a room sees them: every slide on every screen, with nothing cut off and nothing fetched."""

import pytest

from conftest import PICTURES, ROOT

DECKS = sorted((ROOT / "slides").glob("*.html"))
SCREENS = {"720": (1280, 720), "1080": (1920, 1080), "4-3": (1024, 768)}
FULL = "[...document.querySelectorAll('[data-overflows]')].map(slide => slide.ariaLabel)"
SMALLEST = """() => {
    const inText = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT)
    let smallest = Infinity
    while (inText.nextNode()) {
        const parent = inText.currentNode.parentElement
        if (!inText.currentNode.data.trim() || parent.closest("math")) continue  // exponents are small
        smallest = Math.min(smallest, parseFloat(getComputedStyle(parent).fontSize))
    }
    return smallest
}"""


@pytest.fixture(params=DECKS or ["none"], ids=lambda path: getattr(path, "stem", path))
def deck(request):
    if request.param == "none":
        pytest.skip("no slides here: `make slides`")
    return request.param


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    yield context.new_page()
    context.close()


def here(page):
    return page.locator("section.here").get_attribute("id")


def test_nothing_is_cut_off_small_or_fetched(page, deck):
    fetched, errors = [], []
    page.on("request", lambda request: fetched.append(request.url))
    page.on("pageerror", lambda error: errors.append(error))
    for name, (width, height) in SCREENS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.goto(deck.as_uri())
        page.wait_for_timeout(100)  # until the last text has shrunk
        assert page.evaluate(FULL) == [], name
        assert page.evaluate(SMALLEST) >= 20 * min(width / 1280, height / 720) - 0.01
        page.screenshot(path=PICTURES / f"slides-{deck.stem}-{name}.png")
    assert {url for url in fetched if not url.startswith("data:")} == {deck.as_uri()}
    assert errors == []


def test_keys_and_addresses_turn_the_slides(page, deck):
    page.goto(deck.as_uri())
    last = page.locator("section").count()
    assert here(page) == "1"
    visible = "[...document.querySelectorAll('section')].filter(s => s.checkVisibility({visibilityProperty: true}))"
    keys = {"PageDown": 2, "ArrowLeft": 1, "ArrowRight": 2, "PageUp": 1, "End": last, "Home": 1}
    for key, number in keys.items():
        page.keyboard.press(key)
        page.wait_for_timeout(20)
        assert here(page) == str(min(number, last))
        assert page.evaluate(f"{visible}.length") == 1
        assert page.evaluate("document.activeElement.id") == here(page)
    page.goto(f"{deck.as_uri()}#{last}")
    assert here(page) == str(last)
    assert (
        page.evaluate("document.querySelectorAll('section :is(h1, h2):first-child').length") == last
    )


def test_printed_it_is_one_slide_a_page(page, deck):
    page.goto(deck.as_uri())
    page.emulate_media(media="print")
    count, boxes = page.evaluate("""() => {
        const slides = [...document.querySelectorAll("section")]
        return [slides.length, slides.map(slide => slide.getBoundingClientRect().height)]
    }""")
    assert boxes == [720] * count
    pdf = page.pdf(prefer_css_page_size=True, print_background=True)
    assert pdf.count(b"/Type /Page\n") == count
