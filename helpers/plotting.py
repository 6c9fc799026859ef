"""The look of the course's figures, and the plots that the field draws again and again.

Plot functions take the axes they draw on and return them.
"""

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
from scipy import ndimage

from helpers.features import HUE_CENTRE

__all__ = [
    "HUES",
    "Figure",
    "corner",
    "coverage",
    "distributions",
    "draw_over",
    "frequency_ranges",
    "hardness_intensity",
    "heat_map",
    "mark_guess",
    "pair_plot",
    "power_colour_wheel",
    "power_spectra",
    "rank_histograms",
    "show",
    "sketch_box_loop",
    "sketch_outburst",
    "sky",
    "steps",
    "use_course_style",
]

#: {state: (from, to)} the hues, in degrees, at which black holes are found in each state: Heil,
#: Uttley & Klein-Wolt 2015, MNRAS 448, 3339.
HUES = {"LHS": (-20, 140), "HIMS": (140, 220), "SIMS": (220, 300), "HSS": (300, 340)}

_STYLE = Path(__file__).with_name("course.mplstyle")
# What each label looks like, so that a state looks the same in all figures of the course
_LOOKS = {
    "LHS": ("#0072B2", "o"),
    "HIMS": ("#009E73", "^"),
    "SIMS": ("#CC79A7", "s"),
    "HSS": ("#D55E00", "D"),
    "BH": ("#000000", "o"),
    "NS": ("#D55E00", "^"),
}
_MORE_LOOKS = (("C0", "v"), ("C1", "P"), ("C2", "<"), ("C3", "X"), ("C4", ">"), ("C5", "*"))
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


def hardness_intensity(ax, table, label="state_label", *, colour="hr_soft", outburst=None):
    """Draw a hardness-intensity diagram: net rate of one detector over a colour, both logarithmic.

    A pointing whose colour is missing or whose rate is not above zero cannot be drawn; the legend
    tells how many of each label are.

    Args:
        ax: axes to draw on.
        table: rows of one telescope's table of observations, with `rate` [1/s], `n_det`, the
            colour, the label and, for an outburst, `mjd` and `outburst_id`.
        label: the column that decides colour and shape of the points.
        colour: the column of the x-axis, in Crab units.
        outburst: an `outburst_id`, whose pointings are joined in order of time, or None.

    Returns:
        The axes.

    Raises:
        ValueError: if a column is missing, the table mixes telescopes, or it lacks the outburst.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"rate": [50.0, 80.0, 9.0], "n_det": [1, 2, 3]})
        >>> table = table.assign(hr_soft=[1.1, 0.4, np.nan], state_label=["LHS", "HSS", "LHS"])
        >>> ax = hardness_intensity(plt.figure().add_subplot(), table)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['LHS (1 of 2)', 'HSS (1)']
        >>> plt.close(ax.figure)
    """
    track = [] if outburst is None else ["mjd", "outburst_id"]
    _need(table, ["rate", "n_det", colour, label, *track])
    telescopes = table.instrument.unique().tolist() if "instrument" in table else []
    if len(telescopes) > 1:
        raise ValueError(
            f"table holds {' and '.join(map(str, telescopes))}, whose rates and colours do not "
            "compare: draw one telescope at a time."
        )
    x, y = table[colour].to_numpy(float), (table.rate / table.n_det).to_numpy(float)
    ax.set(xscale="log", yscale="log")
    _points(ax, x, y, table[label], alpha=1.0 if outburst is None else 0.35)
    if outburst is not None:
        own = (table.outburst_id == outburst).to_numpy()
        if not own.any():
            raise ValueError(f"table has no pointing of outburst {outburst!r}.")
        rows = np.flatnonzero(own & _drawn(x, y))
        rows = rows[np.argsort(table.mjd.to_numpy()[rows], kind="stable")]
        _track(ax, x[rows], y[rows], f"{outburst}, in order of time")
    what, where = colour, "per detector"
    if telescopes:
        what, where = _bands(telescopes[0], colour)
    ax.set(xlabel=f"colour {what} (Crab)", ylabel=f"net rate {where} (1/s)")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.legend()
    return ax


