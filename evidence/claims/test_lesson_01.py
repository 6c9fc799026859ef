"""What lesson 01 says of one source in several telescopes holds for any photon index that it shows."""

import numpy as np
import pytest

from course.checks import lesson_01 as check
from course.lesson_cells import lesson_names


@pytest.mark.quick
def test_the_same_source_has_another_hardness_in_every_telescope(record_property):
    hardness = check.hardness.reference()
    lesson = lesson_names("01", "import", "indices =", hardness=hardness)
    shown = (lesson.indices > 1.3) & (lesson.indices < 3.1)
    seen = np.sort(np.array(list(lesson.seen.values()))[:, shown], axis=0)
    apart = seen[1:] / seen[:-1]
    record_property("largest hardness / smallest, five telescopes", seen[-1] / seen[0])
    record_property("a telescope's hardness / that of the next, least of all", apart.min())
    assert len(seen) == 5
    assert apart.min() > 1.05, "no two alike"
    assert (seen[-1] > 2 * seen[0]).all()
