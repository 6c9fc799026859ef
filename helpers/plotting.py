"""Style of the course's figures, and standard plots of X-ray astronomy and inference.

Plot functions take the axes as their first argument, and return them. Colours are safe for
colour-blind readers (Okabe & Ito 2008), and colour is never the only difference. Points that are
missing, or not above zero on a logarithmic axis, are not drawn: legends and notes give the number of
drawn points. Arguments that do not fit, such as a table without a column, give a ValueError.
"""

import base64
import html
import io
import itertools
import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.lines import Line2D
from PIL import Image  # a dependency of matplotlib

# Functions that need seaborn import it themselves: lessons without it, such as the first, start sooner.

__all__ = [
    "Figure", "corner", "coverage", "distributions", "hardness_intensity", "heat_map", "line_style",
    "mark_guess", "pair_plot", "power_colour_wheel", "rank_histograms", "show", "steps",
    "use_course_style",
]  # fmt: skip

# Alternative texts of all lessons; course/build.py collects them here, so that a copied notebook has them, too
_TEXTS = Path(__file__).parent / "alternative_texts.json"

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")

# Colour and marker of each label, which are the same in all figures of the course
_LOOKS = {
    "LHS": ("#0072B2", "o"),
    "HIMS": ("#009E73", "^"),
    "SIMS": ("#CC79A7", "s"),
    "HSS": ("#D55E00", "D"),
    "BH": ("#000000", "o"),
    "NS": ("#D55E00", "^"),
}
_MORE_LOOKS = (("C0", "v"), ("C1", "P"), ("C2", "<"), ("C3", "X"), ("C4", ">"), ("C5", "*"))


class Figure:
    """Rendered figure that keeps its alternative text wherever the notebook is displayed.

    It is shown as HTML: only in this form do JupyterLab and nbconvert keep the text of an image.
    """

    def __init__(self, png, alt):
        self.png, self.alt = png, alt

    def __repr__(self):
        return f"Figure: {self.alt}"

    def _repr_html_(self):
        source = base64.b64encode(self.png).decode()
        text = html.escape(self.alt)
        return f'<img alt="{text}" src="data:image/png;base64,{source}" style="max-width: 100%">'


def use_course_style():
    """Draw all further figures in the style of the course."""
    plt.style.use(Path(__file__).parent / "course.mplstyle")


def show(figure, alt, *, colours=None, **values):
    """Display a figure with its alternative text, and close it.

    Args:
        figure: a matplotlib figure, its axes, or a grid of seaborn.
        alt: one sentence that describes the figure, for readers who cannot see it; or, in the lessons,
            the name of a text in lessons/NN_name.toml, such as "14_gaps".
        colours: None, or a number of colours, 2 to 256: few make a crowded figure three times smaller.
        values: values for the braces in a text of the lessons, such as {rate:.0f}.
    """
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError("show(figure, alt): describe in one sentence what it shows.")
    if re.fullmatch(r"\w+", alt):
        if alt not in (texts := json.loads(_TEXTS.read_text(encoding="utf-8"))):
            raise ValueError(f"No figure of the lessons is called {alt!r}: say what it shows.")
        alt = texts[alt].format(**values)
    figure = getattr(figure, "figure", figure)
    png = io.BytesIO()
    figure.savefig(png, format="png")
    plt.close(figure)
    if colours is not None:
        image = Image.open(png).convert("RGB").quantize(colours, dither=Image.Dither.NONE)
        png = io.BytesIO()
        image.save(png, format="png", optimize=True)
    display(Figure(png.getvalue(), " ".join(alt.split())))