def distributions(
    ax, table, column, by="state_label", halves="object_label", *, ranges=None, logarithmic=False
):
    """Draw how a feature is distributed under each label, one row per label, in two halves.

    Each row is a histogram whose upper half, filled, is the first value of `halves` (BH) and whose
    lower half, hatched, is the second (NS); each half is scaled to its own maximum, so that the few
    are seen beside the many. A grey box is the published range of a label. Values that are missing,
    or not above zero on a logarithmic axis, cannot be drawn; the numbers on the right tell how many
    of each half are drawn.

    Args:
        ax: axes to draw on.
        table: rows of observations.
        column: the feature of the x-axis.
        by: the column of the labels that make the rows.
        halves: a column of two values or fewer.
        ranges: {label: (from, to)} in the unit of the column, or None.
        logarithmic: whether the x-axis is.

    Returns:
        The axes.

    Raises:
        ValueError: if a column is missing, or `halves` holds more than two values.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"gamma": [1.6, 1.7, 2.6], "state": ["LHS", "LHS", "HSS"]})
        >>> table["object"] = ["BH", "NS", "NS"]
        >>> ax = distributions(plt.figure().add_subplot(), table, "gamma", "state", "object")
        >>> [text.get_text() for text in ax.get_yticklabels()]
        ['LHS', 'HSS']
        >>> plt.close(ax.figure)
    """
    _need(table, [column, by, halves])
    kinds = _in_order(table[halves])
    if len(kinds) > 2:
        raise ValueError(f"{halves} holds {len(kinds)} values: a row has two halves.")
    values = table[column].to_numpy(float)
    drawn = np.isfinite(values) & ((values > 0) | (not logarithmic))
    space = np.geomspace if logarithmic else np.linspace
    low, high = np.quantile(values[drawn], (0.005, 0.995)) if drawn.any() else (1.0, 2.0)
    edges = space(low, high if high > low else low + 1, 36)
    if logarithmic:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
    labels = _in_order(table[by])
    for row, label in enumerate(labels):
        if ranges and label in ranges:
            box = {"facecolor": "0.88", "edgecolor": "0.55", "linewidth": 0.6, "zorder": 0}
            ax.fill_between(ranges[label], row - 0.46, row + 0.46, **box)
        colour = _LOOKS.get(label, ("C0", "o"))[0]
        ax.axhline(row, color=colour, linewidth=0.6)
        for kind, side, style in zip(
            kinds,
            (-1, 1),  # the y-axis runs down
            ({"alpha": 0.75}, {"facecolor": "white", "hatch": "//////", "linewidth": 0.9}),
            strict=False,
        ):
            own = drawn & (table[by] == label).to_numpy() & (table[halves] == kind).to_numpy()
            # What lies beyond the edges is piled up in the outermost bins, not lost.
            counts, _ = np.histogram(values[own].clip(low, high), edges)
            height = row + side * 0.44 * counts / max(counts.max(), 1)
            patch = {"color": colour} if side < 0 else {"edgecolor": colour}
            ax.stairs(height, edges, baseline=row, fill=True, **patch, **style)
            note = {"fontsize": 7.5, "color": "0.3", "va": "center", "ha": "left"}
            at = ax.get_yaxis_transform()
            ax.text(1.01, row + side * 0.2, f"{kind} {own.sum()}", transform=at, **note)
    ax.set(ylim=(len(labels) - 0.45, -0.55), xlabel=_with_unit(table, column))
    ax.set_yticks(range(len(labels)), labels)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return ax


