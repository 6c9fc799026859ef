"""Fits of spectra: recovery through real responses, an independent fit, and what cannot be told.

Every tolerance of a simulated mean is five times its own Monte Carlo error.
"""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from course.archive.fits import fit_spectra
from helpers.data import load_response
from helpers.spectra import absorption, disc_blackbody, energy_flux, power_law

BAND = {"rxte_pca": (3, 25), "nicer": (0.5, 10)}
BACKGROUND = {"rxte_pca": 0.3, "nicer": 0.003}  # counts/s in a channel
N_H = 0.4
DETECTORS = pytest.mark.parametrize("name", list(BAND))


@cache
def response(name):
    return load_response(name).to(dtype=torch.float64)


def rates(name, gamma, power, kt, disc):
    """The exact model, folded: (n, n_channels) counts/s; parameters are numbers or (n,)."""
    detector = response(name)
    bins = detector.energy_lo, detector.energy_hi
    gamma, power, kt, disc = (
        torch.as_tensor(x, dtype=torch.float64).reshape(-1) for x in (gamma, power, kt, disc)
    )
    flux = power_law(*bins, gamma, power) + disc_blackbody(*bins, kt, disc)
    return detector.fold(absorption(*bins, N_H) * flux).numpy()


def observe(name, source, n, exposure, seed):
    """Poisson counts (n, n_channels), the expected background, and the exposures (n,)."""
    background = np.full((n, source.shape[-1]), BACKGROUND[name] * exposure)
    counts = np.random.default_rng(seed).poisson(exposure * source + background)
    return counts, background, np.full(n, float(exposure))


def fit(name, counts, background, exposure, **options):
    return fit_spectra(counts, background, exposure, response(name), N_H, BAND[name], **options)


def unbiased(samples, truth):
    """Whether the mean of independent samples is the truth, within five Monte Carlo errors."""
    return abs(samples.mean() - truth) < 5 * samples.std() / np.sqrt(len(samples))


def columns(result):
    return np.stack(list(vars(result).values()))


# -- what bright spectra give --------------------------------------------------------------------


@DETECTORS
@pytest.mark.parametrize(
    ("gamma", "power", "kt", "disc"), [(1.8, 0.5, 0.7, 400.0), (2.4, 1.0, 0.9, 1500.0)]
)
def test_parameters_and_their_errors_are_recovered(name, gamma, power, kt, disc):
    source = rates(name, gamma, power, kt, disc)
    result = fit(name, *observe(name, source, 400, 1000, seed=1))
    for pull in (
        (result.gamma - gamma) / result.gamma_err,
        (result.kt_in - kt) / result.kt_in_err,
    ):
        assert unbiased(pull, 0)
        assert unbiased(pull**2, 1)
    assert unbiased(result.red_chi2, 1)
    # χ² of dof degrees of freedom has the variance 2 dof, but for the Poisson noise's own kurtosis.
    assert unbiased((result.red_chi2 - 1) ** 2, 2 / result.dof[0])


@DETECTORS
def test_faint_power_laws_are_not_drawn_low(name):
    # About 1500 counts, less than one in many channels: with σ² = C the mean would be far off.
    source = rates(name, 2.0, 1.0, 1.0, 0.0)
    lo, hi = BAND[name]
    middle = (response(name).channel_lo + response(name).channel_hi) / 2
    inside = ((middle >= lo) & (middle <= hi)).numpy()
    exposure = 1500 / source[0, inside].sum()
    counts, background, exposure = observe(name, source, 1000, exposure, seed=2)
    result = fit(name, counts, background, exposure)
    alone = result.disc_frac == 0
    edges = torch.logspace(np.log10(2), 1, 1001, dtype=torch.float64)
    edges[0], edges[-1] = 2, 10
    bins = edges[:-1], edges[1:]
    truth = float(energy_flux(*bins, power_law(*bins, 2.0, 1.0), 2, 10))
    # To second order Γ and the logarithm are biased by a share of their variance, so the flux itself.
    assert unbiased(10 ** result.log_flux_2_10[alone], truth)
    assert unbiased(result.red_chi2[alone], 1)