def mark_guess(ax, guess, axis="x"):
    """Mark the reader's guess in a finished plot, by a dashed line or, if outside, an arrow at the edge.

    Limits and legend do not change.

    Args:
        ax: matplotlib axes, with everything else drawn.
        guess: a number, in the unit of the axis, or a short text with one number, such as "about 0.7". `...` draws
            nothing; other values draw nothing and print a message.
        axis: axis of the guess, "x" or "y".

    Example:
        >>> _, ax = plt.subplots()
        >>> _ = ax.set_xlim(0, 1)
        >>> _ = mark_guess(ax, "about 0.7")
        >>> mark_guess(ax, 12).texts[-1].get_text()
        'your guess: 12 →'
        >>> _ = mark_guess(ax, "many")
        Your guess is not marked: write one number, such as 0.7; 'many' holds none.
    """
    if guess is ...:
        return ax
    value = _one_number(guess)
    if value is None:
        print(f"Your guess is not marked: write one number, such as 0.7; {guess!r} holds none.")
        return ax
    limits = getattr(ax, f"get_{axis}lim")()
    at, low, high = getattr(ax, f"{axis}axis").get_transform().transform([value, *limits])
    share = (at - low) / (high - low)  # position along the axis, 0 to 1
    text, x = f"your guess: {value:g}", axis == "x"
    if 0 <= share <= 1:
        (ax.axvline if x else ax.axhline)(value, color="black", linestyle="--", linewidth=1)
    else:
        text += (" ←" if x else " ↓") if share < 0 else (" →" if x else " ↑")
    share, early = min(max(share, 0.01), 0.99), share < 0.5
    left, bottom = early or not x, early or x  # where the text begins
    place, offset = (share, 0.03) if x else (0.02, share), (3 if left else -3, 3 if bottom else -3)
    units = {"xycoords": "axes fraction", "textcoords": "offset points"}
    side = {"ha": "left" if left else "right", "va": "bottom" if bottom else "top"}
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1}
    ax.annotate(text, place, offset, fontsize="small", zorder=6, bbox=box, **units, **side)
    return ax


def _one_number(guess):
    """Return the number in a guess or short text; None if there is none, or more than one."""
    if isinstance(guess, str) and len(guess) <= 40:
        found = _NUMBER.findall(guess.replace("−", "-"))
        guess = float(found[0]) if len(found) == 1 else None
    try:
        value = float("nan" if isinstance(guess, (str, bool)) else guess)
    except (TypeError, ValueError):
        return None
    return value if np.isfinite(value) else None


def line_style(number):
    """Return the line style of a curve by its number: neighbours differ in more than colour."""
    return ("-", "--", "-.", ":")[number % 4]


def steps(ax, edges, values, errors=None, **style):
    """Draw a binned quantity as a histogram line, with error bars at the middle of the bins.

    Args:
        edges: bin edges (n + 1,), in the unit of the x-axis.
        values, errors: (n,), in the unit of the y-axis; errors are one standard deviation, or None.
        style: further arguments of matplotlib's `stairs`.
    """
    edges = np.asarray(edges)
    artist = ax.stairs(_filled(values), edges, **{"baseline": None, "linewidth": 1.2, **style})
    if errors is not None:
        middle = (edges[1:] + edges[:-1]) / 2
        ax.errorbar(middle, values, errors, fmt="none", color=artist.get_edgecolor(), linewidth=0.8)
    return ax


def hardness_intensity(ax, table, *, colour="hr_soft", outburst=None):
    """Draw a hardness-intensity diagram: net rate per detector against a colour, both logarithmic.

    Bands differ between telescopes: write them on the axes.

    Args:
        table: rows of one telescope's table of observations, with `rate` [1/s], `n_det`,
            `state_label`, the colour and, for an outburst, `mjd` and `outburst_id`.
        colour: the column of the x-axis, in Crab units.
        outburst: an `outburst_id`, whose pointings are joined by a line in order of time, or None.

    Example:
        >>> from helpers.data import load_observations
        >>> ax = hardness_intensity(plt.Figure().add_subplot(), load_observations("first"))
        >>> ax.get_legend().get_texts()[0].get_text()
        'LHS (146)'
    """
    _need(table, ["rate", "n_det", colour, "state_label"])
    telescopes = table.instrument.unique() if "instrument" in table else []
    if len(telescopes) > 1:
        raise ValueError(
            f"table holds {' and '.join(map(str, telescopes))}, whose rates and colours cannot "
            "be compared: draw one telescope at a time."
        )
    x, y = table[colour].to_numpy(float), (table.rate / table.n_det).to_numpy(float)
    ax.set(xscale="log", yscale="log")
    _points(ax, x, y, table.state_label, alpha=1.0 if outburst is None else 0.8)
    if outburst is not None:
        _need(table, ["mjd", "outburst_id"])
        own = (table.outburst_id == outburst).to_numpy()
        if not own.any():
            raise ValueError(f"table has no pointing of outburst {outburst!r}.")
        rows = np.flatnonzero(own & _have_logarithms(x, y))
        rows = rows[np.argsort(table.mjd.to_numpy()[rows], kind="stable")]
        _track(ax, x[rows], y[rows], f"{outburst}, in order of time")
    ax.set(xlabel=f"colour {colour} (Crab)", ylabel="net rate per detector (1/s)")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.legend()
    return ax