def heat_map(ax, matrix, groups=None, *, limits=(-1, 1), fontsize=8):
    """Draw a matrix of numbers as coloured cells with the number in each, and lines between groups.

    The colours run from orange over white to violet, with white in the middle of the limits.

    Args:
        ax: axes to draw on.
        matrix: a DataFrame (n_rows, n_columns), NaN where there is nothing to tell.
        groups: {name: row labels}, in the order of the rows: lines are drawn between the groups,
            and also between columns where the columns are those of the rows.
        limits: the numbers at the ends of the colours.
        fontsize: of the numbers and labels.

    Returns:
        The axes.

    Raises:
        ValueError: if the groups do not hold the rows of the matrix in their order.

    Example:
        >>> import pandas as pd
        >>> matrix = pd.DataFrame([[1.0, -0.5], [-0.5, 1.0]], ["a", "b"], ["a", "b"])
        >>> ax = heat_map(plt.figure().add_subplot(), matrix)
        >>> [text.get_text() for text in ax.texts]
        ['1', '−.50', '−.50', '1']
        >>> plt.close(ax.figure)
    """
    values, (low, high) = matrix.to_numpy(float), limits
    image = ax.imshow(values, cmap="PuOr", vmin=low, vmax=high, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            word = f"{value:.2f}".replace("-", "−").replace("0.", ".")
            word = {"1.00": "1", "−1.00": "−1", ".00": "0", "−.00": "0"}.get(word, word)
            # Black stands out better from all that is lighter than this (WCAG 2.2, contrast ratio).
            dark = _luminance(image.cmap(image.norm(value))[:3]) < 0.179
            colour = "white" if dark else "black"
            ax.text(j, i, word, ha="center", va="center", color=colour, fontsize=fontsize)
    ax.set_xticks(range(values.shape[1]), matrix.columns, rotation=90, fontsize=fontsize + 1)
    ax.set_yticks(range(values.shape[0]), matrix.index, fontsize=fontsize + 1)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if groups:
        if [label for members in groups.values() for label in members] != list(matrix.index):
            raise ValueError("groups must hold the rows of the matrix, in their order.")
        ends = np.cumsum([len(members) for members in groups.values()])[:-1] - 0.5
        ax.hlines(ends, -0.5, values.shape[1] - 0.5, color="black", linewidth=1)
        if list(matrix.columns) == list(matrix.index):
            ax.vlines(ends, -0.5, values.shape[0] - 0.5, color="black", linewidth=1)
    return ax


def pair_plot(axes, table, columns, below="state_label", above="object_label", logarithmic=()):
    """Draw every feature over every other: below the diagonal by one label, above it by another.

    On the diagonal are histograms by the first label, each scaled to its own maximum. Points that
    lack one of the two values, or its logarithm, are not drawn. Axes show the middle 99 per cent.

    Args:
        axes: (n, n) axes, as `plt.subplots(n, n)` makes them.
        table: rows of observations.
        columns: n features.
        below, above: the columns that decide colour and shape of the points.
        logarithmic: those of the columns whose axes are logarithmic.

    Returns:
        The axes.

    Raises:
        ValueError: if a column is missing, or the axes are not n by n.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"gamma": [1.6, 2.6], "rms": [0.3, 0.02], "state": ["LHS", "HSS"]})
        >>> axes = plt.figure().subplots(2, 2)
        >>> axes = pair_plot(axes, table, ["gamma", "rms"], "state", "state", logarithmic=["rms"])
        >>> axes[1, 0].get_ylabel(), axes[1, 0].get_yscale()
        ('rms', 'log')
        >>> plt.close(axes[0, 0].figure)
    """
    _need(table, [*columns, below, above])
    if np.shape(axes) != (len(columns), len(columns)):
        raise ValueError(f"{len(columns)} columns need {len(columns)} by {len(columns)} axes.")
    scale = {name: "log" if name in logarithmic else "linear" for name in columns}
    data, limits = {}, {}
    for name in columns:
        values = table[name].to_numpy(float)
        data[name] = np.where(values > 0, values, np.nan) if scale[name] == "log" else values
        limits[name] = np.nanquantile(data[name], (0.002, 0.998))
    for (i, j), ax in np.ndenumerate(axes):
        x, y = columns[j], columns[i]
        ax.set(xscale=scale[x], xlim=limits[x])
        ax.tick_params(labelleft=j == 0 and i > 0, labelbottom=i == len(columns) - 1)
        ax.minorticks_off()
        if scale[x] == "log":
            ax.xaxis.set_major_formatter("{x:g}")
        if i == len(columns) - 1:
            ax.set_xlabel(_with_unit(table, x))
        if j == 0:
            ax.set_ylabel(_with_unit(table, y))
        if i == j:
            ax.set(yticks=[], ylim=(0, 1.1))
            space = np.geomspace if scale[x] == "log" else np.linspace
            edges = space(*limits[x], 31)
            for number, label in enumerate(_in_order(table[below])):
                counts, _ = np.histogram(data[x][(table[below] == label).to_numpy()], edges)
                style = {"color": _LOOKS.get(label, ("0.3", ""))[0], "linewidth": 1.2}
                line = _LINE_STYLES[number % len(_LINE_STYLES)]
                ax.stairs(counts / max(counts.max(), 1), edges, linestyle=line, **style)
            continue
        ax.set(yscale=scale[y], ylim=limits[y])
        if scale[y] == "log":
            ax.yaxis.set_major_formatter("{x:g}")
            ax.minorticks_off()
        label = below if i > j else above
        for name in _in_order(table[label]):
            own = (table[label] == name).to_numpy()
            colour, marker = _LOOKS.get(name, ("0.3", "."))
            # The fewer a label has, the further up, or nobody would see them.
            style = {
                "zorder": 3 - own.mean(),
                "markersize": 2.2,
                "markerfacecolor": "none",
                "markeredgewidth": 0.5,
            }
            ax.plot(
                data[x][own], data[y][own], marker, color=colour, alpha=0.5, label=name, **style
            )
    axes[0, -1].tick_params(labelright=True, right=True)  # the first row has no place on the left
    figure, looks = axes[0, 0].figure, {"ncols": 4, "markerscale": 3, "handletextpad": 0.1}
    for ax, side, label in ((axes[-1, 0], "left", below), (axes[0, -1], "right", above)):
        title = f"{'below' if side == 'left' else 'above'} the diagonal: {label}"
        place = {"loc": f"outside upper {side}", "title": title}
        figure.legend(*ax.get_legend_handles_labels(), **place, **looks)
    return axes


def corner(axes, samples, names, *, truth=None, limits=None):
    """Draw samples of one or several posteriors: marginals on the diagonal, pairs below it.

    A contour is the line of equal density that holds 68 or, thinner, 95 per cent of the samples.
    The density is a histogram along the principal axes of the samples, smoothed by n^(-1/6)
    of their spread (Scott's rule); a distribution with a hard edge spills over it by that much.

    Args:
        axes: (n, n) axes, as `plt.subplots(n, n)` makes them.
        samples: {label: (n_samples, n)} arrays or tensors, a look for each of up to seven, or the
            samples of a single one.
        names: n names of the parameters, with their units.
        truth: (n,) what the parameters are, drawn as thin lines, or None.
        limits: n pairs (from, to) of the axes, or None for what holds 99.8 per cent of each label.

    Returns:
        The axes.

    Raises:
        ValueError: if a shape does not fit, or samples are not finite or do not vary.

    Example:
        >>> samples = np.random.default_rng(1).normal((1.7, -1.0), (0.1, 0.05), (500, 2))
        >>> axes = plt.figure().subplots(2, 2)
        >>> axes = corner(axes, {"exact": samples}, ["photon index", "lg K"], truth=(1.7, -1.0))
        >>> axes[1, 0].get_xlabel(), axes[1, 0].get_ylabel()
        ('photon index', 'lg K')
        >>> plt.close(axes[0, 0].figure)
    """
    several = samples if isinstance(samples, dict) else {"": samples}
    several = {
        label: np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, float)
        for label, values in several.items()
    }
    n = len(names)
    for label, values in several.items():
        if values.ndim != 2 or values.shape[1] != n or len(values) <= n:
            raise ValueError(
                f"samples {label} must be (n_samples, {n}), one column for each name and more "
                f"samples than columns, not {values.shape}."
            )
        if not np.isfinite(values).all() or np.linalg.matrix_rank(np.cov(values.T)) < n:
            raise ValueError(f"samples {label} must be finite, and vary in {n} dimensions.")
    for what, wanted, shape in (
        ("axes", axes, (n, n)),
        ("truth", truth, (n,)),
        ("limits", limits, (n, 2)),
    ):
        if wanted is not None and np.shape(wanted) != shape:
            raise ValueError(f"{what} must be of shape {shape}, not {np.shape(wanted)}.")
    if limits is None:
        ends = [np.quantile(values, (0.001, 0.999), axis=0) for values in several.values()]
        low, high = np.min(ends, axis=(0, 1)), np.max(ends, axis=(0, 1))
        limits = np.transpose([low - 0.05 * (high - low), high + 0.05 * (high - low)])

    colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    for (i, j), ax in np.ndenumerate(axes):
        if j > i:
            ax.axis("off")
            continue
        for number, (label, values) in enumerate(several.items()):
            style = {"linestyles": _LINE_STYLES[number % len(_LINE_STYLES)]}
            style["colors"] = colours[number % len(colours)]
            if i == j:
                density, edges = np.histogram(values[:, i], 40, limits[i], density=True)
                line = {"linestyle": style["linestyles"], "color": style["colors"]}
                ax.stairs(density, edges, baseline=None, linewidth=1.4, label=label, **line)
            else:
                x, y, density, levels = _smooth(values[:, [j, i]])
                ax.contour(x, y, density, levels, linewidths=(0.8, 1.6), **style)
        if truth is not None:
            line = {"color": "black", "linewidth": 0.7}
            ax.axvline(truth[j], label="truth", **line)
            if i != j:
                ax.axhline(truth[i], **line)
        ax.set_xlim(limits[j])
        ax.locator_params(nbins=4)
        ax.tick_params(labelbottom=i == n - 1, labelleft=j == 0 and i > 0)
        if i == n - 1:
            ax.set_xlabel(names[j])
        if i == j:
            ax.set(yticks=[], ylim=(0, None))
        else:
            ax.set_ylim(limits[i])
            if j == 0:
                ax.set_ylabel(names[i])
    axes[0, 0].figure.align_ylabels(axes[:, 0])
    if list(several) != [""] or truth is not None:
        # Beside the first marginal, where nothing is drawn; a single one has no such place.
        place = {"loc": "upper left", "bbox_to_anchor": (1.05, 1), "borderaxespad": 0}
        axes[0, 0].legend(**(place if n > 1 else {})).set_in_layout(n == 1)
    return axes


