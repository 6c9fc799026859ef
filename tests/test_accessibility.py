"""Notebooks that everybody can read: with a screen reader, without a mouse, and without telling red from green.

The rules are those of the Web Content Accessibility Guidelines (WCAG 2.2), as far as a test can see them.
"""

import itertools
import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from matplotlib.colors import to_rgb

from course.legends import alike_but_for_colour
from helpers import plotting

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("solutions/*.ipynb")))
MARKDOWN = MarkdownIt("commonmark").enable("table")
SAYS_NOTHING = {
    *("click", "here", "link", "more", "page", "paper", "read", "see", "site", "this", "web"),
}
HUES = "blue|orange|red|green|pink|purple|violet|yellow|cyan|magenta|brown|vermilion|turquoise"
SHAPES = "circles|crosses|dashes|diamonds|dots|squares|stars|triangles"

with plt.rc_context():
    plotting.use_course_style()
    COLOURS = plt.rcParams["axes.prop_cycle"].by_key()["color"]

# Linear RGB as a dichromat sees it: Machado, Oliveira & Fernandes 2009, IEEE TVCG 15, 1291, table 1, severity 1.
EYES = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# Linear sRGB to CIE XYZ (IEC 61966-2-1); the second row is the luminance.
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


@pytest.fixture(
    scope="module", params=NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def notebook(request):
    """A built notebook, less the pixels of its figures, which only cost time."""
    text = re.sub(r"base64,[^\\\"]+", "base64,", request.param.read_text(encoding="utf-8"))
    return nbformat.reads(text, as_version=4)


@pytest.fixture(scope="module")
def prose(notebook):
    """The text as JupyterLab renders it: all Markdown cells in one page."""
    cells = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return BeautifulSoup("\n".join(map(MARKDOWN.render, cells)), "html.parser")


@pytest.fixture(scope="module")
def outputs(notebook):
    """All that cells display, each as {media type: content}."""
    shown = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return [output["data"] for output in shown if "data" in output]


@pytest.fixture(scope="module")
def shown(outputs):
    """All that cells display as HTML, in one page."""
    page = "\n".join(data.get("text/html", "") for data in outputs)
    return BeautifulSoup(page, "html.parser")


def test_headings_have_one_title_and_skip_no_level(prose):
    levels = [int(heading.name[1]) for heading in prose.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_the_first_things_read_are_the_title_and_where_we_are(prose):
    title, after = prose.find_all(True, recursive=False)[:2]
    assert title.name == "h1"
    if re.match(r"\d", title.text):  # a lesson on the strip of steps
        assert after.name == "blockquote"
        assert f"here: {title.text.split(' · ')[1]}" in after.text


def test_images_say_what_is_to_be_seen(prose, shown, outputs):
    texts = [image.get("alt", "") for image in (*prose.find_all("img"), *shown.find_all("img"))]
    for text in texts:
        assert len(text) >= 40, text
        assert not re.search(r"\.(png|jpe?g|svg|gif|pdf)\b", text), text
    assert len(texts) == len(set(texts)), "two images with the same text"
    bare = [kind for data in outputs for kind in data if kind.startswith("image/")]
    assert not bare, "show figures with plotting.show(figure, alt)"


def test_links_say_where_they_lead(prose):
    targets = {}
    for link in prose.find_all("a"):
        words = re.findall(r"[a-z]+", link.text.lower())
        assert not set(words) <= SAYS_NOTHING, link
        assert "://" not in link.text, link
        assert targets.setdefault(link.text, link["href"]) == link["href"], link


def test_tables_name_their_columns(prose, shown):
    for table in (*prose.find_all("table"), *shown.find_all("table")):
        # The corner above the names of rows may be empty; Markdown does not tell which columns those are.
        names = max(1, *(len(row.find_all("th")) for row in table.tbody.find_all("tr")))
        columns = zip(*map(spread, table.thead.find_all("tr")), strict=True)
        assert all(map(any, list(columns)[names:])), table.thead


def spread(row):
    """The texts of a row of a table, those of wide cells repeated."""
    return [cell.text for cell in row.find_all("th") for _ in range(int(cell.get("colspan", 1)))]


def test_nothing_stands_in_the_way_of_the_keyboard(prose, shown):
    for element in (*prose.find_all(True), *shown.find_all(True)):
        assert element.name not in ("script", "iframe", "blink", "marquee"), element
        asked = {name for name in element.attrs if name.startswith("on")}
        assert not asked | ({"tabindex", "accesskey", "autofocus"} & set(element.attrs)), element


def test_no_text_needs_the_colour_of_a_figure(prose, shown):
    texts = [prose.text, *(image["alt"] for image in shown.find_all("img"))]
    for text in texts:
        # "the orange diamonds" are found by their shape; "red noise" is a name
        found = re.search(rf"\b({HUES})\b(?! (noise|giant|{SHAPES})\b)", text, re.I)
        assert not found, text[max(0, found.start() - 60) : found.end() + 60]


def test_output_is_not_coloured(shown):
    """Tables that only shading explains; the verdicts of checks have a sign and a word, and a coloured edge."""
    for element in shown.find_all(style=True):
        assert not re.search(r"(?<!-)\b(background|color)\b", element["style"]), element


def linear(colour):
    """Linear RGB of a colour (IEC 61966-2-1)."""
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE L*a*b* of linear RGB against white."""
    x, y, z = np.cbrt(XYZ @ np.clip(rgb, 0, 1) / XYZ.sum(axis=1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eye", EYES)
def test_no_two_colours_of_lines_look_the_same(eye):
    # A difference of 2.3 is just noticeable with two large patches side by side; thin lines need several times that.
    seen = {colour: lab(np.array(EYES[eye]) @ linear(colour)) for colour in COLOURS}
    for a, b in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[a] - seen[b]) > 15, (a, b)


def test_lines_stand_out_from_the_page():
    # WCAG 2.2, criterion 1.4.11
    assert all(1.05 / (XYZ[1] @ linear(colour) + 0.05) >= 3 for colour in COLOURS)


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


@pytest.mark.parametrize("eye", EYES)
def test_the_numbers_of_a_heat_map_can_be_read(ax, eye):
    matrix = pd.DataFrame([np.linspace(-1, 1, 41)])
    plotting.heat_map(ax, matrix)
    colours = ax.collections[0].get_facecolors()[:, :3]
    for colour, text in zip(colours, ax.texts, strict=True):
        cell, ink = (XYZ[1] @ np.array(EYES[eye]) @ linear(c) for c in (colour, text.get_color()))
        contrast = (max(cell, ink) + 0.05) / (min(cell, ink) + 0.05)
        # WCAG 2.2, criteria 1.4.3 for small text, and 1.4.11, the least that is allowed at all
        assert contrast > (4.5 if eye == "all cones" else 3), (text.get_text(), contrast)


ALIKE = {
    "lines": lambda ax: [ax.plot([1, 2], label=label) for label in "ab"],
    "points": lambda ax: [ax.plot([1, 2], "o", label=label) for label in "ab"],
    "clouds": lambda ax: [ax.scatter([1, 2], [1, 2], label=label) for label in "ab"],
    "steps": lambda ax: [
        plotting.steps(ax, [0, 1, 2], [1, 2], color=c, label=c) for c in ("C0", "C1")
    ],
    "bars": lambda ax: [ax.bar([1], [1], label=c, color=c) for c in ("C0", "C1")],
    "errors": lambda ax: [ax.errorbar([1], [1], [1], fmt="o", label=label) for label in "ab"],
    "error bars": lambda ax: [ax.errorbar([1], [1], [1], fmt="none", label=x) for x in "ab"],
    "areas": lambda ax: [ax.fill_between([1, 2], [1, 2], label=label) for label in "ab"],
    "strokes": lambda ax: [ax.vlines([1], 0, 1, c, label=c) for c in ("C0", "C1")],
}
TOLD_APART = {
    "line style": lambda ax: [ax.plot([1, 2], look, label=look) for look in ("C0-", "C1--")],
    "marker": lambda ax: [ax.plot([1, 2], look, label=look) for look in ("C0o", "C1^")],
    "marker of a cloud": lambda ax: [ax.scatter([1], [1], marker=m, label=m) for m in "o^"],
    "hollow or full": lambda ax: [ax.plot([1], "o", mfc=c, label=c) for c in ("none", "C1")],
    "width": lambda ax: [ax.plot([1, 2], linewidth=width, label=width) for width in (1, 4)],
    "brightness": lambda ax: [ax.plot([1, 2], color=c, label=c) for c in ("black", "0.7")],
    "hatch": lambda ax: [ax.bar([1], [1], hatch=h, label=str(h)) for h in (None, "//")],
    "no legend": lambda ax: [ax.plot([1, 2]) for _ in "ab"],
}


@pytest.mark.parametrize("name", [*ALIKE, *TOLD_APART])
def test_legends_where_only_colour_tells_two_things_apart_are_found(ax, name):
    {**ALIKE, **TOLD_APART}[name](ax)
    if ax.get_legend_handles_labels()[1]:
        ax.legend()
    found = alike_but_for_colour(ax.figure)
    assert found in ([("a", "b")], [("C0", "C1")]) if name in ALIKE else not found