def distributions(ax, table, column, *, ranges=None, logarithmic=False):
    """Draw the distribution of a feature in each state, black holes above a line, neutron stars below.

    Each distribution is half of a seaborn violin, filled or hatched, and scaled to its own maximum, so
    that small groups are visible. Grey boxes are published ranges.

    Args:
        table: rows of observations, with `state_label`, and `object_label` of one or two kinds.
        column: the feature of the x-axis.
        ranges: {state: (from, to)} in the unit of the column, or None.
        logarithmic: whether the x-axis is logarithmic.

    Example:
        >>> from helpers.data import load_observations
        >>> ax = distributions(plt.Figure().add_subplot(), load_observations("first"), "gamma")
        >>> [text.get_text() for text in ax.texts][:2]
        ['BH 59', 'NS 87']
    """
    import seaborn as sns

    _need(table, [column, "state_label", "object_label"])
    objects, states = _looks(table.object_label), _looks(table.state_label)
    if len(objects) > 2:
        raise ValueError(f"object_label holds {len(objects)} values: a row has two halves.")
    values, scale = table[column].astype(float), np.log10 if logarithmic else np.asarray
    rows = table[np.isfinite(values) & ((values > 0) | (not logarithmic))]
    low, high = rows[column].quantile([0.005, 0.995])
    # Outliers are drawn at the edge, not lost; all rows have the same kernel width.
    rows = rows.assign(**{column: rows[column].clip(low, high)})
    width = (scale(high) - scale(low)) / 60
    if logarithmic:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
    for number, (state, (colour, _)) in enumerate(states.items()):
        if ranges and state in ranges:
            box = {"facecolor": "0.88", "edgecolor": "0.55", "linewidth": 0.6, "zorder": 0}
            ax.fill_between(ranges[state], number - 0.46, number + 0.46, **box)
        ax.axhline(number, color=colour, linewidth=0.6)
        for half, kind in enumerate(objects):
            own = rows[(rows.state_label == state) & (rows.object_label == kind)]
            if len(own):
                spread = np.std(scale(own[column]))
                sns.violinplot(
                    own, x=column, y="state_label", order=list(states), hue="object_label",
                    hue_order=(*objects, "")[:2], split=True, dodge=True, palette=[colour, "white"],
                    linecolor=colour, linewidth=0.9, saturation=1, width=0.88, inner=None, cut=0,
                    density_norm="width", bw_method=width / spread if spread else 1, legend=False, ax=ax,
                    hatch="//////" if half else None, alpha=1 if half else 0.75,
                )  # fmt: skip
            note = {"fontsize": 7.5, "color": "0.3", "va": "center", "ha": "left"}
            place = (1.01, number + (0.2 if half else -0.2))
            ax.text(*place, f"{kind} {len(own)}", transform=ax.get_yaxis_transform(), **note)
    ax.set(ylim=(len(states) - 0.45, -0.55), xlabel=_with_unit(table, column), ylabel="")
    ax.set_yticks(range(len(states)), states)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return ax


def heat_map(ax, matrix, groups=None, *, limits=(-1, 1), fontsize=8):
    """Draw a matrix of numbers as coloured cells with the number in each, and lines between groups.

    It uses seaborn's `heatmap`. The colours range from orange through white, at the middle of the
    limits, to violet, and are light enough for black numbers. The first cell is at (0.5, 0.5).

    Args:
        matrix: a DataFrame (n_rows, n_columns), NaN in cells to leave empty.
        groups: {name: row labels}, in the order of the rows: lines are drawn between the groups of
            rows, and of columns if these have the same labels.
        limits, fontsize: values at the ends of the colour scale, and size of numbers and labels.

    Example:
        >>> import pandas as pd
        >>> matrix = pd.DataFrame([[1.0, -0.5], [-0.5, 1.0]], ["a", "b"], ["a", "b"])
        >>> ax = heat_map(plt.Figure().add_subplot(), matrix)
        >>> [text.get_text() for text in ax.texts]
        ['1', '−.50', '−.50', '1']
    """
    import seaborn as sns

    if groups and [row for rows in groups.values() for row in rows] != list(matrix.index):
        raise ValueError("groups must hold the rows of the matrix, in their order.")

    def word(value):
        text = f"{value:.2f}".replace("-", "−").replace("0.", ".")
        return {"1.00": "1", "−1.00": "−1", ".00": "0", "−.00": "0"}.get(text, text)

    sns.heatmap(
        matrix, vmin=limits[0], vmax=limits[1], annot=matrix.map(word), fmt="", ax=ax, cbar=False,
        cmap=plt.get_cmap("PuOr")(np.linspace(0.2, 0.8, 256)).tolist(),
        annot_kws={"fontsize": fontsize, "color": "black"}, xticklabels=True, yticklabels=True,
    )  # fmt: skip
    ax.tick_params(length=0, labelsize=fontsize + 1)
    ax.tick_params(axis="x", rotation=90)
    ax.tick_params(axis="y", rotation=0)
    ax.set(xlabel="", ylabel="")
    if groups:
        ends = np.cumsum([len(rows) for rows in groups.values()])[:-1]
        ax.hlines(ends, 0, matrix.shape[1], color="black", linewidth=1)
        if list(matrix.columns) == list(matrix.index):
            ax.vlines(ends, 0, matrix.shape[0], color="black", linewidth=1)
    return ax