def rank_histograms(ax, ranks, *, n_bins=10, probability=0.99):
    """Draw histograms of the ranks of truths among posterior draws, and where flat ones would lie.

    Of posteriors that are too narrow they are a U, too wide a hump, biased a slope. Each bin of uniform
    ranks lies inside the grey band with the probability given: of ten bins at 99 per cent, one in
    ten times one peeks out.

    Args:
        ax: axes to draw on.
        ranks: {label: (n,)} shares from 0 to 1, as `inference.ranks` gives for one parameter, or those
            of a single one. So that all bins are alike, draws plus one should be a multiple of
            `n_bins`.
        n_bins: how many bins.
        probability: of the band, for the smallest n.

    Returns:
        The axes.

    Raises:
        ValueError: if ranks are not one-dimensional shares from 0 to 1.

    Example:
        >>> ranks = np.random.default_rng(1).integers(0, 100, 500) / 99
        >>> ax = rank_histograms(plt.figure().add_subplot(), ranks)
        >>> ax.get_xlabel()
        'rank of the truth'
        >>> plt.close(ax.figure)
    """
    several = _shares(ranks)
    n = min(map(len, several.values()))
    low, high = _uniform_band(n, [1 / n_bins], probability)
    ax.axhspan(n_bins * low[0], n_bins * high[0], color="0.88", linewidth=0)
    ax.axhline(1, color="0.6", linewidth=0.8)
    edges = np.linspace(0, 1, n_bins + 1)
    for number, (label, values) in enumerate(several.items()):
        counts, _ = np.histogram(values, edges)
        line = _LINE_STYLES[number % len(_LINE_STYLES)]
        style = {"linestyle": line, "color": f"C{number % 7}", "label": label}
        height = counts / len(values) * n_bins
        ax.stairs(height, edges, baseline=None, linewidth=1.4, **style)
        # Axes side by side may share this one.
        ax.set_ylim(0, max(ax.get_ylim()[1], 1.08 * height.max()))
    ax.set(xlim=(0, 1), xlabel="rank of the truth", ylabel="tests / expected")
    ax.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    if list(several) != [""]:
        ax.legend()
    return ax


