"""What lesson 00 says of statistics and machine learning, with other seeds and a smaller forest."""

import numpy as np
import pytest

from course.checks import lesson_00 as check
from course.lesson_cells import lesson_names


@pytest.mark.quick
def test_a_forest_is_worse_than_the_mean_inside_its_range_and_useless_outside(record_property):
    fewer = {"Regressor(min": "Regressor(15, min", "n_jobs=2": "n_jobs=1", "range(5)": "(100, 101)"}
    estimate = check.estimate.reference()
    cells = "import", "n_bins, test_rates", "answers =", "error ="
    lesson = lesson_names("00", *cells, change=fewer, estimate=estimate)
    forest, mean = lesson.ratio[:, 0], lesson.ratio[:, 2]  # (seed, true rate)
    inside = (lesson.test_rates > 2) & (lesson.test_rates < 9)
    outside = lesson.test_rates > 15
    for where, chosen in (("2-9", inside), ("above 15", outside)):
        name = f"error / Cramér-Rao bound, {where} counts per bin"
        record_property(f"{name}, forest", forest[:, chosen].mean(axis=1))
        record_property(f"{name}, sample mean", mean[:, chosen].mean(axis=1))
    assert np.abs(mean - 1).max() < 0.25
    assert forest[:, inside].min() > 1.1
    assert forest[:, outside].min() > 5
    assert lesson.answers[:, 0, outside].max() < 10, "the largest mean it has seen"