@DETECTORS
def test_agrees_with_an_independent_fit_of_the_exact_model(name):
    truth = np.array([2.0, 0.5, 0.8, 300.0])
    counts, background, exposure = observe(name, rates(name, *truth), 1, 1000, seed=3)
    result = fit(name, counts, background, exposure)

    middle = (response(name).channel_lo + response(name).channel_hi).numpy() / 2
    channels = np.flatnonzero((middle >= BAND[name][0]) & (middle <= BAND[name][1]))
    starts = np.arange(0, len(channels), {"rxte_pca": 1, "nicer": 3}[name])

    def grouped(x):
        return np.add.reduceat(x[channels], starts)

    data, known = grouped(counts[0]), grouped(background[0])

    def model(scaled):
        return 1000 * grouped(rates(name, *(scaled * truth))[0]) + known

    best = np.ones(4)
    for _ in range(4):  # the variance follows the model
        sigma = np.sqrt(model(best))
        solution = least_squares(
            lambda p, sigma=sigma: (data - model(p)) / sigma, best, xtol=1e-12, ftol=1e-12
        )
        best = solution.x
    error = truth * np.sqrt(np.diag(np.linalg.inv(solution.jac.T @ solution.jac)))
    best = best * truth
    assert abs(result.gamma[0] - best[0]) < 1e-3 * error[0]
    assert abs(result.kt_in[0] - best[2]) < 1e-3 * error[2]
    # The derivatives of scipy are differences, good to the root of the machine's precision times
    # the condition of the problem.
    np.testing.assert_allclose([result.gamma_err[0], result.kt_in_err[0]], error[[0, 2]], rtol=1e-4)
    np.testing.assert_allclose(result.red_chi2[0] * result.dof[0], 2 * solution.cost, rtol=1e-5)
    assert result.dof[0] == len(starts) - 4


@DETECTORS
def test_without_noise_share_and_flux_are_the_truth(name):
    rng = np.random.default_rng(4)
    n = 20
    gamma, kt = rng.uniform(1.5, 3, n), rng.uniform(0.5, 1.5, n)
    power, disc = 10 ** rng.uniform(-1, 1, n), 1000 * 10 ** rng.uniform(-0.5, 0.5, n)
    counts = 1e4 * rates(name, gamma, power, kt, disc)
    result = fit(name, counts, 0 * counts, np.full(n, 1e4))

    edges = torch.logspace(np.log10(1.9), np.log10(21), 1001, dtype=torch.float64)
    bins = edges[:-1], edges[1:]
    gamma_, power_, kt_, disc_ = (torch.as_tensor(x) for x in (gamma, power, kt, disc))
    parts = power_law(*bins, gamma_, power_), disc_blackbody(*bins, kt_, disc_)
    power_20, disc_20 = (energy_flux(*bins, part, 2, 20).numpy() for part in parts)
    flux = sum(energy_flux(*bins, part, 2, 10).numpy() for part in parts)

    # The search ends within 3e-4 of the statistical error of the minimum.
    assert np.all(np.abs(result.gamma - gamma) < 1e-3 * result.gamma_err)
    assert np.all(np.abs(result.kt_in - kt) < 1e-3 * result.kt_in_err)
    # Where 1e7 and more counts fix the model, that is a relative 1e-5 or less of the two fluxes.
    np.testing.assert_allclose(result.disc_frac, disc_20 / (disc_20 + power_20), atol=1e-4)
    np.testing.assert_allclose(10**result.log_flux_2_10, flux, rtol=1e-4)


@pytest.mark.parametrize(("name", "coolest"), [("rxte_pca", 0.4), ("nicer", 0.3)])
def test_a_weak_disc_does_not_hide_in_a_wrong_minimum(name, coolest):
    # Without noise the lowest χ² is the truth: a search that stops elsewhere shows at once. A cool
    # disc that is a few per cent of the spectrum is worth less than a photon index between two nodes.
    rng = np.random.default_rng(13)
    n = 60
    gamma, kt = rng.uniform(1.88, 1.98, n), coolest + rng.uniform(0, 0.06, n)
    disc = 300 * 10 ** rng.uniform(-0.5, 0.5, n)
    counts = 1e5 * rates(name, gamma, np.ones(n), kt, disc)
    result = fit(name, counts, 0 * counts, np.full(n, 1e5))
    both = (result.disc_frac > 0) & (result.disc_frac < 1)
    assert both.mean() > 0.5  # of the faintest RXTE sees too little above 3 keV
    # The search ends within 3e-4 of the error, and the tables are as good.
    assert np.all(np.abs(result.gamma - gamma)[both] < 0.01 * result.gamma_err[both])
    assert np.all(np.abs(result.kt_in - kt)[both] < 0.01 * result.kt_in_err[both])