def coverage(ax, shares, *, probability=0.99):
    """Draw how often regions of each credibility hold the truth, and where honest ones would lie.

    Each region is just large enough for the truth; its credibility is the share of draws inside.
    Above the diagonal posteriors are too wide, below it too narrow. Curves of honest ones lie inside
    the grey band with the probability given at each credibility by itself.

    Args:
        ax: axes to draw on.
        shares: {label: (n,)} from 0 to 1, as `inference.credibility` or `inference.coverage` give,
            or those of a single one.
        probability: of the band, for the smallest n.

    Returns:
        The axes.

    Raises:
        ValueError: if shares are not one-dimensional and from 0 to 1.

    Example:
        >>> shares = np.random.default_rng(1).random(500)
        >>> ax = coverage(plt.figure().add_subplot(), {"honest": shares, "too narrow": shares**0.5})
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['honest', 'too narrow']
        >>> plt.close(ax.figure)
    """
    several = _shares(shares)
    levels = np.linspace(0, 1, 101)
    low, high = _uniform_band(min(map(len, several.values())), levels, probability)
    ax.fill_between(levels, low, high, color="0.88", linewidth=0)
    ax.plot((0, 1), (0, 1), color="0.6", linewidth=0.8)
    for number, (label, values) in enumerate(several.items()):
        held = np.searchsorted(np.sort(values), levels, side="right") / len(values)
        line = _LINE_STYLES[number % len(_LINE_STYLES)]
        ax.plot(levels, held, line, color=f"C{number % 7}", label=label)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set(xlabel="credibility of the region", ylabel="share of truths inside")
    if list(several) != [""]:
        ax.legend()
    return ax


