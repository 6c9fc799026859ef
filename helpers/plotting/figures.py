"""The style of the course's figures, how they are shown, and what is drawn in any of them."""

import base64
import html
import io
import itertools
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba_array
from matplotlib.container import Container
from matplotlib.lines import Line2D
from PIL import Image  # matplotlib brings it along

_STYLE = Path(__file__).parents[1] / "course.mplstyle"
_LINE_STYLES = ("-", "--", "-.", ":")


class Figure:
    """A rendered figure that carries its alternative text wherever the notebook goes.

    It is shown as HTML: neither JupyterLab nor nbconvert hands on the text of an image in any other form.
    """

    def __init__(self, png, alt):
        self.png, self.alt = png, alt

    def __repr__(self):
        return f"Figure: {self.alt}"

    def _repr_html_(self):
        source = base64.b64encode(self.png).decode()
        return f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{source}" style="max-width: 100%">'


def use_course_style():
    """Draw all further figures in the style of the course."""
    plt.style.use(_STYLE)


def show(figure, alt, *, colours=None):
    """Display a figure with its alternative text, and close it.

    It warns of curves and points that only their colour tells apart in a legend: one reader in
    twenty is colour-blind, and printers are grey.

    Args:
        figure: a matplotlib figure, or axes of it.
        alt: one sentence that tells what is to be seen, for readers who cannot see it.
        colours: keep so many colours, 2 to 256, which makes a crowded figure three times smaller,
            or None for all.

    Raises:
        ValueError: if the text is missing.
    """
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(
            "show(figure, alt): say in one sentence what is to be seen in this figure."
        )
    figure = getattr(figure, "figure", figure)
    for pair in _alike_but_for_colour(figure):
        warnings.warn(
            f"Colour alone tells {' from '.join(map(repr, pair))}: give them different line styles, "
            "markers or hatches.",
            stacklevel=2,
        )
    png = io.BytesIO()
    figure.savefig(png, format="png")
    plt.close(figure)
    if colours is not None:
        image = Image.open(png).convert("RGB").quantize(colours, dither=Image.Dither.NONE)
        png = io.BytesIO()
        image.save(png, format="png", optimize=True)
    display(Figure(png.getvalue(), " ".join(alt.split())))


def draw_over(right, yours, *, label, alt, **axes):
    """Show a learner's curve thin over the right one, which is thick and grey.

    Args:
        right, yours: pairs of positions (n,) and values (n,).
        label: whose the right curve is.
        alt: what is to be seen, in words.
        **axes: settings of the axes, such as xlabel, ylabel, xscale.
    """
    figure, ax = plt.subplots(figsize=(6, 2.6))
    ax.plot(*right, color="0.7", linewidth=4, label=label)
    ax.plot(*yours, linewidth=1, label="yours")
    ax.set(**axes)
    ax.legend()
    show(figure, alt=alt)


def mark_guess(ax, guess, axis="x"):
    """Draw the reader's guess as a dashed line across the axes; draw nothing unless it is a number."""
    if isinstance(guess, (int, float)):
        line = ax.axvline if axis == "x" else ax.axhline
        line(
            float(guess), color="black", linestyle="--", linewidth=1, label=f"your guess: {guess:g}"
        )
        ax.legend()
    return ax


def line_style(number):
    """The style of the curve of this number, so that not colour alone tells neighbours apart."""
    return _LINE_STYLES[number % len(_LINE_STYLES)]


def steps(ax, edges, values, errors=None, **style):
    """Draw a binned quantity as a histogram line, with error bars at the middle of the bins.

    Args:
        ax: axes to draw on.
        edges: bin edges (n + 1,), in the unit of the x-axis.
        values: (n,), in the unit of the y-axis.
        errors: (n,), one standard deviation, or None.
        style: handed to matplotlib's `stairs`.
    """
    edges = np.asarray(edges)
    artist = ax.stairs(values, edges, **{"baseline": None, "linewidth": 1.2, **style})
    if errors is not None:
        middle = (edges[1:] + edges[:-1]) / 2
        ax.errorbar(middle, values, errors, fmt="none", color=artist.get_edgecolor(), linewidth=0.8)
    return ax


def _alike_but_for_colour(figure):
    """Pairs of labels of a legend whose signs differ in colour, not in shape, width or brightness.

    It cannot see what no legend explains: the colours of a scale, or those that a text names.
    """
    pairs = []
    for ax in figure.axes:
        if ax.get_legend() is None and not figure.legends:
            continue
        signs = [
            (*_sign(artist), label)
            for artist, label in zip(*ax.get_legend_handles_labels(), strict=True)
        ]
        for (shape, width, bright, one), (*other, two) in itertools.combinations(signs, 2):
            # As bright: below the contrast of 3 that WCAG 2.2 asks for (criterion 1.4.11)
            ratio = (max(bright, other[2]) + 0.05) / (min(bright, other[2]) + 0.05)
            thick, thin = max(width, other[1]), min(width, other[1])
            if shape == other[0] and thick <= 2 * thin and ratio < 3:
                pairs.append((one, two))
    return pairs


def _sign(artist):
    """The shape by which an artist is known, the width of its line, and its luminance on white."""
    if isinstance(artist, Container):  # of error bars, whose points may be missing, or of bars
        artist = artist[0] if artist[0] is not None else artist[2][0]
    if isinstance(artist, Line2D):
        shape, width = (artist.get_linestyle(), artist.get_marker()), artist.get_linewidth()
        colour = artist.get_color()
        if artist.get_linestyle() == "None":
            shape += (str(artist.get_markerfacecolor()) == "none",)
            width, colour = artist.get_markersize(), artist.get_markeredgecolor()
    else:
        face, edge = to_rgba_array(artist.get_facecolor()), to_rgba_array(artist.get_edgecolor())
        filled = len(face) > 0 and face[0, 3] > 0
        shape = (str(artist.get_linestyle()), artist.get_hatch(), filled)
        if isinstance(artist, PathCollection):  # points, which have a marker
            shape += (artist.get_paths()[0].vertices.tobytes(),)
        width, colour = np.ravel(artist.get_linewidth())[0], face if filled else edge
    *rgb, alpha = to_rgba_array(colour)[0]
    return (type(artist), *shape), width, luminance(1 - alpha * (1 - np.array(rgb)))


def luminance(rgb):
    """Relative luminance of a colour, 0 to 1 (IEC 61966-2-1)."""
    rgb = np.asarray(rgb)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)
