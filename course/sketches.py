"""Drawings without data that one lesson shows."""

import numpy as np

__all__ = ["sketch_outburst"]


def sketch_outburst(ax):
    """Sketch the path of a black-hole outburst in the hardness-intensity diagram, without data."""
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
