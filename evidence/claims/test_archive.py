"""What data/README.md says of the simulated archive holds: it keeps the bands of the literature, seed by seed."""

import numpy as np
import pytest

from course.archive import bands
from course.archive.simulate import Archive, simulate_archive
from helpers.data import load_observations, load_truth


@pytest.fixture(scope="module")
def archive():
    """The archive of the course, as its files hold it."""
    return Archive(load_observations("rxte"), load_observations("nicer"), load_truth(), {})


def holds_all_but_those_it_is_said_to_miss(found):
    missed = {band.name for band in found if not band.held}
    return missed == {band.name for band in found} & set(bands.MISSED)


@pytest.mark.quick
def test_the_archive_of_the_course_keeps_the_bands_of_the_literature(archive):
    found = bands.measure_quickly(archive)
    assert holds_all_but_those_it_is_said_to_miss(found), bands.report(found)


def test_black_holes_and_neutron_stars_are_told_apart_as_well_as_in_the_sky(archive):
    found = list(bands.objects(archive.rxte))
    assert holds_all_but_those_it_is_said_to_miss(found), bands.report(found)


def test_the_bands_hold_over_several_seeds(record_property):
    """The mean over three smaller archives lies in each band, within twice its standard error."""
    found = {}
    for seed in (1, 2, 3):
        small = simulate_archive(seed, n_rxte=900, n_nicer=180, n_segments=0, processes=2)
        for band in bands.measure(small):
            found.setdefault(band.name, []).append(band)
    outside = {}
    for name, own in found.items():
        values = np.array([band.value for band in own])
        record_property(name, values)
        error = 2 * values.std(ddof=1) / np.sqrt(len(values))
        if not own[0].low - error <= values.mean() <= own[0].high + error:
            outside[name] = values.round(3).tolist()
    assert not outside, outside
