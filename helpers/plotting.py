"""The look of the course's figures, and the plots that the field draws again and again.

Plot functions take the axes they draw on and return them.
"""

import base64
import html
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

__all__ = [
    "Figure",
    "frequency_ranges",
    "mark_guess",
    "show",
    "sketch_box_loop",
    "sketch_outburst",
    "sky",
    "steps",
    "use_course_style",
]

_STYLE = Path(__file__).with_name("course.mplstyle")


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


def show(figure, alt):
    """Display a figure with its alternative text, and close it.

    Args:
        figure: a matplotlib figure, or axes of it.
        alt: one sentence that tells what is to be seen, for readers who cannot see it.

    Raises:
        ValueError: if the text is missing.
    """
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(
            "show(figure, alt): say in one sentence what is to be seen in this figure."
        )
    figure = getattr(figure, "figure", figure)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    plt.close(figure)
    display(Figure(png.getvalue(), " ".join(alt.split())))


def mark_guess(ax, guess, axis="x"):
    """Draw the reader's guess as a dashed line across the axes; draw nothing unless it is a number."""
    if isinstance(guess, (int, float)):
        line = ax.axvline if axis == "x" else ax.axhline
        line(
            float(guess), color="black", linestyle="--", linewidth=1, label=f"your guess: {guess:g}"
        )
        ax.legend()
    return ax


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


def frequency_ranges(ax, ranges, wanted):
    """Draw which frequencies [Hz] observations resolve, as bars, under the bands that are wanted.

    Args:
        ax: axes to draw on.
        ranges: {observation: (lowest, highest)}.
        wanted: {name: (lowest, highest)}, one line style for each of up to three.
    """
    low, high = np.transpose(list(ranges.values()))
    ax.hlines(range(len(ranges)), low, high, linewidth=6)
    for number, (name, band) in enumerate(wanted.items()):
        row, line = -0.7 - 0.4 * number, ("-", "--", ":")[number]
        ax.plot(band, (row, row), line, color="black", marker="|", label=name)
        ax.vlines(band, row, len(ranges), colors="black", linestyles=line, linewidth=0.5)
    ax.set(xscale="log", xlabel="frequency (Hz)", ylim=(-1.6, len(ranges) - 0.4))
    ax.set_yticks(range(len(ranges)), ranges)
    ax.legend(loc="upper right")
    return ax


def sky(ax, x, y, pixel, radius):
    """Draw where photons fell, in arcsec from their median position, out to a radius.

    Args:
        ax: axes to draw on.
        x, y: (n_events,) positions, in pixels.
        pixel: size of a pixel, arcsec.
        radius: arcsec.
    """
    x, y = (pixel * (position - np.median(position)) for position in (x, y))
    near = np.hypot(x, y) < radius
    ax.plot(x[near], y[near], ".", markersize=1.5)
    ax.set(aspect="equal", xlabel="offset (arcsec)", ylabel="offset (arcsec)")
    return ax


def sketch_box_loop(ax):
    """Sketch the loop named after George Box, build, infer, criticise, revise, with its one exit."""
    places = {"build": (0, 1), "infer": (1, 0), "criticise": (0, -1), "revise": (-1, 0)}
    ends = [places[name] for name in ("infer", "criticise", "revise", "build")]
    for (name, start), end in zip(places.items(), ends, strict=True):
        curve = {"connectionstyle": "arc3,rad=-0.35", "shrinkA": 34, "shrinkB": 34}
        ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", **curve})
        ax.text(*start, name, ha="center", va="center", fontsize=13, weight="bold")
    ax.text(0, 0, "data", ha="center", va="center", fontsize=13)
    ax.annotate("", (1.5, -1), (0.5, -1), arrowprops={"arrowstyle": "-|>"})
    ax.text(1.6, -1, "the paper", va="center", fontsize=13)
    ax.set(xlim=(-1.6, 2.6), ylim=(-1.4, 1.4))
    ax.axis("off")
    return ax


def sketch_outburst(ax):
    """Sketch the path of a black-hole outburst in the hardness-intensity diagram. It is no data."""
    angle = np.linspace(-0.9, 2 * np.pi - 0.9, 200)
    hardness = 0.5 + 0.4 * np.sign(np.cos(angle)) * np.sqrt(np.abs(np.cos(angle)))
    luminosity = 10 ** (0.62 * np.sin(angle) - 0.7)
    ax.plot(hardness, luminosity)
    for at in (25, 60, 100, 140, 175):
        arrow = {"arrowstyle": "-|>", "color": ax.lines[-1].get_color(), "mutation_scale": 18}
        end, start = ((hardness[i], luminosity[i]) for i in (at + 1, at))
        ax.annotate("", end, start, arrowprops=arrow)
    for x, y, text in (
        (0.72, 0.2, "hard\nrms tens of per cent"),
        (0.27, 0.2, "soft\nrms a few per cent"),
        (0.5, 1.15, "intermediate, for days, at high luminosity"),
        (0.5, 0.033, "back, at low luminosity"),
    ):
        ax.text(x, y, text, ha="center", va="center")
    ax.set(yscale="log", xlim=(0, 1), ylim=(0.02, 2), xticks=[])
    ax.set(xlabel="hardness: hard / soft counts  →", ylabel="luminosity (arbitrary units)")
    ax.set_title("A sketch, not data: the path of an outburst")
    return ax