def power_colour_wheel(ax, table, label="state_label"):
    """Draw power colours on the wheel of Heil et al.: PC2 over PC1, with the hues of the states.

    The hue is the angle about the centre, (4.51920, 0.453724), clockwise from the upper left: it
    runs through the shaded sectors from LHS to HSS. A pointing that lacks a power colour cannot be
    drawn; the legend tells how many of each label are.

    Reference: Heil, Uttley & Klein-Wolt 2015, MNRAS 448, 3339, Section 3.

    Args:
        ax: axes to draw on.
        table: rows of observations, with `pc1`, `pc2` and the label.
        label: the column that decides colour and shape of the points.

    Returns:
        The axes.

    Raises:
        ValueError: if a column is missing.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"pc1": [9.0, 1.0], "pc2": [2.0, 1.0], "state": ["LHS", "HSS"]})
        >>> ax = power_colour_wheel(plt.figure().add_subplot(), table, label="state")
        >>> ax.get_xlabel()
        'PC1: variance 0.25–2 Hz / 1/256–1/32 Hz'
        >>> plt.close(ax.figure)
    """
    _need(table, ["pc1", "pc2", label])
    x, y = table.pc1.to_numpy(float), table.pc2.to_numpy(float)
    drawn = _drawn(x, y)
    offsets = [np.log10(v[drawn] / c) for v, c in zip((x, y), HUE_CENTRE, strict=True)]
    radius = max([1.6, *(1.05 * np.abs(offset).max() for offset in offsets if len(offset))])

    def at(hue, distance):
        angle = np.radians(135 - np.asarray(hue, dtype=float))
        ends = (distance * np.cos(angle), distance * np.sin(angle))
        return [c * 10**end for c, end in zip(HUE_CENTRE, ends, strict=True)]

    ax.set(xscale="log", yscale="log")
    for state, (low, high) in HUES.items():
        rim = at(np.linspace(low, high, 50), 2 * radius)
        corner = ([c, *edge] for c, edge in zip(HUE_CENTRE, rim, strict=True))
        ax.fill(*corner, color=_LOOKS[state][0], alpha=0.10, linewidth=0, zorder=0)
        ax.plot(*zip(HUE_CENTRE, at(low, 2 * radius), strict=True), "k:", linewidth=0.8, zorder=1)
        ax.text(*at((low + high) / 2, 0.88 * radius), state, ha="center", va="center")
    _points(ax, x, y, table[label])
    ax.plot(*HUE_CENTRE, "k+", markersize=12, markeredgewidth=1.6, label="centre")
    limits = [(c / 10**radius, c * 10**radius) for c in HUE_CENTRE]
    ax.set(xlim=limits[0], ylim=limits[1], aspect="equal")  # so that angles are what they seem
    ax.set(xlabel="PC1: variance 0.25–2 Hz / 1/256–1/32 Hz")
    ax.set(ylabel="PC2: variance 1/32–0.25 Hz / 2–16 Hz")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def power_spectra(ax, frequency, power, *, errors=None, noise=None):
    """Draw one or several power spectra as frequency times power, f P(f), both axes logarithmic.

    Equal areas under f P(f) over log f are equal variances. Bins that are not above zero, as noise
    subtraction leaves them, have no logarithm; the legend tells how many.

    Args:
        ax: axes to draw on.
        frequency: (n_bins,) middles of the bins, increasing, Hz.
        power: (n_bins,) (rms/mean)²/Hz, or {name: (n_bins,)} for several.
        errors: one standard deviation, of the shape of `power`, or None.
        noise: level of the photon noise, (rms/mean)²/Hz, a number or {name: number}, drawn as a
            thin dotted line, or None.

    Returns:
        The axes.

    Raises:
        ValueError: if frequencies are not above zero and increasing, or a length does not fit.

    Example:
        >>> frequency = np.geomspace(0.01, 64, 50)
        >>> power = {"hard": 0.1 / (1 + frequency**2), "soft": 1e-4 / frequency}
        >>> ax = power_spectra(plt.figure().add_subplot(), frequency, power, noise=1e-4)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['hard', 'soft', 'photon noise']
        >>> plt.close(ax.figure)
    """
    frequency = np.asarray(frequency, dtype=float)
    if frequency.ndim != 1 or len(frequency) < 2:
        raise ValueError("frequency must be one row of two bins or more.")
    if not (frequency[0] > 0 and (np.diff(frequency) > 0).all()):
        raise ValueError("frequency must be above zero and increasing: leave out the zeroth bin.")
    several = {"": power} if not isinstance(power, dict) else power
    errors = {"": errors} if not isinstance(errors, dict) else errors
    levels = {"": noise} if not isinstance(noise, dict) else noise
    for what, named in (("errors", errors), ("noise", levels)):
        if strange := set(named) - {"", *several}:
            raise ValueError(f"{what} names {', '.join(map(str, strange))}, which power does not.")
    middle = np.sqrt(frequency[1:] * frequency[:-1])
    edges = [frequency[0] ** 2 / middle[0], *middle, frequency[-1] ** 2 / middle[-1]]
    ax.set(xscale="log", yscale="log")
    for number, (name, values) in enumerate(several.items()):
        values, error = np.asarray(values, dtype=float), errors.get(name)
        for what in (values, values if error is None else np.asarray(error)):
            if what.shape != frequency.shape:
                raise ValueError(
                    f"power {name} and its errors must be {frequency.shape}, as frequency is, "
                    f"not {what.shape}."
                )
        drawn = _drawn(frequency, values)
        lost = f" ({(~drawn).sum()} of {len(drawn)} bins not above 0)" if not drawn.all() else ""
        steps(
            ax,
            edges,
            np.where(drawn, frequency * values, np.nan),
            None if error is None else np.where(drawn, frequency * error, np.nan),
            color=f"C{number}",
            linestyle=_LINE_STYLES[number % len(_LINE_STYLES)],
            label=f"{name}{lost}".strip() or None,
        )
    for name, level in levels.items():
        if level is not None:
            place = list(several).index(name) if name else None
            style = {"color": "black" if place is None else f"C{place}", "linewidth": 0.8}
            ax.plot(
                frequency, frequency * level, ":", **style, label=f"photon noise {name}".strip()
            )
    ax.set(xlabel="frequency (Hz)", ylabel="frequency × power ((rms/mean)²)")
    if ax.get_legend_handles_labels()[1]:
        ax.legend()
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


