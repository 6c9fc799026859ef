"""QPOs and breaks: false alarms, scatter against quoted errors, and what has none.

Every tolerance of a simulated mean is five times its own Monte Carlo error.
"""

import numpy as np
import pytest
from scipy import stats
from test_measurements import one_over_f, peaked, right_errors, unbiased, zero_centred

from course.archive.qpos import break_frequency, fit_qpo

QPO_EDGES = np.geomspace(1 / 256, 64, 301)
QPO_LOW, QPO_HIGH = QPO_EDGES[:-1], QPO_EDGES[1:]
QPO_GRID = {"frequency": (QPO_LOW + QPO_HIGH) / 2, "width": QPO_HIGH - QPO_LOW, "noise": 2e-3}
QPO_M = np.maximum(1, np.round(4 * 256 * QPO_GRID["width"]))  # 1024 s in segments of 256 s
CONTINUA = {
    "lhs": sum(zero_centred(QPO_LOW, QPO_HIGH, *p) for p in [(0.05, 0.2), (0.5, 0.15), (4, 0.1)]),
    "hims": sum(zero_centred(QPO_LOW, QPO_HIGH, *p) for p in [(1, 0.1), (4, 0.1)]),
    "hss": one_over_f(QPO_LOW, QPO_HIGH, 0.02),
    "noise alone": 0 * QPO_LOW,
}


def noisy(signal, size, seed):
    """Power spectra (size, n) of a signal, noise included, as they scatter."""
    scatter = np.random.default_rng(seed).standard_gamma(QPO_M, (size, len(QPO_M))) / QPO_M
    return (signal + QPO_GRID["noise"]) * scatter


def qpo_fits(signal, size, seed):
    powers = noisy(signal, size, seed)
    return [fit_qpo(power=power, m=QPO_M, **QPO_GRID, n_simulations=200) for power in powers]


@pytest.mark.parametrize("continuum", CONTINUA)
def test_false_alarms_of_a_pure_continuum_are_as_rare_as_stated(continuum):
    n = 60
    fits = qpo_fits(CONTINUA[continuum], n, 7)
    for rate in (0.01, 0.1, 0.5):
        alarms = sum(fit.false_alarm <= rate for fit in fits)
        # The binomial tail beyond five Gaussian sigma
        assert stats.binom.sf(alarms - 1, n, rate) > stats.norm.sf(5), (rate, alarms)
    assert sum(fit.false_alarm <= 0.5 for fit in fits) > stats.binom.ppf(stats.norm.sf(5), n, 0.5)
    candidates = [(f.frequency, f.q, f.rms, f.rms_err) for f in fits if not f.detected]
    assert np.isnan(candidates).all()


@pytest.mark.parametrize("truth", [(2, 10, 0.1), (4, 8, 0.06)])
def test_a_strong_qpo_is_found_without_bias_and_with_right_errors(truth):
    n = 50
    fits = qpo_fits(CONTINUA["hims"] + peaked(QPO_LOW, QPO_HIGH, *truth), n, 8)
    assert all(fit.detected for fit in fits)
    for name, value in zip(("frequency", "q", "rms"), truth, strict=True):
        samples = np.array([getattr(fit, name) for fit in fits])
        errors = np.array([getattr(fit, name + "_err") for fit in fits])
        assert unbiased(samples, value), name
        assert right_errors(samples, errors), name


def test_the_expected_spectrum_gives_back_its_qpo():
    signal = CONTINUA["hims"] + peaked(QPO_LOW, QPO_HIGH, 3, 6, 0.08)
    fit = fit_qpo(power=signal + QPO_GRID["noise"], m=QPO_M, **QPO_GRID)
    # Nothing but the grid of broad Lorentzians stands between them: far below the error.
    for value, name in ((3, "frequency"), (6, "q"), (0.08, "rms")):
        assert abs(getattr(fit, name) - value) < 0.1 * getattr(fit, name + "_err"), name


def test_significance_grows_with_rms_squared_and_the_root_of_the_exposure():
    def significance(rms, exposure):
        power = QPO_GRID["noise"] + peaked(QPO_LOW, QPO_HIGH, 3, 6, rms)
        fit = fit_qpo(power=power, m=exposure * QPO_M, **QPO_GRID, n_simulations=50)
        return fit.significance

    # ln L scales with m exactly, and the root of its gain with rms² to first order in peak/noise.
    assert significance(0.02, 4) == pytest.approx(2 * significance(0.02, 1), rel=1e-6)
    height = peaked(QPO_LOW, QPO_HIGH, 3, 6, 0.01).max() / QPO_GRID["noise"]
    assert significance(0.01, 64) == pytest.approx(4 * significance(0.005, 64), rel=height)


def test_the_same_spectrum_gives_the_same_answer():
    (power,) = noisy(CONTINUA["lhs"], 1, 9)
    first = fit_qpo(power=power, m=QPO_M, **QPO_GRID)
    for k in range(2, 7):  # others, until the simulations of the first are forgotten
        fit_qpo(power=power, m=k * QPO_M, **QPO_GRID)
    assert repr(fit_qpo(power=power, m=QPO_M, **QPO_GRID)) == repr(first)


# -- break -----------------------------------------------------------------------------------


def breaks(signal, size, seed):
    frequency, noise = QPO_GRID["frequency"], QPO_GRID["noise"]
    powers = noisy(signal, size, seed)
    return np.array([break_frequency(frequency, p, noise=noise, m=QPO_M) for p in powers]).T


def test_a_lorentzian_breaks_at_its_half_width_with_right_errors():
    nu, error = breaks(zero_centred(QPO_LOW, QPO_HIGH, 0.5, 0.25), 100, 21)
    pull = (nu - 0.5) / error
    # A fifth of an error for the skewed law of ν and the limits of s, besides the Monte Carlo error
    assert abs(pull.mean()) < 0.2 + 5 * pull.std() / 10
    assert 0.7 < pull.std() < 1.4


@pytest.mark.parametrize("rms", [0.1, 0.15])
def test_a_qpo_above_the_break_moves_it_by_less_than_its_error(rms):
    qpo = peaked(QPO_LOW, QPO_HIGH, 2.75, 10, rms)
    nu, error = breaks(zero_centred(QPO_LOW, QPO_HIGH, 0.5, 0.2) + qpo, 60, 22)
    assert abs(np.median(nu) / 0.5 - 1) < 0.12
    assert abs(np.median(nu) - 0.5) < np.median(error)


def test_of_three_breaks_the_lowest_is_found():
    nu, _ = breaks(CONTINUA["lhs"], 60, 23)
    assert np.isfinite(nu).mean() > 0.25
    assert abs(np.log(np.nanmedian(nu) / 0.05)) < 0.4  # those found scattered upwards


@pytest.mark.parametrize("continuum", ["noise alone", "hss"])
def test_what_has_no_break_has_nan(continuum):
    nu, error = breaks(CONTINUA[continuum], 100, 24)
    assert np.isnan(nu).sum() >= 97
    assert np.array_equal(np.isnan(nu), np.isnan(error))
