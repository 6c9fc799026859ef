"""Find legends whose entries differ by colour alone; only the build of a lesson reports them.

One reader in twenty is colour-blind, and many printers print in grey.
"""

import itertools

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgba_array
from matplotlib.container import Container
from matplotlib.lines import Line2D

from helpers import plotting

__all__ = ["alike_but_for_colour", "watch"]


def watch():
    """Let `plotting.show` refuse, in this process, figures whose legends differ by colour alone."""
    show = plotting.show

    def show_if_told_apart(figure, *arguments, **settings):
        for one, two in alike_but_for_colour(getattr(figure, "figure", figure)):
            raise ValueError(
                f"Colour alone tells {one!r} from {two!r}: give them different line styles, "
                "markers or hatches."
            )
        return show(figure, *arguments, **settings)

    plotting.show = show_if_told_apart


def alike_but_for_colour(figure):
    """Return pairs of labels of a legend that differ in colour, but not in shape, width or brightness.

    It cannot check colours without a legend, such as those of a scale or of a text.
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
            # Equally bright: a contrast below 3, the minimum of WCAG 2.2 (criterion 1.4.11)
            ratio = (max(bright, other[2]) + 0.05) / (min(bright, other[2]) + 0.05)
            thick, thin = max(width, other[1]), min(width, other[1])
            if shape == other[0] and thick <= 2 * thin and ratio < 3:
                pairs.append((one, two))
    return pairs


def _sign(artist):
    """Return the shape of an artist, the width of its line, and its luminance on white."""
    if isinstance(artist, Container):  # error bars, whose points may be missing, or bars
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
    """Return the relative luminance of a colour, 0 to 1 (IEC 61966-2-1)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)
