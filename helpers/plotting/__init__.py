"""The look of the course's figures, and the plots that the field draws again and again.

Plot functions take the axes they draw on and return them.
"""

from helpers.plotting.figures import Figure, draw_over, mark_guess, show, steps, use_course_style
from helpers.plotting.observations import (
    distributions,
    hardness_intensity,
    heat_map,
    pair_plot,
    sky,
)
from helpers.plotting.posteriors import corner, coverage, rank_histograms
from helpers.plotting.sketches import sketch_box_loop, sketch_outburst
from helpers.plotting.timing import HUES, frequency_ranges, power_colour_wheel, power_spectra

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
