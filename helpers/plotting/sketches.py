"""Drawings that are no data."""

import numpy as np


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