def pair_plot(table, columns, logarithmic=()):
    """Draw every feature against every other, by state below the diagonal and by object above it.

    The result is seaborn's `PairGrid` of (n, n) axes, which `show` accepts as a figure; the diagonal
    has the distributions by state. Axes show the middle 99.6 per cent.

    Args:
        table: rows of observations, with `state_label` and `object_label`.
        columns: names of n features.
        logarithmic: names of the columns with logarithmic axes.

    Example:
        >>> from helpers.data import load_observations
        >>> grid = pair_plot(load_observations("first"), ["gamma", "rate"], logarithmic=["rate"])
        >>> grid.axes[1, 0].get_ylabel(), grid.axes[1, 0].get_yscale()
        ('rate (1/s)', 'log')
        >>> plt.close(grid.figure)
    """
    import seaborn as sns

    _need(table, [*columns, "state_label", "object_label"])
    # Small states and objects are drawn last: otherwise they would be hidden.
    size = table.groupby(["state_label", "object_label"])[columns[0]].transform("size")
    rows = table.loc[size.sort_values(ascending=False, kind="stable").index]
    with plt.rc_context({"figure.constrained_layout.use": False}):  # seaborn would give a warning
        grid = sns.PairGrid(rows, vars=columns, height=2, diag_sharey=False)
    for name in logarithmic:
        plt.setp(grid.axes[:, columns.index(name)], xscale="log")
        plt.setp(grid.axes[columns.index(name)], yscale="log")
    states, objects = _looks(rows.state_label), _looks(rows.object_label)
    for side, label, looks, draw in (
        ("left", "below the diagonal: state_label", states, grid.map_lower),
        ("right", "above the diagonal: object_label", objects, grid.map_upper),
    ):
        which, style = rows[label.split()[-1]], {"s": 7, "alpha": 0.5, "linewidth": 0}
        colours, markers = ({k: look[i] for k, look in looks.items()} for i in (0, 1))
        style |= {"palette": colours, "markers": markers, "legend": False}
        draw(sns.scatterplot, hue=which, style=which, **style)
        signs = [Line2D([], [], color=c, marker=m, ls="", label=k) for k, (c, m) in looks.items()]
        place = {"loc": f"outside upper {side}", "title": label, "ncols": 4, "handletextpad": 0.1}
        grid.figure.legend(handles=signs, **place)
    style = {"element": "step", "fill": False, "bins": 30, "legend": False, "linewidth": 1.2}
    style["palette"] = {name: colour for name, (colour, _) in states.items()}
    grid.map_diag(sns.histplot, hue=rows.state_label, hue_order=states, **style)
    for ax in grid.diag_axes:
        for number, line in enumerate(reversed(ax.lines)):
            line.set(ydata=line.get_ydata() / line.get_ydata().max(), ls=line_style(number))
        ax.set_ylim(0, 1.1)
    for name, column, row in zip(columns, grid.axes.T, grid.axes, strict=True):
        limits = rows[name][(rows[name] > 0) | (name not in logarithmic)].quantile([0.002, 0.998])
        plt.setp(column, xlim=limits, xlabel=_with_unit(table, name))
        plt.setp(row, ylim=limits, ylabel=_with_unit(table, name))
    grid.figure.set_layout_engine("constrained")
    return grid


