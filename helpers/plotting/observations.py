"""Tables of observations: what goes with what, and with which label."""

import itertools

import numpy as np

from helpers.plotting.figures import line_style, luminance

# What each label looks like, so that a state looks the same in all figures of the course
LOOKS = {
    "LHS": ("#0072B2", "o"),
    "HIMS": ("#009E73", "^"),
    "SIMS": ("#CC79A7", "s"),
    "HSS": ("#D55E00", "D"),
    "BH": ("#000000", "o"),
    "NS": ("#D55E00", "^"),
}

_MORE_LOOKS = (("C0", "v"), ("C1", "P"), ("C2", "<"), ("C3", "X"), ("C4", ">"), ("C5", "*"))


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
        >>> import matplotlib.pyplot as plt
        >>> import pandas as pd
        >>> table = pd.DataFrame({"rate": [50.0, 80.0, 9.0], "n_det": [1, 2, 3]})
        >>> table = table.assign(hr_soft=[1.1, 0.4, np.nan], state_label=["LHS", "HSS", "LHS"])
        >>> ax = hardness_intensity(plt.figure().add_subplot(), table)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['LHS (1 of 2)', 'HSS (1)']
        >>> plt.close(ax.figure)
    """
    track = [] if outburst is None else ["mjd", "outburst_id"]
    need(table, ["rate", "n_det", colour, label, *track])
    telescopes = table.instrument.unique().tolist() if "instrument" in table else []
    if len(telescopes) > 1:
        raise ValueError(
            f"table holds {' and '.join(map(str, telescopes))}, whose rates and colours do not "
            "compare: draw one telescope at a time."
        )
    x, y = table[colour].to_numpy(float), (table.rate / table.n_det).to_numpy(float)
    ax.set(xscale="log", yscale="log")
    points(ax, x, y, table[label], alpha=1.0 if outburst is None else 0.35)
    if outburst is not None:
        own = (table.outburst_id == outburst).to_numpy()
        if not own.any():
            raise ValueError(f"table has no pointing of outburst {outburst!r}.")
        rows = np.flatnonzero(own & drawn_on_logarithms(x, y))
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
        >>> import matplotlib.pyplot as plt
        >>> import pandas as pd
        >>> table = pd.DataFrame({"gamma": [1.6, 1.7, 2.6], "state": ["LHS", "LHS", "HSS"]})
        >>> table["object"] = ["BH", "NS", "NS"]
        >>> ax = distributions(plt.figure().add_subplot(), table, "gamma", "state", "object")
        >>> [text.get_text() for text in ax.get_yticklabels()]
        ['LHS', 'HSS']
        >>> plt.close(ax.figure)
    """
    need(table, [column, by, halves])
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
        colour = LOOKS.get(label, ("C0", "o"))[0]
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
        >>> import matplotlib.pyplot as plt
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
            dark = luminance(image.cmap(image.norm(value))[:3]) < 0.179
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
        >>> import matplotlib.pyplot as plt
        >>> import pandas as pd
        >>> table = pd.DataFrame({"gamma": [1.6, 2.6], "rms": [0.3, 0.02], "state": ["LHS", "HSS"]})
        >>> axes = plt.figure().subplots(2, 2)
        >>> axes = pair_plot(axes, table, ["gamma", "rms"], "state", "state", logarithmic=["rms"])
        >>> axes[1, 0].get_ylabel(), axes[1, 0].get_yscale()
        ('rms', 'log')
        >>> plt.close(axes[0, 0].figure)
    """
    need(table, [*columns, below, above])
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
                style = {"color": LOOKS.get(label, ("0.3", ""))[0], "linewidth": 1.2}
                style["linestyle"] = line_style(number)
                ax.stairs(counts / max(counts.max(), 1), edges, **style)
            continue
        ax.set(yscale=scale[y], ylim=limits[y])
        if scale[y] == "log":
            ax.yaxis.set_major_formatter("{x:g}")
            ax.minorticks_off()
        label = below if i > j else above
        for name in _in_order(table[label]):
            own = (table[label] == name).to_numpy()
            colour, marker = LOOKS.get(name, ("0.3", "."))
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


def need(table, columns):
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"table lacks {', '.join(missing)}: give the rows of observations.")


def _bands(telescope, colour):
    """What the axes say of a colour's bands, and of the band and the detectors of a rate."""
    # Here, for it brings torch along, which no other figure needs
    from course.archive.observer import INSTRUMENTS

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
    return [name for name in LOOKS if name in names] + sorted(names - set(LOOKS), key=str)


def _with_unit(table, column):
    """What an axis says of a column: its name, and the unit where the table knows it."""
    unit = table.attrs.get("units", {}).get(column, "")
    return f"{column} ({unit})" if unit else column


def drawn_on_logarithms(x, y):
    """(n,) whether a point has a place on two logarithmic axes."""
    with np.errstate(invalid="ignore"):
        return np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)


def points(ax, x, y, labels, alpha=1.0):
    """Points by label, each with its own colour and shape, and how many there are in the legend."""
    drawn = drawn_on_logarithms(x, y)
    names = labels.astype(object).where(labels.notna(), "no label").to_numpy()
    known = [name for name in LOOKS if name in names]
    others = sorted(set(names) - set(known), key=str)
    looks = dict(zip(others, itertools.cycle(_MORE_LOOKS), strict=False)) | LOOKS
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
