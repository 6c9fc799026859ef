"""The formulae of dead time against each other, published numbers and stingray."""

import math

import numpy as np
import pytest
import torch
from contract import seeded, z_score
from stingray.deadtime.model import pds_model_zhang, r_det, r_in

from helpers import dead_time_theory
from helpers.dead_time import NUSTAR, DeadTimeDistribution, count_detected
from helpers.light_curves import averaged_periodogram

TAU = 2.5e-3


def test_rates_are_stingrays_and_invert():
    rates = np.array([1e-3, 10.0, 1000.0, 1e5])
    detected = dead_time_theory.detected_rate(rates, TAU)
    np.testing.assert_allclose(detected, r_det(TAU, rates))
    np.testing.assert_allclose(dead_time_theory.incident_rate(detected, TAU), rates, rtol=1e-9)
    np.testing.assert_allclose(r_in(TAU, detected), rates, rtol=1e-9)
    grid = np.linspace(1.0, 2000.0, 20_000)
    paralyzed = dead_time_theory.detected_rate(grid, TAU, paralyzable=True)
    assert grid[paralyzed.argmax()] == pytest.approx(1 / TAU, rel=1e-3)
    assert paralyzed.max() == pytest.approx(1 / (math.e * TAU), rel=1e-6)
    tensor = torch.tensor([1000.0])
    torch.testing.assert_close(
        dead_time_theory.detected_rate(tensor, TAU, True), tensor * math.exp(-2.5)
    )
    with pytest.raises(ValueError, match="less than one event per dead time"):
        dead_time_theory.incident_rate(400.0, TAU)


@pytest.mark.parametrize("dt", [5e-4, 5e-3])
@pytest.mark.parametrize("rate", [50.0, 1000.0])
def test_binned_noise_is_zhangs(dt, rate):
    n = round(1 / dt)
    frequency, zhang = pds_model_zhang(n, rate, TAU, dt)
    inner = slice(1, n // 2 - 1)
    ours = dead_time_theory.white_noise(torch.as_tensor(frequency[inner]), rate, TAU, bin_size=dt)
    # Zhang's sum over lags is cut, and tapered by 1 - k/N: one per cent here.
    np.testing.assert_allclose(ours, zhang[inner], rtol=0.02)


def test_noise_of_a_band():
    """2 + q (P - 2), and what was measured at 1000/s, 2.5 ms and q = 0.3: 1.442 from 1 to 20 Hz."""
    frequency = torch.arange(1.0, 21.0)
    band = dead_time_theory.white_noise(frequency, 1000.0, TAU, kept=0.3, bin_size=5e-4)
    all_ = dead_time_theory.white_noise(frequency, 1000.0, TAU, bin_size=5e-4)
    torch.testing.assert_close(band, 2 + 0.3 * (all_ - 2))
    assert float(band.mean()) == pytest.approx(1.449, abs=1e-3)
    counts = count_detected(torch.full((400, 20_000), 1000.0), 5e-4, TAU, seeded(), kept=0.3)
    _, power = averaged_periodogram(counts, 5e-4, 1.0)
    # Segments are short: their noise is that of Zhang et al., which tapers.
    _, zhang = pds_model_zhang(2000, 1000.0, TAU, 5e-4)
    expected = 2 + 0.3 * (np.mean(zhang[1:21]) - 2)
    assert abs(z_score(power[:, :20].double().mean(1), expected)) < 5


def test_band_means_that_two_others_found():
    """Means of Leahy power at 1000/s, 2.5 ms, bins of 0.5 ms; to the last digit given."""
    known = {
        (1, 20): 0.164, (100, 120): 0.248, (300, 340): 4.561, (350, 400): 2.851,
        (480, 520): 1.302, (700, 740): 2.603,
    }  # fmt: skip
    for (low, high), mean in known.items():
        frequency = torch.arange(low, high * 1.0)
        power = dead_time_theory.white_noise(frequency, 1000.0, TAU, bin_size=5e-4)
        assert float(power.mean()) == pytest.approx(mean, abs=6e-4)


def test_limits():
    frequency = torch.tensor([1e-3, 30.0, 444.0])
    torch.testing.assert_close(
        dead_time_theory.white_noise(frequency, 1000.0, 0.0), torch.full((3,), 2.0).double()
    )
    for tau in (TAU, NUSTAR):
        mean = TAU if tau == TAU else tau.mean
        variance = 0.0 if tau == TAU else tau.variance
        low = dead_time_theory.white_noise(torch.tensor([0.0]), 1000.0, tau)
        # The variance of the number of renewals: interval variance over mean squared.
        expected = 2 * (1e-6 + variance) / (1e-3 + mean) ** 2
        assert float(low) == pytest.approx(expected, rel=1e-4)
        assert abs(
            dead_time_theory.signal_transfer(torch.tensor([1e-3]), 1000.0, tau)[0]
        ) == pytest.approx(1 / (1 + 1000 * mean), rel=1e-4)
    far = torch.tensor([1e6])
    for paralyzable in (False, True):
        noise = dead_time_theory.white_noise(far, 1000.0, TAU, paralyzable=paralyzable)
        assert float(noise) == pytest.approx(2.0, abs=1e-3)


def test_a_narrow_distribution_is_a_constant():
    narrow = DeadTimeDistribution((0.0, 1.0), (TAU, TAU * (1 + 1e-9)))
    frequency = torch.linspace(1.0, 900.0, 50)
    for function in (dead_time_theory.white_noise, dead_time_theory.signal_transfer):
        torch.testing.assert_close(
            function(frequency, 1000.0, narrow), function(frequency, 1000.0, TAU)
        )


def test_no_formula_is_said_to_be_none():
    with pytest.raises(ValueError, match="no formula"):
        dead_time_theory.white_noise(torch.ones(3), 100.0, NUSTAR, paralyzable=True)