def power_colour_wheel(ax, table, sectors, centre):
    """Draw power colours on the wheel of Heil et al.: PC2 against PC1, with the hues of the states.

    The hue, the angle around the centre, increases clockwise through the shaded sectors, LHS to HSS.
    Reference: Heil, Uttley & Klein-Wolt 2015, MNRAS 448, 3339, Section 3.

    Args:
        table: rows of observations, with `pc1`, `pc2` and `state_label`.
        sectors: {state: (from, to)} in degrees, such as `features.HUES`.
        centre: PC1 and PC2 of the point around which the hue is measured, such as `features.HUE_CENTRE`.

    Example:
        >>> import pandas as pd
        >>> table, ax = pd.DataFrame({"pc1": [], "pc2": [], "state_label": []}), plt.Figure().gca()
        >>> power_colour_wheel(ax, table, {"LHS": (-20, 140)}, (4.5, 0.45)).get_xlabel()
        'PC1: variance 0.25–2 Hz / 1/256–1/32 Hz'
    """
    _need(table, ["pc1", "pc2", "state_label"])
    x, y = table.pc1.to_numpy(float), table.pc2.to_numpy(float)
    drawn = _have_logarithms(x, y)
    offsets = [np.log10(v[drawn] / c) for v, c in zip((x, y), centre, strict=True)]
    radius = max([1.6, *(1.05 * np.abs(offset).max() for offset in offsets if len(offset))])

    def at(hue, distance):
        angle = np.radians(135 - np.asarray(hue, dtype=float))
        ends = (distance * np.cos(angle), distance * np.sin(angle))
        return [c * 10**end for c, end in zip(centre, ends, strict=True)]

    ax.set(xscale="log", yscale="log")
    for state, (low, high) in sectors.items():
        rim = at(np.linspace(low, high, 50), 2 * radius)
        corner = ([c, *edge] for c, edge in zip(centre, rim, strict=True))
        ax.fill(*corner, color=_LOOKS[state][0], alpha=0.10, linewidth=0, zorder=0)
        ax.plot(*zip(centre, at(low, 2 * radius), strict=True), "k:", linewidth=0.8, zorder=1)
        ax.text(*at((low + high) / 2, 0.88 * radius), state, ha="center", va="center")
    _points(ax, x, y, table.state_label)
    ax.plot(*centre, "k+", markersize=12, markeredgewidth=1.6, label="centre")
    limits = [(c / 10**radius, c * 10**radius) for c in centre]
    ax.set(xlim=limits[0], ylim=limits[1], aspect="equal")  # so that angles are not distorted
    ax.set(xlabel="PC1: variance 0.25–2 Hz / 1/256–1/32 Hz")
    ax.set(ylabel="PC2: variance 1/32–0.25 Hz / 2–16 Hz")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def corner(axes, samples, names, *, truth=None):
    """Draw samples of one or several posteriors: marginals on the diagonal, pairs below it.

    Contours contain 68 and, thinner, 95 per cent of the samples. They are seaborn's `kdeplot`, whose
    kernel has the covariance of the samples, and extends beyond hard edges. (corner.py smooths along
    the axes: with a correlation of 0.99, its contour of 68 per cent contains 83 per cent.)

    Args:
        axes: (n, n) axes, as from `plt.subplots(n, n)`.
        samples: {label: (n_samples, n)} arrays or tensors, finite, that vary in n dimensions.
        names: n names of the parameters, with their units.
        truth: (n,) true parameters, drawn as thin lines, or None.

    Example:
        >>> samples = {"exact": np.random.default_rng(1).normal(size=(500, 2))}
        >>> axes = corner(plt.Figure().subplots(2, 2), samples, ["photon index", "lg K"])
        >>> axes[1, 0].get_xlabel(), axes[1, 0].get_ylabel()
        ('photon index', 'lg K')
    """
    import seaborn as sns

    n, several = len(names), _arrays(samples)
    for label, values in several.items():
        if values.ndim != 2 or values.shape[1] != n or len(values) <= n:
            raise ValueError(
                f"samples {label} must be (n_samples, {n}), one column for each name and more "
                f"samples than columns, not {values.shape}."
            )
        varies = np.isfinite(values).all() and (values.std(axis=0) > 0).all()
        # Rank of the correlations: covariances depend on units, and can be very small
        if not varies or np.linalg.matrix_rank(np.corrcoef(values.T)) < n:
            raise ValueError(f"samples {label} must be finite, and vary in {n} dimensions.")
    if truth is not None and np.shape(truth) != (n,):
        raise ValueError(f"truth must be of shape ({n},), not {np.shape(truth)}.")
    ends = [np.quantile(values, (0.001, 0.999), axis=0) for values in several.values()]
    low, high = np.min(ends, axis=(0, 1)), np.max(ends, axis=(0, 1))
    limits = np.transpose([low - 0.05 * (high - low), high + 0.05 * (high - low)])

    for (i, j), ax in np.ndenumerate(axes):
        if j > i:
            ax.axis("off")
            continue
        for number, (label, values) in enumerate(several.items()):
            colour, line = f"C{number}", line_style(number)
            if i == j:
                density, edges = np.histogram(values[:, i], 40, limits[i], density=True)
                steps(ax, edges, density, color=colour, linestyle=line, linewidth=1.4, label=label)
            else:
                # Limit samples and points: more would not be visible, but cost time
                some = values[:: -(-len(values) // 2000)]
                contours = {"levels": (0.05, 0.32), "linewidths": (0.8, 1.6), "linestyles": line}
                look = {"color": colour, "gridsize": 60, **contours}
                sns.kdeplot(x=some[:, j], y=some[:, i], ax=ax, **look)
        if truth is not None:
            line = {"color": "black", "linewidth": 0.7}
            ax.axvline(truth[j], label="truth", **line)
            if i != j:
                ax.axhline(truth[i], **line)
        ax.set_xlim(limits[j])
        ax.locator_params(nbins=4)
        ax.tick_params(labelbottom=i == n - 1, labelleft=j == 0 and i > 0)
        ax.set(xlabel=names[j] if i == n - 1 else "", ylabel=names[i] if j == 0 and i > 0 else "")
        if i == j:
            ax.set(yticks=[], ylim=(0, None))
        else:
            ax.set_ylim(limits[i])
    axes[0, 0].figure.align_ylabels(axes[:, 0])
    # Next to the first marginal, where nothing is drawn
    place = {"loc": "upper left", "bbox_to_anchor": (1.05, 1), "borderaxespad": 0}
    axes[0, 0].legend(**place).set_in_layout(False)
    return axes


def rank_histograms(ax, ranks, band):
    """Draw histograms of the ranks of truths among posterior draws, and a band for uniform ranks.

    Too narrow posteriors give a U, too wide ones a hump, biased ones a slope. A bin of uniform ranks
    lies in the grey band with its probability: at 99 per cent, all ten bins do nine times in ten.

    Args:
        ranks: {label: (n,)} from 0 to 1, as from `diagnostics.ranks` for one parameter, or (n,) without
            label. The number of draws plus one should be a multiple of ten, so that bins are equal.
        band: lowest and highest share of the ranks in a bin, as from
            `diagnostics.uniform_band(n, torch.tensor([0.1]))`.

    Example:
        >>> ranks = np.random.default_rng(1).integers(0, 100, 500) / 99
        >>> rank_histograms(plt.Figure().add_subplot(), ranks, (0.07, 0.13)).get_xlabel()
        'rank of the truth'
    """
    several = _shares(ranks)
    ax.axhspan(*(10 * float(bound) for bound in band), color="0.88", linewidth=0)
    ax.axhline(1, color="0.6", linewidth=0.8)
    for number, (label, values) in enumerate(several.items()):
        counts, edges = np.histogram(values, 10, (0, 1))
        height = counts / len(values) * 10
        look = {"linestyle": line_style(number), "color": f"C{number}", "linewidth": 1.4}
        steps(ax, edges, height, **look, label=label)
        # Neighbouring axes may share the y-axis.
        ax.set_ylim(0, max(ax.get_ylim()[1], 1.08 * height.max()))
    ax.set(xlim=(0, 1), xlabel="rank of the truth", ylabel="tests / expected")
    ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    if list(several) != [""]:
        ax.legend()
    return ax


def coverage(ax, shares, band):
    """Draw how often regions of each credibility contain the truth, with a band for calibrated ones.

    Each region just contains the truth; its credibility is the share of draws inside. Above the
    diagonal posteriors are too wide, below it too narrow. At each single credibility, the curve of
    calibrated posteriors lies in the grey band with its probability.

    Args:
        shares: {label: (n,)} from 0 to 1, from `diagnostics.credibility` or `diagnostics.coverage`.
        band: (m,) lower and (m,) upper bounds at credibilities from 0 to 1 in equal steps, as from
            `diagnostics.uniform_band(n, torch.linspace(0, 1, m))`.

    Example:
        >>> shares, band = {"honest": np.linspace(0, 1, 500)}, ([0.0, 0.4, 1.0], [0.0, 0.6, 1.0])
        >>> coverage(plt.Figure().add_subplot(), shares, band).get_ylabel()
        'share of truths inside'
    """
    several = _shares(shares)
    levels = np.linspace(0, 1, len(band[0]))
    ax.fill_between(levels, *band, color="0.88", linewidth=0)
    ax.plot((0, 1), (0, 1), color="0.6", linewidth=0.8)
    for number, (label, values) in enumerate(several.items()):
        held = np.searchsorted(np.sort(values), levels, side="right") / len(values)
        ax.plot(levels, held, line_style(number), color=f"C{number}", label=label)
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set(xlabel="credibility of the region", ylabel="share of truths inside")
    ax.legend()
    return ax


def _need(table, columns):
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"table lacks {', '.join(missing)}: give the rows of observations.")


def _looks(labels):
    """Return {label: (colour, marker)} of the labels that occur, those of the course first."""
    names = set(labels.dropna())
    others = sorted(names - set(_LOOKS), key=str)
    known = {name: look for name, look in _LOOKS.items() if name in names}
    return known | dict(zip(others, itertools.cycle(_MORE_LOOKS), strict=False))


def _with_unit(table, column):
    """Return the axis label of a column: its name, and its unit if the table has it."""
    unit = table.attrs.get("units", {}).get(column, "")
    return f"{column} ({unit})" if unit else column


def _have_logarithms(x, y):
    """Return a mask (n,) of the points that two logarithmic axes can show."""
    return np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)


