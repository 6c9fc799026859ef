"""Figures that everybody can read: alternative text, contrast, colours that survive colour blindness."""

import itertools
import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from nbconvert import HTMLExporter

from helpers import plotting

SOLUTIONS = Path(__file__).parents[1] / "solutions"
with plt.rc_context():
    plotting.use_course_style()
    COLOURS = plt.rcParams["axes.prop_cycle"].by_key()["color"]

# Linear RGB as a dichromat sees it: Machado, Oliveira & Fernandes 2009, IEEE TVCG 15, 1291, table 1, severity 1.
EYES = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
# Linear sRGB to CIE XYZ (IEC 61966-2-1); the second row is the luminance.
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


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
    seen = {colour: lab(EYES[eye] @ linear(colour)) for colour in COLOURS}
    for a, b in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[a] - seen[b]) > 15, (a, b)


def test_lines_stand_out_from_the_page():
    # WCAG 2.2, criterion 1.4.11. Orange and light blue miss it, and come into play with a sixth and seventh line only.
    contrasts = [1.05 / (XYZ[1] @ linear(colour) + 0.05) for colour in COLOURS]
    assert min(contrasts[:5]) >= 3


@pytest.mark.parametrize("alt", ["", "  ", None, 3])
def test_alternative_text_is_required(alt):
    figure = plt.figure()
    with pytest.raises(ValueError, match="say in one sentence"):
        plotting.show(figure, alt=alt)
    plt.close(figure)


def test_show_displays_and_closes(capsys):
    _, ax = plt.subplots()
    plotting.show(ax, alt="A rise,\n    then a fall.")
    assert capsys.readouterr().out == "Figure: A rise, then a fall.\n"
    assert not plt.get_fignums()


def test_alternative_text_is_in_the_html():
    figure = plotting.Figure(b"png", 'rate > 3, "hard"')
    assert 'alt="rate &gt; 3, &quot;hard&quot;"' in figure._repr_html_()


@pytest.mark.parametrize("path", sorted(SOLUTIONS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_image_of_a_lesson_has_alternative_text(path):
    body, _ = HTMLExporter().from_notebook_node(nbformat.read(path, as_version=4))
    images = re.findall(r"<img\b[^>]*>", body)
    assert images
    for image in images:
        assert re.search(r'\balt="[^"]{20,}"', image), image[:100]


def test_the_style_is_opted_into():
    with plt.rc_context():
        before = plt.rcParams["figure.figsize"]
        plotting.use_course_style()
        assert plt.rcParams["figure.figsize"] != before


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_mark_guess(ax):
    assert plotting.mark_guess(ax, ...) is ax
    assert not ax.lines
    plotting.mark_guess(ax, 3)
    plotting.mark_guess(ax, 4.5, axis="y")
    assert ax.lines[0].get_xdata() == [3, 3]
    assert ax.lines[1].get_ydata() == [4.5, 4.5]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "your guess: 3",
        "your guess: 4.5",
    ]


def test_steps(ax):
    assert plotting.steps(ax, [0, 1, 3], [5.0, 6.0], errors=[1.0, 2.0], color="red") is ax
    values, edges, _ = ax.patches[0].get_data()
    assert (values.tolist(), edges.tolist()) == ([5, 6], [0, 1, 3])
    bars = ax.collections[0].get_segments()
    assert [bar.tolist() for bar in bars] == [[[0.5, 4], [0.5, 6]], [[2, 4], [2, 8]]]
