"""Draw a learner's result over the right one."""

import matplotlib.pyplot as plt

from helpers.plotting import show

__all__ = ["draw_over"]


def draw_over(right, yours, *, alt, label="ours", marker=None, **axes):
    """Show a learner's curve, thin, over the right one, thick and grey.

    Args:
        right, yours: pairs of positions (n,) and values (n,).
        alt: description of the figure in words.
        label: label of the right curve.
        marker: marker of single values, if a line between them has no meaning.
        **axes: settings of the axes, such as xlabel, ylabel, xscale.
    """
    figure, ax = plt.subplots(figsize=(6, 2.6))
    ax.plot(*right, color="0.7", linewidth=4, marker=marker, markersize=9, label=label)
    ax.plot(*yours, linewidth=1, marker=marker, markersize=4, label="yours")
    ax.set(**axes)
    ax.legend()
    show(figure, alt=alt)