def _points(ax, x, y, labels, alpha=1.0):
    """Draw points by label, each with its colour and shape, and with its number in the legend."""
    drawn = _have_logarithms(x, y)
    labels = labels.astype(object).where(labels.notna(), "no label")
    for name, (colour, marker) in _looks(labels).items():
        own = (labels == name).to_numpy()
        at = own & drawn
        number, total = at.sum(), own.sum()
        look = {"color": colour, "markerfacecolor": "none", "markersize": 4, "alpha": alpha}
        count = f"{name} ({number})" if number == total else f"{name} ({number} of {total})"
        ax.plot(x[at], y[at], marker, **look, markeredgewidth=0.9, label=count)


def _track(ax, x, y, label):
    """Draw a line through points on logarithmic axes, and five arrows along its running mean, free of noise."""
    ax.plot(x, y, "-", color="0.6", linewidth=0.7, zorder=1, label=label)
    near = np.abs(np.subtract.outer(np.arange(len(x)), np.arange(len(x)))) <= 5
    mean = (near / near.sum(1, keepdims=True)) @ np.log10(np.transpose([x, y]))
    length = np.cumsum(np.hypot(*np.diff(mean, axis=0).T))
    if not len(length) or length[-1] < 1e-9:
        return
    for k in np.unique(np.searchsorted(length, (np.arange(5) + 0.5) / 5 * length[-1])):
        arrow = {"arrowstyle": "-|>", "mutation_scale": 22, "shrinkA": 0, "shrinkB": 0}
        start, end = 10 ** mean[k], 10 ** mean[k + 1]
        ax.annotate("", end, start, arrowprops={**arrow, "color": "black", "linewidth": 1.2})


def _arrays(values):
    """Return {label: array} of {label: array or tensor}, or of a single one without label."""
    several = values if isinstance(values, dict) else {"": values}
    plain = {k: v.detach().cpu() if hasattr(v, "detach") else v for k, v in several.items()}
    return {label: _filled(v) for label, v in plain.items()}


def _filled(values):
    """Return floats, NaN where a value is masked."""
    return np.ma.filled(np.ma.asanyarray(values, float), np.nan)


def _shares(values):
    """Return {label: (n,)} numbers, checked to be from 0 to 1."""
    several = _arrays(values)
    for label, v in several.items():
        if v.ndim != 1 or len(v) == 0 or not ((v >= 0) & (v <= 1)).all():
            name = label or "values"
            raise ValueError(f"{name} must be (n,) numbers from 0 to 1; their shape is {v.shape}.")
    return several