def _shares(values):
    """{label: (n,)} numbers from 0 to 1, of several labels or of a single one without a name."""
    several = values if isinstance(values, dict) else {"": values}
    several = {
        label: np.asarray(v.detach().cpu() if hasattr(v, "detach") else v, float)
        for label, v in several.items()
    }
    for label, v in several.items():
        if v.ndim != 1 or len(v) == 0 or not ((v >= 0) & (v <= 1)).all():
            raise ValueError(
                f"{label or 'values'} must be (n,) numbers from 0 to 1, not of shape {v.shape}"
                + (f" and up to {v.max():g}." if v.size else ".")
            )
    return several


def _uniform_band(n, levels, probability):
    # Here, for it brings torch along, which no other figure needs
    import torch

    from helpers.inference import uniform_band

    return [bound.numpy() for bound in uniform_band(n, torch.as_tensor(levels), probability)]


def _need(table, columns):
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"table lacks {', '.join(missing)}: give the rows of observations.")


def _bands(telescope, colour):
    """What the axes say of a colour's bands, and of the band and the detectors of a rate."""
    # Here, for it brings torch along, which no other figure needs
    from helpers.observer import INSTRUMENTS

    if telescope not in INSTRUMENTS or colour not in INSTRUMENTS[telescope].colours:
        return colour, "per detector"
    instrument = INSTRUMENTS[telescope]
    ratio = " / ".join(f"{low:g}–{high:g}" for low, high in instrument.colours[colour])
    low, high = instrument.fit_band
    detector = "PCU" if telescope == "rxte" else "detector"
    return f"{ratio} keV", f"per {detector}, {low:g}–{high:g} keV"


