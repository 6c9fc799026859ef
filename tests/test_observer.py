"""What an observer measures from counts, real or not, and what is refused. (tests/test_pointings.py: is it right?)"""

import numpy as np
import pytest

from course.archive.observer import INSTRUMENTS, spectral_features
from helpers.data import load_spectrum

RXTE = INSTRUMENTS["rxte"]


def given(**changes):
    """Two pointings with a hundred counts in every channel."""
    counts = np.full((2, 129), 100.0)
    return {
        "counts": counts,
        "background": counts / 10,
        "exposure": [1000.0, 2000.0],
        "area": [1.0, 3.0],
        "n_h": 0.5,
    } | changes


def test_a_pointing_is_measured_as_if_it_were_alone():
    both = spectral_features(RXTE, **given())
    for row in (0, 1):
        one = {k: v if k == "n_h" else v[row : row + 1] for k, v in given().items()}
        alone = spectral_features(RXTE, **one)
        np.testing.assert_allclose(alone.iloc[0], both.iloc[row], rtol=1e-6)


def test_the_rate_of_a_real_observation_is_its_counts_over_its_exposure():
    spectrum = load_spectrum("nicer_maxi_j1820")
    counts = np.asarray(spectrum.counts)[None]
    nicer = INSTRUMENTS["nicer"]
    found = spectral_features(nicer, counts, 0 * counts, [spectrum.exposure], [50 / 52], 0.15)
    inside = (spectrum.energy_lo + spectrum.energy_hi) / 2
    inside = (inside >= 0.5) & (inside < 10)
    expected = np.asarray(spectrum.counts)[inside].sum() / spectrum.exposure
    assert found.rate[0] == pytest.approx(expected)
    assert found.bkg_frac[0] == 0


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"counts": np.ones((2, 128))}, r"counts has shape \(2, 128\), not \(2, 129\)"),
        ({"area": [0.0, 1.0]}, "area is 0 somewhere, and must be above zero"),
        ({"n_h": -1.0}, "n_h must be 0 or more"),
    ],
)
def test_spectra_that_cannot_be_are_refused(changes, match):
    with pytest.raises(ValueError, match=match):
        spectral_features(RXTE, **given(**changes))