def test_systematic_errors_widen_the_variance():
    # A response that is wrong by 2 per cent in each channel, in spectra with far smaller noise
    name, n = "rxte_pca", 400
    source = rates(name, 2.0, 20.0, 0.9, 20000.0)
    wrong = 1 + 0.02 * np.random.default_rng(5).standard_normal((n, source.shape[-1]))
    counts, background, exposure = observe(name, source * wrong, n, 1000, seed=6)
    result = fit(name, counts, background, exposure, systematic=0.02)
    assert unbiased(((result.gamma - 2.0) / result.gamma_err) ** 2, 1)
    assert unbiased(result.red_chi2, 1)
    assert np.nanmean(fit(name, counts, background, exposure).red_chi2) > 10


# -- what is needed, and what cannot be told -----------------------------------------------------


@DETECTORS
def test_few_pure_power_laws_seem_to_need_a_disc(name):
    n, stated = 1000, 0.01
    source = rates(name, 1.8, 0.3, 1.0, 0.0)
    result = fit(name, *observe(name, source, n, 1000, seed=9))
    false = (result.disc_frac > 0).mean()
    assert abs(false - stated) < 5 * np.sqrt(stated / n)
    alone = result.disc_frac == 0
    assert np.isnan(result.kt_in[alone]).all()
    assert np.isnan(result.kt_in_err[alone]).all()
    assert np.isfinite(result.gamma).all()


@DETECTORS
def test_a_disc_without_a_power_law_has_no_photon_index(name):
    source = rates(name, 2.0, 0.0, 1.0, 200.0)
    result = fit(name, *observe(name, source, 300, 1000, seed=10))
    alone = result.disc_frac == 1
    # A power law that is not there can be found by chance, as a disc above.
    assert (~alone).mean() < 0.01 + 5 * np.sqrt(0.01 / 300)
    assert np.isnan(result.gamma[alone]).all()
    assert unbiased(((result.kt_in - 1) / result.kt_in_err)[alone] ** 2, 1)


@DETECTORS
def test_faint_spectra_give_nan(name):
    source = rates(name, 2.0, 1.0, 0.8, 100.0)
    counts, background, exposure = observe(name, 0 * source, 200, 1000, seed=11)
    nothing = fit(name, counts, background, exposure)
    # The background alone exceeds three standard deviations in 0.13 per cent of the spectra.
    assert np.isnan(columns(nothing)).all(axis=0).mean() >= 1 - 5 * np.sqrt(0.0013 / 200)
    few = np.zeros((2, source.shape[1]))
    few[0, 20:39], few[1, 20:40] = 1, 1
    values = columns(fit(name, few, 0 * few, [1.0, 1.0]))
    assert np.isnan(values[:, 0]).all()
    assert np.isfinite(values[-2:, 1]).all()


@DETECTORS
def test_the_edge_of_the_search_is_not_a_measurement(name):
    counts = 1000 * rates(name, [0.5, 6.0], [0.1, 100.0], 1.0, 0.0)
    result = fit(name, counts, 0 * counts, [1000.0, 1000.0])
    assert np.isnan(result.gamma).all()
    assert np.isnan(result.gamma_err).all()
    assert np.isfinite(result.log_flux_2_10).all()


@DETECTORS
@pytest.mark.parametrize("brightness", [0.0, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("background", [0.0, 1.0, 1e5])
def test_nothing_is_ever_infinite(name, brightness, background):
    source = 100 * brightness * rates(name, [1.5, 3.0, 2.0], 1.0, [0.2, 1.0, 2.5], [1e4, 1e3, 0])
    expected = np.full_like(source, background)
    counts = np.random.default_rng(12).poisson(source + expected)
    result = fit(name, counts, expected, np.full(3, 100.0))
    assert not np.isinf(columns(result)).any()
