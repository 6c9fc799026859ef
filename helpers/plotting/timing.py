"""Variability: power colours, power spectra, and which frequencies there are."""

import numpy as np

from helpers.features import HUE_CENTRE
from helpers.plotting.figures import line_style, steps
from helpers.plotting.observations import LOOKS, drawn_on_logarithms, need, points

#: {state: (from, to)} the hues, in degrees, at which black holes are found in each state: Heil,
#: Uttley & Klein-Wolt 2015, MNRAS 448, 3339.
HUES = {"LHS": (-20, 140), "HIMS": (140, 220), "SIMS": (220, 300), "HSS": (300, 340)}


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
        >>> import matplotlib.pyplot as plt
        >>> import pandas as pd
        >>> table = pd.DataFrame({"pc1": [9.0, 1.0], "pc2": [2.0, 1.0], "state": ["LHS", "HSS"]})
        >>> ax = power_colour_wheel(plt.figure().add_subplot(), table, label="state")
        >>> ax.get_xlabel()
        'PC1: variance 0.25–2 Hz / 1/256–1/32 Hz'
        >>> plt.close(ax.figure)
    """
    need(table, ["pc1", "pc2", label])
    x, y = table.pc1.to_numpy(float), table.pc2.to_numpy(float)
    drawn = drawn_on_logarithms(x, y)
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
        ax.fill(*corner, color=LOOKS[state][0], alpha=0.10, linewidth=0, zorder=0)
        ax.plot(*zip(HUE_CENTRE, at(low, 2 * radius), strict=True), "k:", linewidth=0.8, zorder=1)
        ax.text(*at((low + high) / 2, 0.88 * radius), state, ha="center", va="center")
    points(ax, x, y, table[label])
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
        >>> import matplotlib.pyplot as plt
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
        drawn = drawn_on_logarithms(frequency, values)
        lost = f" ({(~drawn).sum()} of {len(drawn)} bins not above 0)" if not drawn.all() else ""
        steps(
            ax,
            edges,
            np.where(drawn, frequency * values, np.nan),
            None if error is None else np.where(drawn, frequency * error, np.nan),
            color=f"C{number}",
            linestyle=line_style(number),
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