def _in_order(labels):
    """The labels that occur, those of the course first and in its order."""
    names = set(labels.dropna())
    return [name for name in _LOOKS if name in names] + sorted(names - set(_LOOKS), key=str)


def _with_unit(table, column):
    """What an axis says of a column: its name, and the unit where the table knows it."""
    unit = table.attrs.get("units", {}).get(column, "")
    return f"{column} ({unit})" if unit else column


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
    return (type(artist), *shape), width, _luminance(1 - alpha * (1 - np.array(rgb)))


def _luminance(rgb):
    """Relative luminance of a colour, 0 to 1 (IEC 61966-2-1)."""
    rgb = np.asarray(rgb)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


def _drawn(x, y):
    """(n,) whether a point has a place on two logarithmic axes."""
    with np.errstate(invalid="ignore"):
        return np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)


def _points(ax, x, y, labels, alpha=1.0):
    """Points by label, each with its own colour and shape, and how many there are in the legend."""
    drawn = _drawn(x, y)
    names = labels.astype(object).where(labels.notna(), "no label").to_numpy()
    known = [name for name in _LOOKS if name in names]
    others = sorted(set(names) - set(known), key=str)
    looks = dict(zip(others, itertools.cycle(_MORE_LOOKS), strict=False)) | _LOOKS
    for name in known + others:
        own = names == name
        number, total = (own & drawn).sum(), own.sum()
        colour, marker = looks[name]
        ax.plot(
            x[own & drawn],
            y[own & drawn],
            marker,
            color=colour,
            markerfacecolor="none",
            markersize=4,
            markeredgewidth=0.9,
            alpha=alpha,
            label=f"{name} ({number})" if number == total else f"{name} ({number} of {total})",
        )


def _smooth(samples):
    """Positions x, y and density of smoothed samples (n, 2), and its levels that hold 95 and 68 %."""
    # Along the principal axes, a narrow correlation is smoothed no more than a round cloud.
    scale = np.linalg.cholesky(np.cov(samples.T))
    centre = samples.mean(axis=0)
    white = np.linalg.solve(scale, (samples - centre).T).clip(-6, 6)
    edges = np.linspace(-7, 7, 141)
    counts, *_ = np.histogram2d(*white, [edges, edges])
    width = len(samples) ** (-1 / 6) / (edges[1] - edges[0])
    density = ndimage.gaussian_filter(counts, width)
    at = (np.searchsorted(edges, axis) - 1 for axis in white)
    levels = np.quantile(density[tuple(at)], (0.05, 0.32))
    middle = (edges[1:] + edges[:-1]) / 2
    grid = np.stack(np.meshgrid(middle, middle, indexing="ij"))
    x, y = np.tensordot(scale, grid, 1) + centre[:, None, None]
    return x, y, density, levels


def _track(ax, x, y, label, n_arrows=9):
    """A line through points of logarithmic axes, and arrows along its running mean.

    From one pointing to the next, noise turns the line in any direction; its mean keeps the way.
    """
    ax.plot(x, y, "-", color="0.4", linewidth=0.7, label=label)
    near = np.abs(np.subtract.outer(np.arange(len(x)), np.arange(len(x)))) <= 2
    mean = (near / near.sum(1, keepdims=True)) @ np.log10(np.transpose([x, y]))
    length = np.cumsum(np.hypot(*np.diff(mean, axis=0).T))
    if not len(length) or length[-1] < 1e-9:
        return
    wanted = (np.arange(n_arrows) + 0.5) / n_arrows * length[-1]
    for k in np.unique(np.searchsorted(length, wanted)):
        arrow = {"arrowstyle": "-|>", "mutation_scale": 14, "shrinkA": 0, "shrinkB": 0}
        start, end = 10 ** mean[k], 10 ** mean[k + 1]
        ax.annotate("", end, start, arrowprops={**arrow, "color": "black", "linewidth": 1.2})
