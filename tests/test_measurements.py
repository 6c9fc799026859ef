"""The measurements in bands: closed forms, stingray, and scatter against quoted errors.

Every tolerance of a simulated mean is five times its own Monte Carlo error.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stingray import fourier, power_colors

from course.archive.measurements import (
    POWER_COLOUR_BANDS,
    band_rms,
    band_variance,
    power_colours,
)
from helpers.features import hue


def unbiased(samples, truth):
    """Whether the mean of independent samples is the truth, within five Monte Carlo errors."""
    samples = np.asarray(samples)
    return np.all(np.abs(samples.mean(0) - truth) < 5 * samples.std(0) / np.sqrt(len(samples)))


def right_errors(samples, errors):
    """Whether the mean squared error is the variance, within five Monte Carlo errors."""
    samples, errors = np.asarray(samples), np.asarray(errors)
    return unbiased((samples - samples.mean(0)) ** 2 - errors**2, 0)


def zero_centred(low, high, hwhm, rms):
    """Mean power in bins of a Lorentzian at zero; the integral over positive frequencies is rms²."""
    return rms**2 * 2 / np.pi * (np.arctan(high / hwhm) - np.arctan(low / hwhm)) / (high - low)


def peaked(low, high, centroid, q, rms):
    hwhm = centroid / (2 * q)
    part = np.arctan((high - centroid) / hwhm) - np.arctan((low - centroid) / hwhm)
    return rms**2 * part / (np.pi / 2 + np.arctan(2 * q)) / (high - low)


def one_over_f(low, high, rms):
    """Mean power in bins of noise ∝ 1/f that has rms² between 0.1 and 64 Hz."""
    return rms**2 * np.log(high / low) / np.log(640) / (high - low)


# -- rms -------------------------------------------------------------------------------------


def test_rms_of_a_sine_wave_is_amplitude_over_root_two():
    time = np.arange(1024) / 64
    rate = 100 * (1 + 0.2 * np.sin(2 * np.pi * 3 * time))
    power = 2 * np.abs(np.fft.rfft(rate))[1:] ** 2 / 64 / rate.sum() / rate.mean()
    frequency = np.fft.rfftfreq(1024, 1 / 64)[1:]
    rms, _ = band_rms(frequency, power, (2, 4), noise=0, m=1)
    assert rms == pytest.approx(0.2 / np.sqrt(2), rel=1e-12)


@given(st.floats(0.3, 5), st.floats(0.5, 20))
def test_variance_of_a_flat_spectrum_is_power_times_width_wherever_the_band_ends(low, width):
    frequency = np.arange(1, 401) / 10
    variance, _ = band_variance(frequency, np.full(400, 3.0), (low, low + width), noise=1, m=7)
    assert variance == pytest.approx(2 * width, rel=1e-9)


def test_variance_agrees_with_stingray():
    rng = np.random.default_rng(1)
    frequency = np.arange(1, 401) / 10
    power = rng.gamma(20, 1 / 20, 400)
    variance, error = band_variance(frequency, power, (1.23, 17.77), noise=0.3, m=20)
    theirs = fourier.integrate_power_in_frequency_range(
        frequency, power, (1.23, 17.77), df=0.1, m=20, poisson_power=0.3
    )
    # They divide P² by m where m + 1 makes the error right on average.
    assert (variance, error) == pytest.approx((theirs[0], theirs[1] * np.sqrt(20 / 21)), rel=1e-9)


@pytest.mark.parametrize("m", [1, 4, 50])
def test_variance_is_unbiased_and_its_error_is_the_scatter(m):
    rng = np.random.default_rng(2)
    frequency = np.arange(1, 201) / 10
    signal, noise = 0.3 / frequency, 0.1
    power = (signal + noise) * rng.gamma(m, 1 / m, (4000, 200))
    variance, error = band_variance(frequency, power, (0.05, 20.05), noise=noise, m=m)
    assert unbiased(variance, signal.sum() / 10)
    assert right_errors(variance, error)


def test_negative_excess_keeps_its_sign_as_variance_and_has_no_rms():
    frequency = np.arange(1, 11.0)
    power = np.array([[1.0] * 10, [3.0] * 10])
    variance, _ = band_variance(frequency, power, (1, 3), noise=2.0, m=4)
    rms, error = band_rms(frequency, power, (1, 3), noise=2.0, m=4)
    assert variance == pytest.approx([-2, 2])
    assert np.isnan(rms).tolist() == np.isnan(error).tolist() == [True, False]


# -- power colours and hue -------------------------------------------------------------------


def noisy_spectra(m, size, seed):
    frequency = np.arange(1, 4110) / 256
    low, high = frequency - 1 / 512, frequency + 1 / 512
    power = sum(zero_centred(low, high, *p) for p in [(0.05, 0.2), (0.5, 0.2), (4, 0.15)])
    rng = np.random.default_rng(seed)
    return frequency, power, (power + 1e-4) * rng.gamma(m, 1 / m, (size, len(power)))


def test_power_colours_are_stingrays_with_the_first_inverted():
    frequency, _, power = noisy_spectra(40, 1, 5)
    ours = power_colours(frequency, power[0], noise=1e-4, m=40)
    first, _, second, _ = power_colors.power_color(frequency, power[0], m=40, poisson_power=1e-4)
    assert ours.pc1 == pytest.approx(1 / first, rel=1e-9)
    assert ours.pc2 == pytest.approx(second, rel=1e-9)
    theirs = np.degrees(power_colors.hue_from_power_color(1 / first, second)) % 360
    assert hue(ours.pc1, ours.pc2) == pytest.approx(theirs, abs=1e-3)
    uninverted = np.degrees(power_colors.hue_from_power_color(first, second)) % 360
    assert abs(uninverted - theirs) > 30


def test_power_colour_errors_are_the_scatter():
    m = 2000  # many, for the error of a ratio is the linear one
    frequency, truth, power = noisy_spectra(m, 500, 6)
    colours = power_colours(frequency, power, noise=1e-4, m=m)
    exact = power_colours(frequency, truth, noise=0, m=m)
    for name in ("pc1", "pc2"):
        samples, errors = getattr(colours, name), getattr(colours, name + "_err")
        assert right_errors(samples, errors)
        assert unbiased(samples, getattr(exact, name))


def test_a_band_below_the_noise_has_no_colour_and_no_hue():
    frequency = np.arange(1, 4110) / 256
    colours = power_colours(frequency, 1e-3 / frequency, noise=4e-4, m=16)
    assert np.isnan([colours.pc2, colours.pc2_err]).all()
    assert np.isfinite(colours.pc1)
    assert np.isnan(hue(colours.pc1, colours.pc2))


def test_hue_of_one_over_f_noise_is_the_closed_form():
    # Each band spans a factor 8, so both colours are 1, on bins that end where the bands do.
    assert all(high / low == 8 for low, high in POWER_COLOUR_BANDS)
    low = np.arange(10, 45000) / 2560
    high = low + 1 / 2560
    colours = power_colours((low + high) / 2, one_over_f(low, high, 0.02), noise=0, m=1)
    angle = 135 - np.degrees(np.arctan2(-np.log(0.453724), -np.log(4.51920)))
    assert hue(colours.pc1, colours.pc2) == pytest.approx(angle % 360, abs=1e-6)
